import { intAttribute, intsAttribute } from '../../attributes';
import type { Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import type { CutContext, FlowContext, OperatorRule, Refusal } from '../rule';
import { withInput } from '../rule';

/** Per-channel statistics and parameters: [C] each, from input 1 on. */
function flowThroughChannelNorm(node: Node, context: FlowContext): Refusal | undefined {
  const [input = '', ...parameters] = node.inputs;
  const label = context.label(input);
  if (label === undefined) return undefined;
  if (label.axis !== 1) return `normalises along axis 1 but the channels lie along axis ${label.axis}`;
  if (intAttribute(node, 'spatial') === 0) return 'keeps statistics of every position (spatial = 0)';
  if (intAttribute(node, 'training_mode') === 1 || node.outputs.slice(1).some((name) => name !== ''))
    return 'is in training mode';
  for (const name of parameters) {
    const constant = name === '' ? undefined : context.constant(name);
    if (constant?.dims.length !== 1 || constant.dims[0] !== label.slots.length)
      return 'has parameters that are not constants of one value a channel';
  }
  context.write(node.outputs[0], label);
  return undefined;
}

function cutChannelNorm(node: Node, context: CutContext): Node {
  const kept = context.kept(node.inputs[0]);
  if (kept === undefined) return node;
  return node.inputs.reduce((changed, name, index) => {
    if (index === 0 || name === '') return changed;
    return withInput(changed, index, context.slice(name, [{ axis: 0, positions: kept.positions }]));
  }, node);
}

/** The statistics mix all positions along the given axes, so channels on one of them can not go alone. */
function flowAround(axesOf: (node: Node, rank: number, opset: number) => readonly number[]): OperatorRule['flow'] {
  return (node, context) => {
    const [input = ''] = node.inputs;
    const label = context.label(input);
    if (label === undefined) return undefined;
    if (axesOf(node, label.rank, context.opset).includes(label.axis)) return 'normalises across the channels';
    for (const output of node.outputs) context.write(output, label);
    return undefined;
  };
}

function axesFrom(first: number, rank: number): number[] {
  const start = normalizeAxis(first, rank) ?? 0;
  return Array.from({ length: rank - start }, (_, index) => start + index);
}

/** Before operator set 13 these flattened everything from `axis` on into one row. */
function softmaxAxes(node: Node, rank: number, opset: number): readonly number[] {
  if (opset < 13) return axesFrom(intAttribute(node, 'axis') ?? 1, rank);
  return [normalizeAxis(intAttribute(node, 'axis') ?? -1, rank) ?? 0];
}

export const normalizationRules: readonly OperatorRule[] = [
  { operators: ['BatchNormalization', 'InstanceNormalization'], flow: flowThroughChannelNorm, cut: cutChannelNorm },
  { operators: ['Softmax', 'LogSoftmax', 'Hardmax'], flow: flowAround(softmaxAxes) },
  {
    operators: ['LayerNormalization', 'RMSNormalization'],
    flow: flowAround((node, rank) => axesFrom(intAttribute(node, 'axis') ?? -1, rank)),
  },
  // A norm is a sum over the channels, in which a removed one counts as zero.
  { operators: ['LpNormalization'], flow: flowAround(() => []) },
  {
    operators: ['MeanVarianceNormalization'],
    flow: flowAround((node, rank) =>
      (intsAttribute(node, 'axes') ?? [0, 2, 3]).map((axis) => normalizeAxis(axis, rank) ?? 0),
    ),
  },
  { operators: ['LRN'], flow: () => 'normalises across neighbouring channels' },
];
