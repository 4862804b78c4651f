import { expected } from '../errors';
import type { ChannelAnalysis, ChannelGroup, GroupMember } from '../onnx/channels/types';
import { defaultFloor } from './allocation';
import type { ChannelMask, LinearLayer } from '../types';

/** Slots that go, by group id. */
export type RemovedSlots = ReadonlyMap<string, ReadonlySet<number>>;

export function memberOf(group: ChannelGroup, tensor: string): GroupMember | undefined {
  return group.members.find((member) => member.tensor === tensor);
}

/**
 * The slot of each input channel of a consumer of the group (each feature of a dense layer), −1 for channels of other
 * groups. Errors: ERR_RUNTIME where the group and the layer are not of the same state of the graph.
 */
export function consumedSlots(group: ChannelGroup, layer: LinearLayer): Int32Array {
  return slotsIn(group, layer.input, layer.groups * layer.inputsPerGroup, layer.node);
}

/** The slot of each output channel of a producer of the group, −1 for channels of other groups. Errors: as consumedSlots. */
export function producedSlots(group: ChannelGroup, layer: LinearLayer): Int32Array {
  return slotsIn(group, layer.output, layer.outputs, layer.node);
}

function slotsIn(group: ChannelGroup, tensor: string, channels: number, node: string): Int32Array {
  const slots = memberOf(group, tensor)?.slots;
  if (slots?.length !== channels) {
    const subject = `"${tensor}" of node "${node}" in the group "${group.id}"`;
    throw expected('ERR_RUNTIME', `${channels} channels`, subject, slots?.length, {
      remedy: 'Please report the model: `onnx-sieve inspect` shows its channel groups.',
    });
  }
  return Int32Array.from(slots);
}

/**
 * The mask that removes slots of a group. One tensor need not show all slots of its group (a shortcut that pads channels
 * joins narrow tensors to wide ones), so as many tensors are named as are needed to show every slot.
 */
export function maskFor(group: ChannelGroup, removed: ReadonlySet<number>): ChannelMask {
  const mask: Record<string, readonly number[]> = {};
  const shown = new Uint8Array(group.size);
  for (const { tensor, slots } of group.members) {
    if (!shown.includes(0)) break;
    if (slots.every((slot) => slot < 0 || shown[slot] === 1)) continue;
    for (const slot of slots) if (slot >= 0) shown[slot] = 1;
    const indices: number[] = [];
    for (const [index, slot] of slots.entries()) if (removed.has(slot)) indices.push(index);
    if (indices.length > 0) mask[tensor] = indices;
  }
  return mask;
}

/**
 * The slots that go when `count` of a group stay: the last of `order`, except that no tensor of the group falls below a
 * floor of its own (a tensor may show only some of the slots). Fewer slots stay only together with all that stay of more.
 */
export function removedSlots(group: ChannelGroup, order: readonly number[], count: number): Set<number> {
  const kept = new Uint8Array(group.size);
  let left = count;
  const keep = (slot: number): void => {
    if (kept[slot] === 0) left--;
    kept[slot] = 1;
  };
  for (const shown of shownSetsOf(group)) {
    const ranked = order.filter((slot) => shown.has(slot));
    for (const slot of ranked.slice(0, defaultFloor(ranked.length))) keep(slot);
  }
  for (const slot of order) {
    if (left <= 0) break;
    keep(slot);
  }
  const removed = new Set<number>();
  for (const slot of order) if (kept[slot] === 0) removed.add(slot);
  return removed;
}

const shownSets = new WeakMap<ChannelGroup, readonly ReadonlySet<number>[]>();

/** What tensors show of a group, each set once: a search for a budget asks dozens of times. */
function shownSetsOf(group: ChannelGroup): readonly ReadonlySet<number>[] {
  const known = shownSets.get(group);
  if (known !== undefined) return known;
  const byContent = new Map<string, ReadonlySet<number>>();
  for (const slots of new Set(group.members.map((member) => member.slots))) {
    const shown = new Set(slots.filter((slot) => slot >= 0));
    byContent.set([...shown].join(), shown);
  }
  const found = [...byContent.values()];
  shownSets.set(group, found);
  return found;
}

/** Whether every tensor of the group shows all of its slots, so that any slots of the same number cost the same. */
export function isUniform(group: ChannelGroup): boolean {
  return group.members.every(({ slots }) => new Set(slots.filter((slot) => slot >= 0)).size === group.size);
}

/** Axis and indices that stay of a tensor; undefined where nothing of it goes. */
export function keptOf(
  analysis: ChannelAnalysis,
  tensor: string,
  removed: RemovedSlots,
): { readonly axis: number; readonly kept: readonly number[] } | undefined {
  const gone = new Set<number>();
  let found: GroupMember | undefined;
  for (const group of analysis.groups) {
    const slots = removed.get(group.id);
    const member = slots && memberOf(group, tensor);
    if (slots === undefined || member === undefined) continue;
    found = member;
    member.slots.forEach((slot, index) => {
      if (slots.has(slot)) gone.add(index);
    });
  }
  if (found === undefined || gone.size === 0) return undefined;
  return { axis: found.axis, kept: found.slots.flatMap((_, index) => (gone.has(index) ? [] : [index])) };
}
