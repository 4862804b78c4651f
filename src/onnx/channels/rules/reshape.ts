import { intAttribute, intsAttribute } from '../../attributes';
import type { Dimension, Node } from '../../ir';
import { followAxis } from '../reshapeAxes';
import type { CutContext, FlowContext, GraphFacts, KeptPositions, OperatorRule, Refusal } from '../rule';
import { inputOf, withInput, withInts } from '../rule';
import type { Shuffle } from '../shuffles';
import type { ChannelLabel } from '../slots';
import { FIXED } from '../slots';

/** Carries a label into another shape of the same elements; ties what has to go together there. */
function reshapeLabel(node: Node, label: ChannelLabel, context: FlowContext): Refusal | undefined {
  const input = context.shapeOf(node.inputs[0] ?? '');
  const output = context.shapeOf(node.outputs[0] ?? '');
  if (input === undefined || output === undefined) return 'reshapes to an unknown shape';
  const move = followAxis(input, output, label.axis, axisThatReadersNeed(node, context));
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

/** These operators take their channels from axis 1 and nowhere else. */
const CHANNELS_FIRST: ReadonlySet<string> = new Set([
  ...['Conv', 'ConvTranspose', 'BatchNormalization', 'GroupNormalization', 'InstanceNormalization'],
  ...['MaxPool', 'AveragePool', 'LpPool', 'GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'],
]);

function axisThatReadersNeed(node: Node, context: FlowContext): number | undefined {
  const output = node.outputs[0] ?? '';
  const takesChannels = ({ domain, opType, inputs }: Node): boolean =>
    domain === '' && inputs[0] === output && CHANNELS_FIRST.has(opType);
  return context.readersOf(output).some(takesChannels) ? 1 : undefined;
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

function flowThroughReshape(node: Node, context: FlowContext): Refusal | undefined {
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
  const part = context.shuffleOf(node);
  if (part?.isLast === true) return asGather(node, part.shuffle, context);
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

/** The order of the positions that stay, for the three nodes of a shuffle; the first two are dead then. */
function asGather(node: Node, { source, axis, order }: Shuffle, context: CutContext): Node {
  const input = context.kept(source);
  if (input === undefined) return node;
  const newPosition = new Map(input.positions.map((position, index) => [position, index]));
  const indices =
    input.axis === axis ? order.map((at) => newPosition.get(at)).filter((index) => index !== undefined) : order;
  const operand = inputOf(node, 1) ?? `${node.outputs[0] ?? ''}_order`;
  return {
    ...node,
    opType: 'Gather',
    inputs: [source, context.integersAs(operand, indices)],
    attributes: new Map([['axis', { kind: 'int', value: axis }]]),
  };
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

function flowThroughFlatten(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  return label === undefined ? undefined : reshapeLabel(node, label, context);
}

export const reshapeRules: readonly OperatorRule[] = [
  { operators: ['Reshape'], sizeInputs: [1], flow: flowThroughReshape, cut: cutReshape },
  { operators: ['Flatten'], flow: flowThroughFlatten },
];
