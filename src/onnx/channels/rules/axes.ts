import { intsAttribute } from '../../attributes';
import type { Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import type { CutContext, FlowContext, GraphFacts, OperatorRule, Refusal } from '../rule';
import { inputOf, range, withInput, withInts } from '../rule';

function flowThroughTranspose(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const permutation = intsAttribute(node, 'perm') ?? range(label.rank).reverse();
  context.write(node.outputs[0], { axis: permutation.indexOf(label.axis), slots: label.slots });
  return undefined;
}

/** `axes` is an attribute before operator set 13 and an input from then on. null: given, but not constant. */
function axesOf(node: Node, facts: GraphFacts): readonly number[] | null | undefined {
  const operand = inputOf(node, 1);
  if (operand === undefined) return intsAttribute(node, 'axes');
  return facts.integers(operand) ?? null;
}

function flowThroughSqueeze(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  const shape = context.shapeOf(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const given = axesOf(node, context);
  if (given === null || shape === undefined) return 'squeezes axes that are not known';
  const ones = shape.flatMap((dimension, axis) => (dimension === 1 ? [axis] : []));
  if (given === undefined && shape.some((dimension) => typeof dimension !== 'number'))
    return 'squeezes axes that are not known';
  const axes = given?.map((axis) => normalizeAxis(axis, shape.length) ?? 0) ?? ones;
  if (axes.includes(label.axis)) return 'squeezes the axis of its only channel';
  const axis = label.axis - axes.filter((squeezed) => squeezed < label.axis).length;
  context.write(node.outputs[0], { axis, slots: label.slots });
  return undefined;
}

/** Without axes every dimension of size 1 goes: they are named, lest the channels become one of them. */
function cutSqueeze(node: Node, context: CutContext): Node {
  if (axesOf(node, context) !== undefined) return node;
  const axes = (context.shapeOf(node.inputs[0] ?? '') ?? []).flatMap((dimension, axis) =>
    dimension === 1 ? [axis] : [],
  );
  if (context.opset < 13) return withInts(node, 'axes', axes);
  return withInput(node, 1, context.integersAs(`${node.outputs[0] ?? ''}_axes`, axes));
}

function flowThroughUnsqueeze(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const given = axesOf(node, context);
  if (given === null || given === undefined) return 'inserts axes that are not known';
  const rank = label.rank;
  const inserted = new Set(given.map((axis) => normalizeAxis(axis, rank + given.length)));
  const old = range(rank + given.length).filter((axis) => !inserted.has(axis));
  context.write(node.outputs[0], { axis: old[label.axis] ?? label.axis, slots: label.slots });
  return undefined;
}

export const axisRules: readonly OperatorRule[] = [
  { operators: ['Transpose'], flow: flowThroughTranspose },
  { operators: ['Squeeze'], flow: flowThroughSqueeze, cut: cutSqueeze },
  { operators: ['Unsqueeze'], flow: flowThroughUnsqueeze },
];
