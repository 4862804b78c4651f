import { intAttribute } from '../../attributes';
import type { Node } from '../../ir';
import type { CutContext, FlowContext, OperatorRule, Refusal } from '../rule';
import { range, withInput, withInt } from '../rule';
import { FIXED } from '../slots';

/**
 * The channels of one group share their statistics, so groups go as wholes. Scale and bias hold a value for each
 * group in operator set 18 and for each channel from 21 on; which of the two it is shows in their size.
 */
function flowThroughGroupNorm(node: Node, context: FlowContext): Refusal | undefined {
  const [input = '', ...parameters] = node.inputs;
  const label = context.label(input);
  if (label === undefined) return undefined;
  if (label.axis !== 1) return `normalises along axis 1 but the channels lie along axis ${label.axis}`;
  const channels = label.slots.length;
  const groups = intAttribute(node, 'num_groups') ?? 1;
  if (groups < 1 || channels % groups !== 0) return `normalises ${channels} channels in ${groups} groups`;
  const wanted = context.opset < 21 ? groups : channels;
  for (const name of parameters) {
    const constant = context.constant(name);
    if (constant?.dims.length !== 1 || constant.dims[0] !== wanted)
      return `has parameters that are not constants of ${wanted} values`;
  }
  const perGroup = channels / groups;
  for (const group of range(groups)) {
    const first = label.slots[group * perGroup] ?? FIXED;
    for (const slot of label.slots.slice(group * perGroup, (group + 1) * perGroup)) context.tie(first, slot);
  }
  context.write(node.outputs[0], label);
  return undefined;
}

function cutGroupNorm(node: Node, context: CutContext): Node {
  const kept = context.kept(node.inputs[0]);
  if (kept === undefined) return node;
  const groups = intAttribute(node, 'num_groups') ?? 1;
  const perGroup = kept.size / groups;
  const keptGroups = kept.positions.filter((position) => position % perGroup === 0).map((first) => first / perGroup);
  const positions = context.opset < 21 ? keptGroups : kept.positions;
  const changed = [1, 2].reduce((current, index) => {
    const name = node.inputs[index] ?? '';
    return withInput(current, index, context.slice(name, [{ axis: 0, positions }]));
  }, node);
  return withInt(changed, 'num_groups', keptGroups.length);
}

export const groupNormalizationRule: OperatorRule = {
  operators: ['GroupNormalization'],
  flow: flowThroughGroupNorm,
  cut: cutGroupNorm,
};
