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
  requireSomethingLeft(analysis, removed);
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
      const shown = new Set(member.slots.filter((slot) => slot >= 0));
      return [group.id, { tensor, shown, removed: removed.get(group.id) ?? new Set<number>() }];
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
function requireSomethingLeft(analysis: ChannelAnalysis, removed: RemovedSlots): void {
  for (const [tensor, { positions }] of keptPositions(analysis, removed))
    if (positions.length === 0)
      throw expected('ERR_OPTION', 'at least one channel to stay', `"${tensor}"`, 'a mask that removes all of them', {
        remedy: 'Keep one channel of every tensor, or remove the whole layer.',
      });
}

/** What is left of every tensor that loses something. */
export function keptPositions(analysis: ChannelAnalysis, removed: RemovedSlots): ReadonlyMap<string, KeptPositions> {
  const gone = new Map<string, { readonly axis: number; readonly size: number; readonly positions: Set<number> }>();
  for (const group of analysis.groups) {
    const slots = new Set(removed.get(group.id));
    if (slots.size === 0) continue;
    for (const member of group.members) {
      const known = gone.get(member.tensor) ?? { axis: member.axis, size: member.slots.length, positions: new Set() };
      member.slots.forEach((slot, position) => {
        if (slots.has(slot)) known.positions.add(position);
      });
      if (known.positions.size > 0) gone.set(member.tensor, known);
    }
  }
  return new Map(
    [...gone].map(([tensor, { axis, size, positions }]) => {
      const kept = Array.from({ length: size }, (_, position) => position).filter(
        (position) => !positions.has(position),
      );
      return [tensor, { axis, size, positions: kept }];
    }),
  );
}
