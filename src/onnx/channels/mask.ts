import { expected } from '../../errors';
import type { ChannelMask } from '../../types';
import type { KeptPositions } from './rule';
import type { ChannelAnalysis, ChannelGroup, GroupMember } from './types';

/** Slots to remove, ascending, by group id. Groups that lose nothing are not in it. */
export type RemovedSlots = ReadonlyMap<string, readonly number[]>;

/** What one entry of a mask says about one group: of the slots that its tensor shows, those that go. */
interface Statement {
  readonly member: GroupMember;
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
  const byTensor = membershipsByTensor(analysis);
  const statements = new Map<string, Statement[]>();
  for (const [tensor, indices] of Object.entries(mask))
    for (const [group, statement] of readEntry(tensor, indices, byTensor.get(tensor))) {
      const list = statements.get(group) ?? [];
      for (const earlier of list) requireAgreement(earlier, statement);
      statements.set(group, [...list, statement]);
    }
  const removed = new Map<string, readonly number[]>();
  for (const { id, size } of analysis.groups) {
    const list = statements.get(id)?.filter((statement) => statement.removed.size > 0) ?? [];
    if (list.length === 0) continue;
    const flags = new Uint8Array(size);
    for (const statement of list) for (const slot of statement.removed) flags[slot] = 1;
    removed.set(id, positionsOf(1, flags));
  }
  return removed;
}

const memberships = new WeakMap<ChannelAnalysis, ReadonlyMap<string, readonly Membership[]>>();

/** A search for a budget reads dozens of masks of one analysis: this is gathered once. */
function membershipsByTensor(analysis: ChannelAnalysis): ReadonlyMap<string, readonly Membership[]> {
  const gathered = memberships.get(analysis);
  if (gathered !== undefined) return gathered;
  const result = new Map<string, Membership[]>();
  for (const group of analysis.groups)
    for (const member of group.members) {
      const list = result.get(member.tensor);
      if (list === undefined) result.set(member.tensor, [{ group, member }]);
      else list.push({ group, member });
    }
  memberships.set(analysis, result);
  return result;
}

function readEntry(
  tensor: string,
  indices: readonly number[],
  candidates: readonly Membership[] | undefined,
): Map<string, Statement> {
  const [first] = candidates ?? [];
  if (candidates === undefined || first === undefined)
    throw expected('ERR_OPTION', 'a tensor whose channels a layer produces', 'an entry of the channel mask', tensor, {
      remedy: 'List the channel groups with "inspect" and name a member of one of them.',
    });
  const extent = first.member.slots.length;
  const removed = new Map<string, Set<number>>();
  for (const index of indices) {
    if (!Number.isInteger(index) || index < 0 || index >= extent)
      throw expected('ERR_OPTION', `channel indices from 0 to ${extent - 1}`, `"${tensor}" in the channel mask`, index);
    const owner = candidates.find(({ member }) => (member.slots[index] ?? -1) >= 0);
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
    candidates.map(({ group, member }) => [group.id, { member, removed: removed.get(group.id) ?? new Set<number>() }]),
  );
}

