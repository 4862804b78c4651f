import { intAttribute, intsAttribute } from '../../attributes';
import type { Dimension, Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import { followAxis } from '../reshapeAxes';
import type { CutContext, FlowContext, GraphFacts, KeptPositions, OperatorRule } from '../rule';
import { inputOf, range, withInput, withInts } from '../rule';
import type { ChannelLabel } from '../slots';
import { FIXED } from '../slots';

/** Carries a label into another shape of the same elements; ties what has to go together there. */
function reshapeLabel(node: Node, label: ChannelLabel, context: FlowContext): string | undefined {
  const input = context.shapeOf(node.inputs[0] ?? '');
  const output = context.shapeOf(node.outputs[0] ?? '');
  if (input === undefined || output === undefined) return 'reshapes to an unknown shape';
  const move = followAxis(input, output, label.axis);
  if (move === undefined)
    return `reshapes [${describe(input)}] to [${describe(output)}], which mixes the channels with other axes`;
  const slots = move.sources.map((sources) => {
    const members = sources.map((source) => label.slots[source] ?? FIXED);
    const first = members[0] ?? FIXED;
    for (const member of members) context.tie(first, member);
    return first;
  });
  context.write(node.outputs[0], { axis: move.axis, slots });
  return undefined;
}

function describe(shape: readonly Dimension[]): string {
  return shape.map((dimension) => dimension ?? '?').join(', ');
}

/** The target shape as the file holds it: a constant operand, or an attribute before operator set 5. */
function literalTarget(node: Node, facts: GraphFacts): readonly number[] | undefined {
  const operand = inputOf(node, 1);
  if (operand === undefined) return intsAttribute(node, 'shape');
  return facts.constant(operand) === undefined ? undefined : facts.integers(operand);
}

function flowThroughReshape(node: Node, context: FlowContext): string | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const refusal = reshapeLabel(node, label, context);
  if (refusal !== undefined) return refusal;
  if (literalTarget(node, context) === undefined && targetFromShapes(node, context, undefined) === undefined)
    return 'computes its target shape from more than the batch size';
  return undefined;
}

/** Rewrites the target so that only the channel axis changes; 0 (copy) and −1 (infer) stay where they still hold. */
function cutReshape(node: Node, context: CutContext): Node {
  const input = context.kept(node.inputs[0]);
  const output = context.kept(node.outputs[0]);
  const literal = literalTarget(node, context);
  if (literal === undefined) {
    const target = targetFromShapes(node, context, output);
    return target === undefined ? node : withInput(node, 1, context.integersAs(node.inputs[1] ?? '', target));
  }
  const copies = intAttribute(node, 'allowzero') !== 1;
  const original = context.shapeOf(node.outputs[0] ?? '') ?? [];
  const target = literal.map((entry, axis) => {
    const changes = axis === output?.axis;
    if (entry === 0 && copies) {
      if (changes) return axis === input?.axis ? 0 : output.positions.length;
      return axis === input?.axis ? Number(original[axis]) : 0;
    }
    return changes && entry !== -1 ? output.positions.length : entry;
  });
  if (target.every((entry, axis) => entry === literal[axis])) return node;
  const operand = inputOf(node, 1);
  return operand === undefined
    ? withInts(node, 'shape', target)
    : withInput(node, 1, context.integersAs(operand, target));
}

/** A constant target for a computed one: possible where one dimension at most is not a number. */
function targetFromShapes(node: Node, facts: GraphFacts, output: KeptPositions | undefined): number[] | undefined {
  const from = facts.shapeOf(node.inputs[0] ?? '');
  const to = facts.shapeOf(node.outputs[0] ?? '');
  if (from === undefined || to === undefined) return undefined;
  const copies = intAttribute(node, 'allowzero') !== 1;
  let inferred = 0;
  const target = to.map((dimension, axis) => {
    if (axis === output?.axis) return output.positions.length;
    if (typeof dimension === 'number') return dimension;
    if (copies && dimension !== undefined && from[axis] === dimension) return 0;
    inferred++;
    return -1;
  });
  return inferred > 1 ? undefined : target;
}

function flowThroughFlatten(node: Node, context: FlowContext): string | undefined {
  const label = context.label(node.inputs[0] ?? '');
  return label === undefined ? undefined : reshapeLabel(node, label, context);
}

function flowThroughTranspose(node: Node, context: FlowContext): string | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const rank = context.shapeOf(node.inputs[0] ?? '')?.length;
  const permutation = intsAttribute(node, 'perm') ?? (rank === undefined ? undefined : range(rank).reverse());
  if (permutation === undefined) return 'transposes a tensor of unknown rank';
  context.write(node.outputs[0], { axis: permutation.indexOf(label.axis), slots: label.slots });
  return undefined;
}

/** `axes` is an attribute before operator set 13 and an input from then on. null: given, but not constant. */
function axesOf(node: Node, facts: GraphFacts): readonly number[] | null | undefined {
  const operand = inputOf(node, 1);
  if (operand === undefined) return intsAttribute(node, 'axes');
  return facts.integers(operand) ?? null;
}

function flowThroughSqueeze(node: Node, context: FlowContext): string | undefined {
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

function flowThroughUnsqueeze(node: Node, context: FlowContext): string | undefined {
  const label = context.label(node.inputs[0] ?? '');
  const rank = context.shapeOf(node.inputs[0] ?? '')?.length;
  if (label === undefined) return undefined;
  const given = axesOf(node, context);
  if (given === null || given === undefined || rank === undefined) return 'inserts axes that are not known';
  const inserted = new Set(given.map((axis) => normalizeAxis(axis, rank + given.length)));
  const old = range(rank + given.length).filter((axis) => !inserted.has(axis));
  context.write(node.outputs[0], { axis: old[label.axis] ?? label.axis, slots: label.slots });
  return undefined;
}

/** Broadcasts to a shape; an entry of 1 means "as it is", so the channel axis needs no number. */
function flowThroughExpand(node: Node, context: FlowContext): string | undefined {
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

function flowThroughTile(node: Node, context: FlowContext): string | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const repeats = inputOf(node, 1);
  const counts =
    repeats === undefined || context.constant(repeats) === undefined ? undefined : context.integers(repeats);
  if (counts?.[label.axis] !== 1) return 'repeats the channels';
  context.write(node.outputs[0], label);
  return undefined;
}

export const shapeRules: readonly OperatorRule[] = [
  { operators: ['Reshape'], sizeInputs: [1], flow: flowThroughReshape, cut: cutReshape },
  { operators: ['Flatten'], flow: flowThroughFlatten },
  { operators: ['Transpose'], flow: flowThroughTranspose },
  { operators: ['Squeeze'], flow: flowThroughSqueeze, cut: cutSqueeze },
  { operators: ['Unsqueeze'], flow: flowThroughUnsqueeze },
  { operators: ['Expand'], sizeInputs: [1], flow: flowThroughExpand, cut: cutExpand },
  { operators: ['Tile'], flow: flowThroughTile },
];
