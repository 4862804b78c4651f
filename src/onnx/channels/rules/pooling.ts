import { intAttribute, intsAttribute, stringAttribute } from '../../attributes';
import type { Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import type { CutContext, FlowContext, OperatorRule } from '../rule';
import { inputOf, range, withInput } from '../rule';

/** Pools over axes 2 and up, each channel by itself. */
function flowThroughPool(node: Node, context: FlowContext): string | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  if (label.axis !== 1) return `pools over axis ${label.axis}, which holds the channels`;
  if ((node.outputs[1] ?? '') !== '') return 'returns positions that count the channels';
  context.write(node.outputs[0], label);
  return undefined;
}

/** Sums in which a removed channel counts as zero, exactly as if it were not there. */
const ADDITIVE = ['ReduceSum', 'ReduceSumSquare', 'ReduceL1', 'ReduceL2'];
const OTHER_REDUCTIONS = ['ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceLogSum', 'ReduceLogSumExp'];

function flowThroughReduction(node: Node, context: FlowContext): string | undefined {
  const [input = ''] = node.inputs;
  const label = context.label(input);
  if (label === undefined) return undefined;
  const rank = context.shapeOf(input)?.length;
  if (rank === undefined) return 'reduces a tensor of unknown rank';
  const operand = inputOf(node, 1);
  const given = operand === undefined ? intsAttribute(node, 'axes') : context.integers(operand);
  if (operand !== undefined && given === undefined) return 'reduces axes that are not constant';
  const all = given === undefined || given.length === 0;
  if (all && intAttribute(node, 'noop_with_empty_axes') === 1) {
    context.write(node.outputs[0], label);
    return undefined;
  }
  const axes = all ? range(rank) : given.map((axis) => normalizeAxis(axis, rank) ?? 0);
  if (axes.includes(label.axis)) return ADDITIVE.includes(node.opType) ? undefined : 'reduces over the channels';
  const before = new Set(axes.filter((axis) => axis < label.axis)).size;
  const axis = intAttribute(node, 'keepdims') === 0 ? label.axis - before : label.axis;
  context.write(node.outputs[0], { axis, slots: label.slots });
  return undefined;
}

/** The output size comes as factors or as sizes; only sizes name the number of channels. */
function flowThroughResize(node: Node, context: FlowContext): string | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  if (stringAttribute(node, 'coordinate_transformation_mode') === 'tf_crop_and_resize') return 'crops while it resizes';
  const output = context.shapeOf(node.outputs[0] ?? '');
  if (output?.[label.axis] !== label.slots.length) return 'does not show that it keeps the number of channels';
  const sizes = inputOf(node, 3);
  if (sizes !== undefined && context.constant(sizes) === undefined) return 'computes its output size';
  const scales = inputOf(node, node.opType === 'Upsample' ? 1 : 2);
  if (scales !== undefined && context.constant(scales) === undefined) return 'computes its scales';
  context.write(node.outputs[0], label);
  return undefined;
}

function cutResize(node: Node, context: CutContext): Node {
  const kept = context.kept(node.outputs[0]);
  const sizesName = inputOf(node, 3);
  if (kept === undefined || sizesName === undefined) return node;
  const sizes = context.integers(sizesName) ?? [];
  const rank = context.shapeOf(node.inputs[0] ?? '')?.length ?? 0;
  const axes = intsAttribute(node, 'axes')?.map((axis) => normalizeAxis(axis, rank) ?? 0) ?? range(rank);
  const entry = axes.indexOf(kept.axis);
  if (entry < 0 || sizes.length === 0) return node;
  const changed = sizes.map((size, index) => (index === entry ? kept.positions.length : size));
  return withInput(node, 3, context.integersAs(sizesName, changed));
}

export const poolingRules: readonly OperatorRule[] = [
  {
    operators: ['MaxPool', 'AveragePool', 'LpPool', 'GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'],
    flow: flowThroughPool,
  },
  { operators: [...ADDITIVE, ...OTHER_REDUCTIONS], flow: flowThroughReduction },
  { operators: ['Resize', 'Upsample'], flow: flowThroughResize, cut: cutResize },
];
