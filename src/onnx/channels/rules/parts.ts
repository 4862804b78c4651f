import { intAttribute, intsAttribute, stringAttribute } from '../../attributes';
import type { Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import type { CutContext, FlowContext, GraphFacts, OperatorRule } from '../rule';
import { inputOf, range, withInput, withInts } from '../rule';
import { FIXED } from '../slots';

function flowThroughConcat(node: Node, context: FlowContext): string | undefined {
  const labels = node.inputs.map((name) => context.label(name));
  const known = labels.filter((label) => label !== undefined);
  const [first] = known;
  if (first === undefined) return undefined;
  const rank = context.shapeOf(node.inputs[labels.indexOf(first)] ?? '')?.length;
  const axis = rank === undefined ? undefined : normalizeAxis(intAttribute(node, 'axis') ?? 1, rank);
  if (axis === undefined) return 'joins tensors of unknown rank';
  if (known.some((label) => label.axis !== first.axis)) return 'joins channels along different axes';
  return first.axis === axis ? concatenate(node, axis, context) : stack(node, context);
}

/** Along the channel axis: one list after the other; what has no slots keeps its place. */
function concatenate(node: Node, axis: number, context: FlowContext): string | undefined {
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
function stack(node: Node, context: FlowContext): string | undefined {
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
  const rank = facts.shapeOf(node.inputs[0] ?? '')?.length;
  return rank === undefined ? undefined : normalizeAxis(intAttribute(node, 'axis') ?? 0, rank);
}

function flowThroughSplit(node: Node, context: FlowContext): string | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const axis = splitAxis(node, context);
  if (axis === undefined) return 'splits a tensor of unknown rank';
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

function flowThroughSlice(node: Node, context: FlowContext): string | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const rank = context.shapeOf(node.inputs[0] ?? '')?.length;
  if (rank === undefined) return 'slices a tensor of unknown rank';
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
  if (operands.steps[entry] !== 1) return 'takes the channels in steps';
  const [start, end] = sliceBounds(operands, entry, label.slots.length);
  context.write(node.outputs[0], { axis: label.axis, slots: label.slots.slice(start, end) });
  return undefined;
}

/** Negative bounds count from the end; bounds beyond an end mean that end. Step 1. */
function sliceBounds(operands: SliceOperands, entry: number, extent: number): [start: number, end: number] {
  const clamp = (bound: number) => Math.min(Math.max(bound < 0 ? bound + extent : bound, 0), extent);
  return [clamp(operands.starts[entry] ?? 0), clamp(operands.ends[entry] ?? 0)];
}

function cutSlice(node: Node, context: CutContext): Node {
  const kept = context.kept(node.inputs[0]);
  const rank = context.shapeOf(node.inputs[0] ?? '')?.length ?? 0;
  const operands = sliceOperands(node, rank, context);
  if (operands === undefined) return node;
  const entry = kept === undefined ? -1 : operands.axes.indexOf(kept.axis);
  if (kept === undefined || entry < 0) return withBounds(node, operands.starts, operands.ends, context);
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

interface ChannelPads {
  readonly pads: readonly number[];
  /** Index in `pads` of what is added before and after the channels; undefined where the axis is not padded. */
  readonly begin: number | undefined;
  readonly end: number | undefined;
}

/** An attribute (once called `paddings`) before operator set 11, an input from then on, with `axes` from 18 on. */
function channelPads(node: Node, rank: number, axis: number, facts: GraphFacts): ChannelPads | undefined {
  const operand = inputOf(node, 1);
  const pads =
    operand === undefined ? (intsAttribute(node, 'pads') ?? intsAttribute(node, 'paddings')) : facts.integers(operand);
  const axesName = inputOf(node, 3);
  const axes =
    axesName === undefined ? range(rank) : facts.integers(axesName)?.map((at) => normalizeAxis(at, rank) ?? 0);
  if (pads === undefined || axes === undefined || pads.length !== 2 * axes.length) return undefined;
  const entry = axes.indexOf(axis);
  if (entry < 0) return { pads, begin: undefined, end: undefined };
  return { pads, begin: entry, end: entry + axes.length };
}

/**
 * Padded channels hold one constant. They get slots of their own, so that an Add can tie them to the channels they
 * meet (the parameter-free shortcut of a residual network) and they go together.
 */
function flowThroughPad(node: Node, context: FlowContext): string | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const rank = context.shapeOf(node.inputs[0] ?? '')?.length;
  const pads = rank === undefined ? undefined : channelPads(node, rank, label.axis, context);
  if (pads === undefined) return 'pads by amounts that are not constant';
  const before = pads.begin === undefined ? 0 : (pads.pads[pads.begin] ?? 0);
  const after = pads.end === undefined ? 0 : (pads.pads[pads.end] ?? 0);
  if (before < 0 || after < 0) return 'crops the channels';
  if (before + after > 0 && (stringAttribute(node, 'mode') ?? 'constant') !== 'constant')
    return 'repeats channels to pad them';
  context.write(node.outputs[0], {
    axis: label.axis,
    slots: [...context.fresh(before), ...label.slots, ...context.fresh(after)],
  });
  return undefined;
}

function cutPad(node: Node, context: CutContext): Node {
  const output = context.kept(node.outputs[0]);
  const rank = context.shapeOf(node.inputs[0] ?? '')?.length ?? 0;
  const pads = output === undefined ? undefined : channelPads(node, rank, output.axis, context);
  if (output === undefined || pads?.begin === undefined || pads.end === undefined) return node;
  const before = pads.pads[pads.begin] ?? 0;
  const after = pads.pads[pads.end] ?? 0;
  const keptBefore = output.positions.filter((position) => position < before).length;
  const keptAfter = output.positions.filter((position) => position >= output.size - after).length;
  if (keptBefore === before && keptAfter === after) return node;
  const changed = pads.pads.map((amount, index) => {
    if (index === pads.begin) return keptBefore;
    return index === pads.end ? keptAfter : amount;
  });
  const operand = inputOf(node, 1);
  if (operand !== undefined) return withInput(node, 1, context.integersAs(operand, changed));
  return withInts(node, node.attributes.has('pads') ? 'pads' : 'paddings', changed);
}

/** Picks channels by constant indices (a channel shuffle, for one), or selects along another axis. */
function flowThroughGather(node: Node, context: FlowContext): string | undefined {
  const [data = '', indicesName = ''] = node.inputs;
  const label = context.label(data);
  if (context.label(indicesName) !== undefined) return 'uses channels as indices';
  if (label === undefined) return undefined;
  const rank = context.shapeOf(data)?.length;
  const axis = rank === undefined ? undefined : normalizeAxis(intAttribute(node, 'axis') ?? 0, rank);
  const indicesRank = context.constant(indicesName)?.dims.length ?? context.shapeOf(indicesName)?.length;
  if (axis === undefined || indicesRank === undefined) return 'gathers from a tensor of unknown rank';
  if (axis !== label.axis) {
    context.write(node.outputs[0], {
      axis: label.axis > axis ? label.axis + indicesRank - 1 : label.axis,
      slots: label.slots,
    });
    return undefined;
  }
  const indices = context.constant(indicesName) === undefined ? undefined : context.integers(indicesName);
  if (indices === undefined || indicesRank !== 1) return 'picks channels by indices that are not a constant list';
  const slots = indices.map((index) => label.slots[normalizeAxis(index, label.slots.length) ?? -1] ?? FIXED);
  context.write(node.outputs[0], { axis, slots });
  return undefined;
}

function cutGather(node: Node, context: CutContext): Node {
  const kept = context.kept(node.inputs[0]);
  const rank = context.shapeOf(node.inputs[0] ?? '')?.length ?? 0;
  if (kept === undefined || normalizeAxis(intAttribute(node, 'axis') ?? 0, rank) !== kept.axis) return node;
  const newPosition = new Map(kept.positions.map((position, index) => [position, index]));
  const indices = (context.integers(node.inputs[1] ?? '') ?? [])
    .map((index) => newPosition.get(normalizeAxis(index, kept.size) ?? -1))
    .filter((index) => index !== undefined);
  return withInput(node, 1, context.integersAs(node.inputs[1] ?? '', indices));
}

export const partRules: readonly OperatorRule[] = [
  { operators: ['Concat'], flow: flowThroughConcat },
  { operators: ['Split'], flow: flowThroughSplit, cut: cutSplit },
  { operators: ['Slice'], sizeInputs: [1, 2], flow: flowThroughSlice, cut: cutSlice },
  { operators: ['Pad'], flow: flowThroughPad, cut: cutPad },
  { operators: ['Gather'], flow: flowThroughGather, cut: cutGather },
];
