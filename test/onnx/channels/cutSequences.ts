import { isSieveError } from '../../../src/errors';
import { intAttribute } from '../../../src/onnx/attributes';
import { keptByMask, keptPositions, resolveMask, type RemovedSlots } from '../../../src/onnx/channels/mask';
import { range, type KeptPositions } from '../../../src/onnx/channels/rule';
import type { ChannelAnalysis } from '../../../src/onnx/channels/types';
import { graphIndex } from '../../../src/onnx/graphIndex';
import type { Graph, Model } from '../../../src/onnx/ir';
import { cutChannels, cutSlots } from '../../../src/onnx/passes/cutChannels';
import { maskPositions } from '../../../src/onnx/passes/maskChannels';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import type { Random } from '../../../src/random';
import type { ChannelMask } from '../../../src/types';
import { analyze, canonicalGraph, randomMask } from './support';

/*
 * What holds of cuts that are made one after the other. Channels are followed by the name of their tensor and their index
 * in it, of which a cut only leaves some (`KeptPositions`).
 *
 * 1. Two cuts compute what the original computes with the channels that they removed together set to zero.
 * 2. Where one cut can remove the same channels, it gives the same graph.
 * 3. What is left to cut of a mask, counted in the graph that was cut by the other part of it, either still means the same
 *    or is refused. It is only refused where a node changed sides: a grouped convolution, or a Reshape that takes channels
 *    apart, is a rectangle of which rows or columns can go, and the analysis offers those of which there are more. A cut of
 *    rows can leave fewer of them than there are columns.
 * 4. What had to stay still has to stay, unless a node changed sides.
 */

type Kept = ReadonlyMap<string, KeptPositions>;

/** What a second cut leaves, counted in the original. A Reshape may have changed the axis: then there are two masks. */
function inOriginal(first: Kept, second: Kept): Kept {
  const result = new Map<string, KeptPositions>();
  for (const [tensor, { axis, size, positions }] of second) {
    const before = first.get(tensor);
    if (before?.axis !== axis) result.set(tensor, { axis, size, positions });
    else
      result.set(tensor, {
        axis,
        size: before.size,
        positions: positions.map((position) => before.positions[position] ?? NaN),
      });
  }
  return result;
}

/**
 * The mask that takes a graph in which `first` is left to one in which `both` is. It names every tensor that is in a group
 * or still loses something.
 */
function stillToCut(graph: Graph, analysis: ChannelAnalysis, first: Kept, both: Kept): ChannelMask {
  const mask: Record<string, readonly number[]> = {};
  for (const { members } of analysis.groups) for (const { tensor } of members) mask[tensor] = [];
  const { producers } = graphIndex(graph);
  for (const [tensor, { size, positions }] of both) {
    if (!producers.has(tensor)) continue;
    const stays = new Set(positions);
    const before = first.get(tensor)?.positions ?? range(size);
    const indices = before.flatMap((position, index) => (stays.has(position) ? [] : [index]));
    if (indices.length > 0) mask[tensor] = indices;
  }
  return mask;
}

/** The slots of which some position is gone. */
function slotsWithout(analysis: ChannelAnalysis, kept: Kept): RemovedSlots {
  const removed = new Map<string, readonly number[]>();
  for (const { id, size, members } of analysis.groups) {
    const gone = new Set<number>();
    for (const { tensor, slots } of members) {
      const left = kept.get(tensor) && new Set(kept.get(tensor)?.positions);
      for (const [position, slot] of slots.entries()) if (slot >= 0 && left?.has(position) === false) gone.add(slot);
    }
    if (gone.size > 0)
      removed.set(
        id,
        range(size).filter((slot) => gone.has(slot)),
      );
  }
  return removed;
}

function isSame(first: Kept, second: Kept, tensors: ReadonlySet<string>): boolean {
  const describe = (kept: KeptPositions | undefined) => kept && `${kept.axis}: ${kept.positions.join()}`;
  return [...tensors].every((tensor) => describe(first.get(tensor)) === describe(second.get(tensor)));
}

/** By the tensor that a node writes: which side of a rectangle of channels the analysis offers there. */
function offeredSides(model: Model, analysis: ChannelAnalysis): ReadonlyMap<string, string> {
  const axes = new Map(analysis.groups.flatMap(({ members }) => members.map(({ tensor, axis }) => [tensor, axis])));
  const shapes = inferShapes(model);
  const sides = new Map<string, string>();
  for (const node of model.graph.nodes) {
    const [output = ''] = node.outputs;
    if (node.opType === 'Reshape') sides.set(output, `axis ${axes.get(output) ?? '?'}`);
    if (node.opType !== 'Conv' && node.opType !== 'ConvTranspose') continue;
    const groups = intAttribute(node, 'group', 1);
    const channels = shapes.get(node.inputs[0] ?? '')?.[1];
    sides.set(output, groups > 1 && groups > Number(channels) / groups ? 'groups' : 'positions');
  }
  return sides;
}

function hasChangedSides(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): boolean {
  return [...after].some(([tensor, side]) => before.has(tensor) && before.get(tensor) !== side);
}

/** One part holds some groups, the other the rest; or each holds some slots of every group. */
function halves(analysis: ChannelAnalysis, mask: ChannelMask, bySlot: boolean): [RemovedSlots, RemovedSlots] {
  const removed = resolveMask(analysis, mask);
  const part = (side: number): RemovedSlots =>
    new Map(
      analysis.groups.flatMap(({ id }, index) => {
        const own = (removed.get(id) ?? []).filter((slot) => (bySlot ? slot : index) % 2 === side);
        return own.length === 0 ? [] : [[id, own] as const];
      }),
    );
  return [part(0), part(1)];
}

