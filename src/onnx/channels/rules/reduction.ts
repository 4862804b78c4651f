import { intAttribute, intsAttribute } from '../../attributes';
import type { Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import type { FlowContext, OperatorRule, Refusal } from '../rule';
import { inputOf, range } from '../rule';

/** Sums in which a removed channel counts as zero, exactly as if it were not there. */
const ADDITIVE = ['ReduceSum', 'ReduceSumSquare', 'ReduceL1', 'ReduceL2'];
const OTHER_REDUCTIONS = ['ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceLogSum', 'ReduceLogSumExp'];

function flowThroughReduction(node: Node, context: FlowContext): Refusal | undefined {
  const [input = ''] = node.inputs;
  const label = context.label(input);
  if (label === undefined) return undefined;
  const { rank } = label;
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

export const reductionRule: OperatorRule = {
  operators: [...ADDITIVE, ...OTHER_REDUCTIONS],
  flow: flowThroughReduction,
};
