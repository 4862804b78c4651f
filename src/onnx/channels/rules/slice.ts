import { intsAttribute } from '../../attributes';
import type { Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import type { CutContext, FlowContext, GraphFacts, KeptPositions, OperatorRule, Refusal } from '../rule';
import { inputOf, range, withInput, withInts } from '../rule';
import { FIXED } from '../slots';

interface SliceOperands {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly number[];
  readonly steps: readonly number[];
}

/** Attributes before operator set 10, inputs 1 to 4 from then on. */
function sliceOperands(node: Node, rank: number, facts: GraphFacts): SliceOperands | undefined {
  const read = (index: number, attribute: string) => {
    const operand = inputOf(node, index);
    return operand === undefined ? intsAttribute(node, attribute) : (facts.integers(operand) ?? null);
  };
  const starts = read(1, 'starts');
  const ends = read(2, 'ends');
  const axes = read(3, 'axes');
  const steps = read(4, 'steps');
  if (!starts || !ends || axes === null || steps === null) return undefined;
  const normalized = (axes ?? range(starts.length)).map((axis) => normalizeAxis(axis, rank) ?? 0);
  return { starts, ends, axes: normalized, steps: steps ?? starts.map(() => 1) };
}

/** Axes that a slice touches, also where its bounds are computed. */
function slicedAxes(node: Node, rank: number, facts: GraphFacts): readonly number[] | undefined {
  const operand = inputOf(node, 3);
  const axes = operand === undefined ? intsAttribute(node, 'axes') : facts.integers(operand);
  return axes?.map((axis) => normalizeAxis(axis, rank) ?? 0);
}

function flowThroughSlice(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const { rank } = label;
  const operands = sliceOperands(node, rank, context);
  const axes = operands?.axes ?? slicedAxes(node, rank, context);
  if (axes === undefined) return 'slices along axes that are not constant';
  if (operands === undefined && node.inputs.some((name) => context.countsChannels(name)))
    return 'slices at positions that are computed from the number of channels';
  const entry = axes.indexOf(label.axis);
  if (entry < 0) {
    context.write(node.outputs[0], label);
    return undefined;
  }
  if (operands === undefined) return 'slices the channels at computed positions';
  if (operands.steps[entry] !== 1) {
    if (operands.axes.length > 1) return 'takes the channels in steps and slices other axes as well';
    const taken = positionsInSteps(operands, label.slots.length);
    context.write(node.outputs[0], {
      axis: label.axis,
      slots: taken.map((position) => label.slots[position] ?? FIXED),
    });
    return undefined;
  }
  const [start, end] = sliceBounds(operands, entry, label.slots.length);
  context.write(node.outputs[0], { axis: label.axis, slots: label.slots.slice(start, end) });
  return undefined;
}

/** Negative bounds count from the end; bounds beyond an end mean that end. Step 1. */
function sliceBounds(operands: SliceOperands, entry: number, extent: number): [start: number, end: number] {
  const clamp = (bound: number) => Math.min(Math.max(bound < 0 ? bound + extent : bound, 0), extent);
  return [clamp(operands.starts[entry] ?? 0), clamp(operands.ends[entry] ?? 0)];
}

/** Positions that a step other than 1 takes along the only sliced axis; a negative one goes backwards. */
function positionsInSteps({ starts, ends, steps }: SliceOperands, extent: number): number[] {
  const [start = 0] = starts;
  const [end = 0] = ends;
  const [step = 1] = steps;
  const fromFront = (bound: number) => (bound < 0 ? bound + extent : bound);
  const taken: number[] = [];
  if (step > 0)
    for (let at = Math.max(fromFront(start), 0); at < Math.min(fromFront(end), extent); at += step) taken.push(at);
  if (step < 0)
    for (let at = Math.min(fromFront(start), extent - 1); at > Math.max(fromFront(end), -1); at += step) taken.push(at);
  return taken;
}

/** What is left of every other channel is not every other channel: the positions are listed instead. */
function asGather(node: Node, taken: readonly number[], kept: KeptPositions, context: CutContext): Node {
  const newPosition = new Map(kept.positions.map((position, index) => [position, index]));
  const indices = taken.map((position) => newPosition.get(position)).filter((index) => index !== undefined);
  const [input = '', , operand = `${node.outputs[0] ?? ''}_indices`] = node.inputs;
  return {
    ...node,
    opType: 'Gather',
    inputs: [input, context.integersAs(operand, indices)],
    attributes: new Map([['axis', { kind: 'int', value: kept.axis }]]),
  };
}

function cutSlice(node: Node, context: CutContext): Node {
  const kept = context.kept(node.inputs[0]);
  const rank = context.shapeOf(node.inputs[0] ?? '')?.length ?? 0;
  const operands = sliceOperands(node, rank, context);
  if (operands === undefined) return node;
  const entry = kept === undefined ? -1 : operands.axes.indexOf(kept.axis);
  if (kept === undefined || entry < 0) return withBounds(node, operands.starts, operands.ends, context);
  if (operands.steps[entry] !== 1) return asGather(node, positionsInSteps(operands, kept.size), kept, context);
  const [start, end] = sliceBounds(operands, entry, kept.size);
  const before = kept.positions.filter((position) => position < start).length;
  const within = kept.positions.filter((position) => position >= start && position < end).length;
  const replace = (values: readonly number[], value: number) =>
    values.map((old, index) => (index === entry ? value : old));
  const starts = replace(operands.starts, before);
  const ends = replace(operands.ends, before + within);
  return withBounds(node, starts, ends, context);
}

/** New bounds, and the old ones as constants where they were computed from a number of channels. */
function withBounds(node: Node, starts: readonly number[], ends: readonly number[], context: CutContext): Node {
  if (inputOf(node, 1) === undefined) return withInts(withInts(node, 'starts', starts), 'ends', ends);
  const same = (name: string, values: readonly number[]) =>
    context.constant(name) !== undefined && context.integers(name)?.every((value, index) => value === values[index]);
  return [starts, ends].reduce((changed, values, index) => {
    const operand = node.inputs[index + 1] ?? '';
    return same(operand, values) ? changed : withInput(changed, index + 1, context.integersAs(operand, values));
  }, node);
}

export const sliceRule: OperatorRule = {
  operators: ['Slice'],
  sizeInputs: [1, 2],
  flow: flowThroughSlice,
  cut: cutSlice,
};
