import type { Node } from '../../ir';
import type { CutContext, FlowContext, GraphFacts, OperatorRule, Refusal } from '../rule';
import { inputOf, withInput } from '../rule';

/** Broadcasts to a shape; an entry of 1 means "as it is", so the channel axis needs no number. */
function flowThroughExpand(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const input = context.shapeOf(node.inputs[0] ?? '');
  const output = context.shapeOf(node.outputs[0] ?? '');
  if (input === undefined || output === undefined) return 'expands to an unknown shape';
  const axis = label.axis + output.length - input.length;
  if (output[axis] !== label.slots.length) return 'repeats its only channel';
  if (expandTarget(node, context, axis) === undefined) return 'computes its target shape from more than the batch size';
  context.write(node.outputs[0], { axis, slots: label.slots });
  return undefined;
}

function expandTarget(node: Node, facts: GraphFacts, channelAxis: number): number[] | undefined {
  const operand = inputOf(node, 1) ?? '';
  const output = facts.shapeOf(node.outputs[0] ?? '') ?? [];
  const input = facts.shapeOf(node.inputs[0] ?? '') ?? [];
  const literal = facts.constant(operand) === undefined ? undefined : facts.integers(operand);
  if (literal !== undefined) {
    const offset = output.length - literal.length;
    return literal.map((entry, index) => (index + offset === channelAxis ? 1 : entry));
  }
  const offset = output.length - input.length;
  const target = output.map((dimension, axis) => {
    if (axis === channelAxis || (dimension !== undefined && dimension === input[axis - offset])) return 1;
    return typeof dimension === 'number' ? dimension : undefined;
  });
  return target.every((entry) => entry !== undefined) ? target : undefined;
}

function cutExpand(node: Node, context: CutContext): Node {
  const axis = context.kept(node.outputs[0])?.axis ?? -1;
  const target = expandTarget(node, context, axis);
  return target === undefined ? node : withInput(node, 1, context.integersAs(node.inputs[1] ?? '', target));
}

function flowThroughTile(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const repeats = inputOf(node, 1);
  const counts =
    repeats === undefined || context.constant(repeats) === undefined ? undefined : context.integers(repeats);
  if (counts?.[label.axis] !== 1) return 'repeats the channels';
  context.write(node.outputs[0], label);
  return undefined;
}

export const expandRules: readonly OperatorRule[] = [
  { operators: ['Expand'], sizeInputs: [1], flow: flowThroughExpand, cut: cutExpand },
  { operators: ['Tile'], flow: flowThroughTile },
];
