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
  /** Slots it contracts over. */
  readonly consumed: number[];
  /** Why its channels could not be followed. */
  readonly refusal: string | undefined;
}

export interface Labelling {
  readonly forest: SlotForest;
  readonly labels: ReadonlyMap<string, ChannelLabel>;
  readonly uses: readonly LinearUse[];
}

/** Slots of one group by root, numbered in the order in which producers first show them. */
type Numbering = Map<number, { readonly group: number; readonly slot: number }>;

/**
 * Layers whose outputs share a slot form one group. Slots that no layer produces (padding that nothing was added
 * to) are constants and belong to none.
 */
export function collectGroups(graph: Graph, labelling: Labelling): ChannelAnalysis {
  const { forest, uses } = labelling;
  const producing = uses.filter((use) => use.produced.some((slot) => slot !== FIXED));
  const members = producersByGroup(producing, forest);
  const numbering: Numbering = new Map();
  for (const [group, producers] of members.entries()) {
    let next = 0;
    for (const slot of producers.flatMap((use) => use.produced)) {
      if (slot === FIXED) continue;
      const root = forest.root(slot);
      if (!numbering.has(root)) numbering.set(root, { group, slot: next++ });
    }
  }
  const tensors = membersByGroup(labelling, numbering, members.length);
  const consumers = consumersByGroup(uses, forest, numbering, members.length);
  const groups = members.map((producers, group): ChannelGroup => {
    const roots = [...numbering].filter(([, entry]) => entry.group === group).map(([root]) => root);
    return {
      id: producers[0]?.output ?? '',
      size: roots.length,
      members: tensors[group] ?? [],
      producers: producers.map((use) => use.node),
      consumers: consumers[group] ?? [],
      ...verdict(roots, forest),
    };
  });
  return { groups, notCut: layersNotCut(graph, uses, groups, members) };
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

function membersByGroup({ forest, labels }: Labelling, numbering: Numbering, count: number): GroupMember[][] {
  const result = Array.from({ length: count }, (): GroupMember[] => []);
  for (const [tensor, { axis, slots }] of labels) {
    const entries = slots.map((slot) => (slot === FIXED ? undefined : numbering.get(forest.root(slot))));
    for (const group of new Set(entries.map((entry) => entry?.group)))
      if (group !== undefined)
        result[group]?.push({
          tensor,
          axis,
          slots: entries.map((entry) => (entry?.group === group ? entry.slot : -1)),
        });
  }
  return result;
}

function consumersByGroup(
  uses: readonly LinearUse[],
  forest: SlotForest,
  numbering: Numbering,
  count: number,
): string[][] {
  const result = Array.from({ length: count }, (): string[] => []);
  for (const use of uses) {
    const groups = new Set(
      use.consumed.map((slot) => (slot === FIXED ? undefined : numbering.get(forest.root(slot))?.group)),
    );
    for (const group of groups) if (group !== undefined) result[group]?.push(use.node);
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
