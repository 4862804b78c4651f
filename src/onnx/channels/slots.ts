/** A position that no cut can remove: it belongs to a tensor whose size is given from outside, such as the input. */
export const FIXED = -1;

/** Which slot each position along a tensor's channel axis belongs to; `slots` may hold FIXED. */
export interface ChannelLabel {
  readonly axis: number;
  readonly slots: readonly number[];
}

/** The label of a tensor whose rank is known, as every tensor with a label has it. */
export interface PlacedLabel extends ChannelLabel {
  readonly rank: number;
}

/**
 * Union-find over slot numbers, alive only while a graph is analysed. Slots that were tied have one root; a
 * frozen slot freezes all that are or become tied to it, and keeps the reason that came first.
 */
export interface SlotForest {
  /** How many slots there are; they are numbered from 0. */
  readonly count: () => number;
  readonly fresh: (count: number) => number[];
  readonly root: (slot: number) => number;
  /** Makes two positions one. Where one of them is FIXED the other is frozen for `reason`. */
  readonly tie: (first: number, second: number, reason: string) => void;
  readonly freeze: (slots: readonly number[], reason: string) => void;
  readonly reasonOf: (slot: number) => string | undefined;
}

export function createSlotForest(): SlotForest {
  const parent: number[] = [];
  const frozen = new Map<number, { readonly order: number; readonly reason: string }>();
  let order = 0;

  function root(slot: number): number {
    let current = slot;
    for (;;) {
      const above = parent[current];
      if (above === undefined || above === current) return current;
      const next = parent[above] ?? above;
      parent[current] = next;
      current = next;
    }
  }
  function freezeRoot(at: number, reason: string): void {
    if (!frozen.has(at)) frozen.set(at, { order: order++, reason });
  }
  return {
    count: () => parent.length,
    root,
    fresh(count) {
      return Array.from({ length: count }, () => parent.push(parent.length) - 1);
    },
    tie(first, second, reason) {
      if (first === FIXED && second === FIXED) return;
      if (first === FIXED) return freezeRoot(root(second), reason);
      if (second === FIXED) return freezeRoot(root(first), reason);
      const a = root(first);
      const b = root(second);
      if (a === b) return;
      const [kept, merged] = a < b ? [a, b] : [b, a];
      parent[merged] = kept;
      const reasons = [frozen.get(kept), frozen.get(merged)].filter((entry) => entry !== undefined);
      const earliest = reasons.sort((left, right) => left.order - right.order)[0];
      if (earliest !== undefined) frozen.set(kept, earliest);
    },
    freeze(slots, reason) {
      for (const slot of slots) if (slot !== FIXED) freezeRoot(root(slot), reason);
    },
    reasonOf(slot) {
      return frozen.get(root(slot))?.reason;
    },
  };
}