function requireAgreement(first: Statement, second: Statement): void {
  const others = shownBy(second.member.slots).slots;
  for (const [slot, isShown] of shownBy(first.member.slots).slots.entries())
    if (isShown === 1 && others[slot] === 1 && first.removed.has(slot) !== second.removed.has(slot)) {
      const [naming, other] = first.removed.has(slot) ? [first, second] : [second, first];
      throw expected(
        'ERR_OPTION',
        `"${other.member.tensor}" to lose the same channels as "${naming.member.tensor}"`,
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

/** Of the group that an index map is of: positions that belong to it, and 1 for each of its slots that is shown. */
interface Shown {
  readonly positions: Uint32Array;
  readonly slots: Uint8Array;
}

/** By index map, which tensors share. */
const shown = new WeakMap<readonly number[], Shown>();

/** Positions are few of a concatenated tensor, which is a member of many groups. */
function shownBy(slots: readonly number[]): Shown {
  const known = shown.get(slots);
  if (known !== undefined) return known;
  const positions: number[] = [];
  const flags = new Uint8Array(1 + slots.reduce((highest, slot) => Math.max(highest, slot), -1));
  for (const [position, slot] of slots.entries()) {
    if (slot < 0) continue;
    positions.push(position);
    flags[slot] = 1;
  }
  const found = { positions: Uint32Array.from(positions), slots: flags };
  shown.set(slots, found);
  return found;
}

/** Tensors that show the same slots at the same positions, as those between one layer and the next mostly do. */
interface Lookalikes {
  readonly size: number;
  readonly memberships: readonly Membership[];
  readonly tensors: readonly { readonly tensor: string; readonly axis: number }[];
}

const lookalikes = new WeakMap<ChannelAnalysis, readonly Lookalikes[]>();

/** In the order of the groups and of their members. */
function lookalikesOf(analysis: ChannelAnalysis): readonly Lookalikes[] {
  const known = lookalikes.get(analysis);
  if (known !== undefined) return known;
  const numbers = new Map<readonly number[], number>();
  const found = new Map<string, Lookalikes & { tensors: { tensor: string; axis: number }[] }>();
  for (const [tensor, list] of membershipsByTensor(analysis)) {
    const [first] = list;
    if (first === undefined) continue;
    for (const { member } of list) if (!numbers.has(member.slots)) numbers.set(member.slots, numbers.size);
    const key = list.map(({ group, member }) => `${group.id}\0${numbers.get(member.slots) ?? -1}`).join('\0');
    const own = found.get(key) ?? { size: first.member.slots.length, memberships: list, tensors: [] };
    own.tensors.push({ tensor, axis: first.member.axis });
    found.set(key, own);
  }
  const result = [...found.values()];
  lookalikes.set(analysis, result);
  return result;
}

/** What is left of every tensor that loses something. */
export function keptPositions(analysis: ChannelAnalysis, removed: RemovedSlots): ReadonlyMap<string, KeptPositions> {
  const goes = new Map<string, Uint8Array>();
  for (const { id, size } of analysis.groups) {
    const list = removed.get(id) ?? [];
    if (list.length === 0) continue;
    const flags = new Uint8Array(size);
    for (const slot of list) flags[slot] = 1;
    goes.set(id, flags);
  }
  const kept = new Map<string, KeptPositions>();
  for (const { size, memberships: list, tensors } of lookalikesOf(analysis)) {
    const gone = positionsThatGo(size, list, goes);
    if (gone === undefined) continue;
    const positions = positionsOf(0, gone);
    for (const { tensor, axis } of tensors) kept.set(tensor, { axis, size, positions });
  }
  return kept;
}

/** 1 for each position that goes; undefined where none does. */
function positionsThatGo(
  size: number,
  list: readonly Membership[],
  goes: ReadonlyMap<string, Uint8Array>,
): Uint8Array | undefined {
  let gone: Uint8Array | undefined;
  for (const { group, member } of list) {
    const flags = goes.get(group.id);
    if (flags === undefined) continue;
    const { slots } = member;
    for (const position of shownBy(slots).positions) {
      if (flags[slots[position] ?? -1] !== 1) continue;
      gone ??= new Uint8Array(size);
      gone[position] = 1;
    }
  }
  return gone;
}

function positionsOf(value: 0 | 1, flags: Uint8Array): number[] {
  let count = 0;
  for (const flag of flags) if (flag === value) count++;
  const positions = new Array<number>(count);
  let at = 0;
  for (let position = 0; at < count; position++) if (flags[position] === value) positions[at++] = position;
  return positions;
}

/** What a mask leaves of every tensor that loses something. Throws as `resolveMask` does. */
export function keptByMask(analysis: ChannelAnalysis, mask: ChannelMask): ReadonlyMap<string, KeptPositions> {
  const kept = keptPositions(analysis, readMask(analysis, mask));
  requireSomethingLeft(kept);
  return kept;
}
