import type { NotCut } from '../../types';
import type { Graph } from '../ir';
import type { ChannelLabel, SlotForest } from './slots';
import { FIXED } from './slots';
import type { ChannelAnalysis, ChannelGroup, GroupMember } from './types';

/** What a layer does with slots. */
export interface LinearUse {
  readonly node: string;
  readonly output: string;
  /** Slots of its output channels, one for each position. */
  readonly produced: number[];
  /** Lists of the slots it contracts over. */
  readonly consumed: (readonly number[])[];
  /** Why its channels could not be followed. */
  readonly refusal: string | undefined;
}

export interface Labelling {
  readonly forest: SlotForest;
  readonly labels: ReadonlyMap<string, ChannelLabel>;
  readonly uses: readonly LinearUse[];
}

/** Of the slots that layers produce, by root: the group each belongs to, and its number in there; −1 for other slots. */
interface Numbering {
  readonly group: Int32Array;
  readonly slot: Int32Array;
}

/**
 * Layers whose outputs share a slot form one group. Slots that no layer produces (padding that nothing was added
 * to) are constants and belong to none.
 */
export function collectGroups(graph: Graph, labelling: Labelling): ChannelAnalysis {
  const { forest, uses } = labelling;
  const producing = uses.filter((use) => use.produced.some((slot) => slot !== FIXED));
  const members = producersByGroup(producing, forest);
  const { numbering, roots } = numberSlots(members, forest);
  const tensors = membersByGroup(labelling, numbering, members.length);
  const consumers = consumersByGroup(uses, forest, numbering, members.length);
  const groups = members.map((producers, group): ChannelGroup => {
    const own = roots[group] ?? [];
    return {
      id: producers[0]?.output ?? '',
      size: own.length,
      members: tensors[group] ?? [],
      producers: producers.map((use) => use.node),
      consumers: consumers[group] ?? [],
      ...verdict(own, forest),
    };
  });
  return { groups, notCut: layersNotCut(graph, uses, groups, members) };
}

/** In the order in which the producers of a group first show its slots; `roots` are those of each group, in that order. */
function numberSlots(
  members: readonly (readonly LinearUse[])[],
  forest: SlotForest,
): { readonly numbering: Numbering; readonly roots: readonly (readonly number[])[] } {
  const numbering = {
    group: new Int32Array(forest.count()).fill(-1),
    slot: new Int32Array(forest.count()).fill(-1),
  };
  const roots = members.map((producers, group) => {
    const own: number[] = [];
    for (const { produced } of producers)
      for (const slot of produced) {
        if (slot === FIXED) continue;
        const root = forest.root(slot);
        if (numbering.group[root] !== -1) continue;
        numbering.group[root] = group;
        numbering.slot[root] = own.length;
        own.push(root);
      }
    return own;
  });
  return { numbering, roots };
}

function producersByGroup(producing: readonly LinearUse[], forest: SlotForest): LinearUse[][] {
  const groupOfRoot = new Map<number, number>();
  const merged: number[] = producing.map((_, index) => index);
  const find = (index: number): number => (merged[index] === index ? index : find(merged[index] ?? index));
  for (const [index, use] of producing.entries())
    for (const slot of use.produced) {
      if (slot === FIXED) continue;
      const root = forest.root(slot);
      const other = find(groupOfRoot.get(root) ?? index);
      const own = find(index);
      merged[Math.max(other, own)] = Math.min(other, own);
      groupOfRoot.set(root, Math.min(other, own));
    }
  const byFirst = new Map<number, LinearUse[]>();
  for (const [index, use] of producing.entries()) {
    const list = byFirst.get(find(index)) ?? [];
    list.push(use);
    byFirst.set(find(index), list);
  }
  return [...byFirst.values()];
}

/**
 * Tensors in the order in which they are defined. Tensors that an operator passes on with the same channels share their
 * index maps: behind every Concat of a dense network there are as many of them as groups, each as long as the tensor.
 */
function membersByGroup({ forest, labels }: Labelling, numbering: Numbering, count: number): GroupMember[][] {
  const result = Array.from({ length: count }, (): GroupMember[] => []);
  const known = new Map<readonly number[], readonly (readonly [group: number, slots: readonly number[]])[]>();
  for (const [tensor, { axis, slots }] of labels) {
    const maps = known.get(slots) ?? indexMaps(slots, forest, numbering);
    known.set(slots, maps);
    for (const [group, own] of maps) {
      const previous = result[group]?.at(-1)?.slots;
      result[group]?.push({ tensor, axis, slots: previous !== undefined && sameSlots(previous, own) ? previous : own });
    }
  }
  return result;
}

function sameSlots(first: readonly number[], second: readonly number[]): boolean {
  return first === second || (first.length === second.length && first.every((slot, at) => slot === second[at]));
}

function indexMaps(slots: readonly number[], forest: SlotForest, numbering: Numbering): [number, readonly number[]][] {
  const maps = new Map<number, number[]>();
  for (const [position, slot] of slots.entries()) {
    const root = slot === FIXED ? -1 : forest.root(slot);
    const group = numbering.group[root] ?? -1;
    if (group === -1) continue;
    let own = maps.get(group);
    if (own === undefined) maps.set(group, (own = new Array<number>(slots.length).fill(-1)));
    own[position] = numbering.slot[root] ?? -1;
  }
  return [...maps];
}

function consumersByGroup(
  uses: readonly LinearUse[],
  forest: SlotForest,
  numbering: Numbering,
  count: number,
): string[][] {
  const result = Array.from({ length: count }, (): string[] => []);
  for (const use of uses) {
    const groups = new Set<number>();
    for (const slots of use.consumed)
      for (const slot of slots) if (slot !== FIXED) groups.add(numbering.group[forest.root(slot)] ?? -1);
    for (const group of groups) result[group]?.push(use.node);
  }
  return result;
}

function verdict(roots: readonly number[], forest: SlotForest): Pick<ChannelGroup, 'prunable' | 'reason'> {
  const frozen = roots.map((root) => forest.reasonOf(root)).find((reason) => reason !== undefined);
  if (frozen !== undefined) return { prunable: false, reason: frozen };
  if (roots.length < 2) return { prunable: false, reason: 'all its channels can only go together' };
  return { prunable: true };
}

function layersNotCut(
  graph: Graph,
  uses: readonly LinearUse[],
  groups: readonly ChannelGroup[],
  producers: readonly (readonly LinearUse[])[],
): NotCut[] {
  const groupOf = new Map(producers.flatMap((list, index) => list.map((use) => [use.node, groups[index]] as const)));
  const reasons = new Map(
    uses.map((use) => {
      const group = groupOf.get(use.node);
      if (group !== undefined) return [use.node, group.prunable ? undefined : group.reason];
      return [use.node, use.refusal ?? 'its output channels are not followed'];
    }),
  );
  return graph.nodes.flatMap((node) => {
    const reason = reasons.get(node.key);
    return reason === undefined ? [] : [{ name: node.key, reason }];
  });
}
