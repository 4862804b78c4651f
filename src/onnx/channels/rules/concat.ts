import { intAttribute } from '../../attributes';
import type { Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import type { FlowContext, OperatorRule, Refusal } from '../rule';
import { FIXED } from '../slots';

function flowThroughConcat(node: Node, context: FlowContext): Refusal | undefined {
  const labels = node.inputs.map((name) => context.label(name));
  const known = labels.filter((label) => label !== undefined);
  const [first] = known;
  if (first === undefined) return undefined;
  const axis = normalizeAxis(intAttribute(node, 'axis') ?? 1, first.rank);
  if (known.some((label) => label.axis !== first.axis)) return 'joins channels along different axes';
  return first.axis === axis ? concatenate(node, axis, context) : stack(node, context);
}

/** Along the channel axis: one list after the other; what has no slots keeps its place. */
function concatenate(node: Node, axis: number, context: FlowContext): Refusal | undefined {
  const slots: number[] = [];
  for (const name of node.inputs) {
    const label = context.label(name);
    const extent = label?.slots.length ?? context.constant(name)?.dims[axis] ?? context.shapeOf(name)?.[axis];
    if (typeof extent !== 'number') return `joins "${name}", whose number of channels is unknown`;
    slots.push(...(label?.slots ?? Array.from({ length: extent }, () => FIXED)));
  }
  context.write(node.outputs[0], { axis, slots });
  return undefined;
}

/** Along another axis: the channels of all inputs lie under each other and must go together. */
function stack(node: Node, context: FlowContext): Refusal | undefined {
  const first = node.inputs.map((name) => context.label(name)).find((label) => label !== undefined);
  for (const name of node.inputs) {
    const label = context.label(name);
    if (label === undefined || label.slots.length !== first?.slots.length)
      return `joins them with "${name}", whose channels are fixed`;
    label.slots.forEach((slot, at) => context.tie(first.slots[at] ?? FIXED, slot));
  }
  context.write(node.outputs[0], first);
  return undefined;
}

export const concatRule: OperatorRule = { operators: ['Concat'], flow: flowThroughConcat };
