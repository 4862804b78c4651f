import { expected } from '../../errors';
import type { ChannelMask } from '../../types';
import type { KeptPositions } from './rule';
import type { ChannelAnalysis, ChannelGroup, GroupMember } from './types';

/** Slots to remove, ascending, by group id. Groups that lose nothing are not in it. */
export type RemovedSlots = ReadonlyMap<string, readonly number[]>;

/** What one entry of a mask says about one group: slots its tensor shows, and those of them that go. */
interface Statement {
  readonly tensor: string;
  readonly shown: ReadonlySet<number>;
  readonly removed: ReadonlySet<number>;
}

interface Membership {
  readonly group: ChannelGroup;
  readonly member: GroupMember;
}

/**
 * Turns channel indices of tensors into slots of groups. A tensor may show only some slots of its group and may
 * show one slot several times; naming one position of a slot removes the slot.
 *
 * Throws ERR_OPTION where a tensor carries no channels that can be cut, an index is no channel of it or belongs to
 * channels that have to stay, two tensors of one group contradict each other, or nothing would be left of a tensor.
 */
export function resolveMask(analysis: ChannelAnalysis, mask: ChannelMask): RemovedSlots {
  const removed = readMask(analysis, mask);
  requireSomethingLeft(keptPositions(analysis, removed));
  return removed;
}

function readMask(analysis: ChannelAnalysis, mask: ChannelMask): RemovedSlots {
  const memberships = membershipsByTensor(analysis);
  const statements = new Map<string, Statement[]>();
  for (const [tensor, indices] of Object.entries(mask))
    for (const [group, statement] of readEntry(tensor, indices, memberships.get(tensor))) {
      const list = statements.get(group) ?? [];
      for (const earlier of list) requireAgreement(earlier, statement);
      statements.set(group, [...list, statement]);
    }
  const removed = new Map<string, readonly number[]>();
  for (const { id } of analysis.groups) {
    const slots = new Set(statements.get(id)?.flatMap((statement) => [...statement.removed]));
    if (slots.size > 0)
      removed.set(
        id,
        [...slots].sort((left, right) => left - right),
      );
  }
  return removed;
}

function membershipsByTensor(analysis: ChannelAnalysis): Map<string, Membership[]> {
  const result = new Map<string, Membership[]>();
  for (const group of analysis.groups)
    for (const member of group.members) {
      const list = result.get(member.tensor) ?? [];
      list.push({ group, member });
      result.set(member.tensor, list);
    }
  return result;
}

function readEntry(
  tensor: string,
  indices: readonly number[],
  memberships: readonly Membership[] | undefined,
): Map<string, Statement> {
  const [first] = memberships ?? [];
  if (memberships === undefined || first === undefined)
    throw expected('ERR_OPTION', 'a tensor whose channels a layer produces', 'an entry of the channel mask', tensor, {
      remedy: 'List the channel groups with "inspect" and name a member of one of them.',
    });
  const extent = first.member.slots.length;
  const removed = new Map<string, Set<number>>();
  for (const index of indices) {
    if (!Number.isInteger(index) || index < 0 || index >= extent)
      throw expected('ERR_OPTION', `channel indices from 0 to ${extent - 1}`, `"${tensor}" in the channel mask`, index);
    const owner = memberships.find(({ member }) => (member.slots[index] ?? -1) >= 0);
    if (owner === undefined)
      throw expected(
        'ERR_OPTION',
        'channels that can be cut',
        `"${tensor}" in the channel mask`,
        `channel ${index}, which has to stay`,
      );
    if (!owner.group.prunable)
      throw expected('ERR_OPTION', 'channels that can be cut', `"${tensor}" in the channel mask`, `channel ${index}`, {
        remedy: `Leave it out: ${owner.group.reason ?? 'its group can not be cut'}.`,
      });
    const slots = removed.get(owner.group.id) ?? new Set();
    removed.set(owner.group.id, slots.add(owner.member.slots[index] ?? 0));
  }
  return new Map(
    memberships.map(({ group, member }) => {
      const shownSlots = new Set(shownPositions(member).map((position) => member.slots[position] ?? -1));
      return [group.id, { tensor, shown: shownSlots, removed: removed.get(group.id) ?? new Set<number>() }];
    }),
  );
}

function requireAgreement(first: Statement, second: Statement): void {
  for (const slot of first.shown)
    if (second.shown.has(slot) && first.removed.has(slot) !== second.removed.has(slot)) {
      const [naming, other] = first.removed.has(slot) ? [first, second] : [second, first];
      throw expected(
        'ERR_OPTION',
        `"${other.tensor}" to lose the same channels as "${naming.tensor}"`,
        'two tensors of one channel group in the mask',
        'lists that contradict each other',
        { remedy: 'Name one tensor of a group only.' },
      );
    }
}

/** A tensor may show only some slots of its group, so it can run empty before the group does. */
function requireSomethingLeft(kept: ReadonlyMap<string, KeptPositions>): void {
  for (const [tensor, { positions }] of kept)
    if (positions.length === 0)
      throw expected('ERR_OPTION', 'at least one channel to stay', `"${tensor}"`, 'a mask that removes all of them', {
        remedy: 'Keep one channel of every tensor, or remove the whole layer.',
      });
}

const shown = new WeakMap<GroupMember, readonly number[]>();

/** Positions that belong to the group: few of a concatenated tensor, which is a member of many groups. */
function shownPositions(member: GroupMember): readonly number[] {
  let positions = shown.get(member);
  if (positions === undefined) {
    positions = member.slots.flatMap((slot, position) => (slot >= 0 ? [position] : []));
    shown.set(member, positions);
  }
  return positions;
}

/** What is left of every tensor that loses something. */
export function keptPositions(analysis: ChannelAnalysis, removed: RemovedSlots): ReadonlyMap<string, KeptPositions> {
  const gone = new Map<string, { readonly axis: number; readonly flags: Uint8Array }>();
  for (const group of analysis.groups) {
    const slots = new Set(removed.get(group.id));
    if (slots.size === 0) continue;
    for (const member of group.members) {
      let flags = gone.get(member.tensor)?.flags;
      for (const position of shownPositions(member)) {
        if (!slots.has(member.slots[position] ?? -1)) continue;
        flags ??= new Uint8Array(member.slots.length);
        flags[position] = 1;
      }
      if (flags !== undefined) gone.set(member.tensor, { axis: member.axis, flags });
    }
  }
  return new Map(
    [...gone].map(([tensor, { axis, flags }]) => {
      const positions: number[] = [];
      for (let position = 0; position < flags.length; position++) if (flags[position] === 0) positions.push(position);
      return [tensor, { axis, size: flags.length, positions }];
    }),
  );
}

/** What a mask leaves of every tensor that loses something. Throws as `resolveMask` does. */
export function keptByMask(analysis: ChannelAnalysis, mask: ChannelMask): ReadonlyMap<string, KeptPositions> {
  const kept = keptPositions(analysis, readMask(analysis, mask));
  requireSomethingLeft(kept);
  return kept;
}
