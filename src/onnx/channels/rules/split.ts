import { intAttribute, intsAttribute } from '../../attributes';
import type { Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import type { CutContext, FlowContext, GraphFacts, OperatorRule, Refusal } from '../rule';
import { inputOf, withInput, withInts } from '../rule';

/** Sizes of the parts: an attribute before operator set 13, an input from then on, equal parts where neither is given. */
function partSizes(node: Node, extent: number, facts: GraphFacts): readonly number[] | undefined {
  const operand = inputOf(node, 1);
  if (operand !== undefined) return facts.constant(operand) === undefined ? undefined : facts.integers(operand);
  const given = intsAttribute(node, 'split');
  if (given !== undefined) return given;
  const size = Math.ceil(extent / node.outputs.length);
  return node.outputs.map((_, index) => Math.min(size, extent - index * size));
}

function splitAxis(node: Node, facts: GraphFacts): number | undefined {
  return normalizeAxis(intAttribute(node, 'axis') ?? 0, facts.shapeOf(node.inputs[0] ?? '')?.length ?? 0);
}

function flowThroughSplit(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const axis = splitAxis(node, context);
  if (axis !== label.axis) {
    for (const output of node.outputs) context.write(output, label);
    return undefined;
  }
  const sizes = partSizes(node, label.slots.length, context);
  if (sizes?.length !== node.outputs.length) return 'splits into parts that are not constant';
  let start = 0;
  for (const [index, output] of node.outputs.entries()) {
    const end = start + (sizes[index] ?? 0);
    context.write(output, { axis, slots: label.slots.slice(start, end) });
    start = end;
  }
  return undefined;
}

function cutSplit(node: Node, context: CutContext): Node {
  const kept = context.kept(node.inputs[0]);
  if (kept === undefined || splitAxis(node, context) !== kept.axis) return node;
  const sizes = partSizes(node, kept.size, context) ?? [];
  const changed = node.outputs.map((output, index) => context.kept(output)?.positions.length ?? sizes[index] ?? 0);
  if (context.opset < 13) return withInts(node, 'split', changed);
  const attributes = new Map(node.attributes);
  attributes.delete('num_outputs');
  const operand = inputOf(node, 1) ?? `${node.outputs[0] ?? ''}_split`;
  return withInput({ ...node, attributes }, 1, context.integersAs(operand, changed));
}

export const splitRule: OperatorRule = { operators: ['Split'], flow: flowThroughSplit, cut: cutSplit };