export interface OrderCounts {
  /** Pairs of cuts that gave the graph that one cut gives. */
  readonly same: number;
  /** Pairs of which the second was refused. */
  readonly refused: number;
}

/** Throws where a mask in two parts, in either order, is neither refused with a reason nor the same as the whole mask. */
export function requireOrderIndependence(model: Model, analysis: ChannelAnalysis, mask: ChannelMask): OrderCounts {
  const whole = canonicalGraph(cutChannels(model, analysis, mask));
  const both = keptByMask(analysis, mask);
  const sides = offeredSides(model, analysis);
  let [same, refused] = [0, 0];
  for (const bySlot of [false, true])
    for (const part of halves(analysis, mask, bySlot)) {
      const first = keptPositions(analysis, part);
      const once = cutSlots(model, analysis, part);
      const again = analyze(once);
      const isUnchanged = !hasChangedSides(sides, offeredSides(once, again));
      if (isUnchanged) requireStaying(analysis, first, again);
      const rest = stillToCut(once.graph, again, first, both);
      const twice = cutUnlessRefused(once, again, rest);
      if (twice === undefined) {
        if (isUnchanged) throw new Error('the rest of a mask is refused');
        refused++;
      } else {
        if (canonicalGraph(twice) !== whole)
          throw new Error(`the order of cuts matters, ${bySlot ? 'slot by slot' : 'group by group'}`);
        same++;
      }
    }
  return { same, refused };
}

function cutUnlessRefused(model: Model, analysis: ChannelAnalysis, mask: ChannelMask): Model | undefined {
  try {
    return cutChannels(model, analysis, mask);
  } catch (error) {
    if (isSieveError(error) && error.code === 'ERR_OPTION') return undefined;
    throw error;
  }
}

/** Throws where a cut frees channels that had to stay; not the last one of a tensor, which never goes. */
function requireStaying(before: ChannelAnalysis, kept: Kept, after: ChannelAnalysis): void {
  const bound = new Set<string>();
  for (const { prunable, members } of before.groups)
    if (!prunable)
      for (const { tensor, axis, slots } of members) {
        const positions = kept.get(tensor)?.positions ?? range(slots.length);
        for (const [index, position] of positions.entries())
          if ((slots[position] ?? -1) >= 0) bound.add(`${tensor} ${axis} ${index}`);
      }
  for (const { prunable, members } of after.groups)
    if (prunable)
      for (const { tensor, axis, slots } of members)
        for (const [index, slot] of slots.entries())
          if (slot >= 0 && slots.length > 1 && bound.has(`${tensor} ${axis} ${index}`))
            throw new Error(`a cut frees channel ${index} of "${tensor}"`);
}

/** A cut of some slots, then one that is chosen anew from the groups there are now. */
export interface Sequence {
  readonly twice: Model;
  /** What must compute the same: the original with all that is gone set to zero. */
  readonly masked: Model;
  /** Whether one cut can remove the same. */
  readonly isOneCut: boolean;
}

/** Throws where one cut can remove the same and gives another graph. */
export function cutTwice(model: Model, analysis: ChannelAnalysis, mask: ChannelMask, random: Random): Sequence {
  const [part] = halves(analysis, mask, true);
  const once = cutSlots(model, analysis, part);
  const again = analyze(once);
  const second = randomMask(again, 0.4, random);
  const twice = cutChannels(once, again, second);
  const first = keptPositions(analysis, part);
  const later = inOriginal(first, keptByMask(again, second));
  const masked = maskPositions(maskPositions(model, first), later);
  const gone = new Map([...first, ...later]);
  const removed = slotsWithout(analysis, gone);
  const isFree = analysis.groups.every(({ id, prunable }) => prunable || !removed.has(id));
  // Tensors that the first cut made superfluous are in no group any more.
  const tensors = new Set(again.groups.flatMap(({ members }) => members.map(({ tensor }) => tensor)));
  const isOneCut = isFree && isSame(keptPositions(analysis, removed), gone, tensors);
  if (isOneCut && canonicalGraph(cutSlots(model, analysis, removed)) !== canonicalGraph(twice))
    throw new Error('two cuts give another graph than one of the same channels');
  return { twice, masked, isOneCut };
}

/** Throws where the order of tensors or of indices in a mask matters, or whether one is named twice. */
export function requireUnorderedMasks(
  model: Model,
  analysis: ChannelAnalysis,
  mask: ChannelMask,
  random: Random,
): void {
  const entries = Object.entries(mask).map(
    ([tensor, indices]) => [tensor, random.shuffle([...indices, ...indices.slice(0, 1)])] as const,
  );
  const expected = Buffer.from(serializeModel(cutChannels(model, analysis, mask)));
  const shuffled = Object.fromEntries(random.shuffle(entries));
  if (!expected.equals(serializeModel(cutChannels(model, analysis, shuffled))))
    throw new Error('the order within a mask matters');
}

/** Throws where a mask that was cut leaves something of itself to cut. */
export function requireNothingLeft(analysis: ChannelAnalysis, mask: ChannelMask, cut: Model): void {
  const kept = keptByMask(analysis, mask);
  const again = analyze(cut);
  const rest = stillToCut(cut.graph, again, kept, kept);
  if (Object.values(rest).some((indices) => indices.length > 0)) throw new Error('what was cut is still there');
  if (cutChannels(cut, again, rest) !== cut) throw new Error('the same cut again changes the graph');
}
