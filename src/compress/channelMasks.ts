import { expected } from '../errors';
import type { ChannelMask } from '../types';
import type { ChannelGroup } from '../onnx/channels/types';
import { maskFor } from './groups';

/** What is asked for by group: the group's id, and the slots (numbered from 0 to size − 1) that stay. */
export type KeptSlots = Readonly<Record<string, readonly number[]>>;

/** One score a slot, by group id; the larger, the more it is worth. */
export type SlotScores = Readonly<Record<string, ArrayLike<number>>>;

/**
 * The mask that keeps these slots of these groups, and all of the others. Needs no model: `groups` are what
 * `listChannelGroups` gave.
 *
 * Errors: ERR_OPTION for an id that no group has, a group that can not be cut, a slot that it does not have or that is
 * listed twice, and an empty list.
 */
export function maskFromKeptSlots(groups: readonly ChannelGroup[], kept: KeptSlots): ChannelMask {
  return Object.entries(kept).reduce<ChannelMask>((mask, [id, slots]) => {
    const group = groupToCut(groups, id);
    const stays = new Set<number>();
    for (const slot of slots) {
      if (!Number.isInteger(slot) || slot < 0 || slot >= group.size || stays.has(slot))
        throw expected('ERR_OPTION', `slots from 0 to ${group.size - 1}, each once,`, `channel group "${id}"`, slot);
      stays.add(slot);
    }
    if (stays.size === 0)
      throw expected('ERR_OPTION', 'at least one slot to stay', `channel group "${id}"`, slots, {
        remedy: 'Keep one slot of every group.',
      });
    return { ...mask, ...maskFor(group, removedFrom(group, stays)) };
  }, {});
}

/**
 * The mask that keeps the best slots of every group that has scores: as many as `keep` says, at least one. Equal scores go
 * to the lower slot, so the answer is unique.
 *
 * @param keep how many slots of a group stay: a fraction of its size, rounded up, or a function that gives the number
 *
 * Errors: ERR_OPTION as `maskFromKeptSlots`, and where scores are not one finite number a slot, or the number to keep is
 * no whole number from 1 to the group's size.
 */
export function maskFromScores(
  groups: readonly ChannelGroup[],
  scores: SlotScores,
  keep: number | ((group: ChannelGroup) => number),
): ChannelMask {
  if (typeof keep === 'number' && !(keep > 0 && keep <= 1))
    throw expected('ERR_OPTION', 'a fraction above 0 and up to 1', 'keep', keep);
  const kept: Record<string, readonly number[]> = {};
  for (const [id, values] of Object.entries(scores)) {
    const group = groupToCut(groups, id);
    const list = Array.from(values);
    if (list.length !== group.size || !list.every(Number.isFinite))
      throw expected('ERR_OPTION', `${group.size} finite scores`, `channel group "${id}"`, values);
    const count = countToKeep(group, keep);
    kept[id] = list
      .map((score, slot) => ({ score, slot }))
      .sort((left, right) => right.score - left.score || left.slot - right.slot)
      .slice(0, count)
      .map(({ slot }) => slot);
  }
  return maskFromKeptSlots(groups, kept);
}

function countToKeep(group: ChannelGroup, keep: number | ((group: ChannelGroup) => number)): number {
  if (typeof keep === 'number') return Math.ceil(keep * group.size);
  const count = keep(group);
  if (!Number.isInteger(count) || count < 1 || count > group.size)
    throw expected('ERR_OPTION', `a whole number from 1 to ${group.size}`, `what to keep of "${group.id}"`, count);
  return count;
}

function groupToCut(groups: readonly ChannelGroup[], id: string): ChannelGroup {
  const group = groups.find((candidate) => candidate.id === id);
  if (group === undefined)
    throw expected('ERR_OPTION', 'the id of a channel group', 'a mask', id, {
      remedy: 'Take ids that listChannelGroups gives for this model.',
    });
  if (!group.prunable)
    throw expected('ERR_OPTION', 'a channel group that can be cut', 'a mask', id, {
      remedy: `Leave it out: ${group.reason ?? 'it can not be cut'}.`,
    });
  return group;
}

function removedFrom(group: ChannelGroup, stays: ReadonlySet<number>): ReadonlySet<number> {
  return new Set(Array.from({ length: group.size }, (_, slot) => slot).filter((slot) => !stays.has(slot)));
}
