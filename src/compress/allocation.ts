/**
 * How many channels each group keeps: one tolerance for all groups, the smallest that meets the budget.
 *
 * Each group brings the deficit of keeping its best k channels, for every k. A tolerance keeps, in every group, the
 * fewest channels whose deficit is within it. "The same fraction everywhere" is the special case of a deficit of
 * 1 − k / size.
 */

export interface GroupCurve {
  readonly id: string;
  readonly size: number;
  /** deficit[k] for k = 0 .. size: what keeping the best k channels loses. deficit[size] is the least. */
  readonly deficit: ArrayLike<number>;
  /** Fewest channels that may stay. */
  readonly floor: number;
  /** Counts are rounded up to a multiple of this. */
  readonly multiple: number;
}

export type Counts = ReadonlyMap<string, number>;

export interface Allocation {
  readonly counts: Counts;
  readonly tolerance: number;
  readonly met: boolean;
}

/** Deficits of an allocation that treats every channel of every group alike. */
export function uniformDeficit(size: number): Float64Array {
  return Float64Array.from({ length: size + 1 }, (_, kept) => 1 - kept / size);
}

/** A floor that keeps every group alive: an eighth of its channels, at least two. */
export function defaultFloor(size: number): number {
  return Math.min(size, Math.max(2, Math.ceil(size / 8)));
}

/** Groups narrower than this keep any number of channels. */
export const SMALLEST_ROUNDED_GROUP = 32;

/** The fewest channels of a group whose deficit is within the tolerance, after floor and rounding. */
export function countWithin(group: GroupCurve, tolerance: number): number {
  let kept = group.size;
  while (kept > group.floor && (group.deficit[kept - 1] ?? Infinity) <= tolerance) kept--;
  return roundUp(group, kept);
}

/**
 * Finds the least tolerance that meets the budget, then takes back what it overshot: of the groups that shrink at
 * that last step, only as many as are needed do, in the order of the deficit they reach.
 *
 * @param meets whether a set of counts is within the budget; must be monotone (fewer channels never cost more)
 * @returns `met: false` with every group at its floor where no tolerance is enough
 */
export function allocate(groups: readonly GroupCurve[], meets: (counts: Counts) => boolean): Allocation {
  const tolerances = distinctDeficits(groups);
  const at = (index: number): Counts => {
    const tolerance = index < 0 ? -Infinity : tolerances[index];
    return new Map(
      groups.map((group) => [group.id, tolerance === undefined ? group.size : countWithin(group, tolerance)]),
    );
  };
  const last = tolerances.length - 1;
  if (meets(at(-1))) return { counts: at(-1), tolerance: 0, met: true };
  if (last < 0 || !meets(at(last))) return { counts: at(last), tolerance: tolerances[last] ?? 0, met: false };

  let failing = -1;
  let passing = last;
  while (passing - failing > 1) {
    const middle = (passing + failing) >> 1;
    if (meets(at(middle))) passing = middle;
    else failing = middle;
  }
  return { counts: refine(groups, at(failing), at(passing), meets), tolerance: tolerances[passing] ?? 0, met: true };
}

function refine(
  groups: readonly GroupCurve[],
  wide: Counts,
  narrow: Counts,
  meets: (counts: Counts) => boolean,
): Counts {
  const shrinking = groups
    .filter((group) => narrow.get(group.id) !== wide.get(group.id))
    .sort((a, b) => deficitAt(a, narrow) - deficitAt(b, narrow));
  let enough = shrinking.length;
  let short = 0;
  const shrunk = (howMany: number): Counts => {
    const counts = new Map(wide);
    for (const group of shrinking.slice(0, howMany)) counts.set(group.id, narrow.get(group.id) ?? group.size);
    return counts;
  };
  while (enough - short > 1) {
    const middle = (enough + short) >> 1;
    if (meets(shrunk(middle))) enough = middle;
    else short = middle;
  }
  return shrunk(enough);
}

function deficitAt(group: GroupCurve, counts: Counts): number {
  return group.deficit[counts.get(group.id) ?? group.size] ?? 0;
}

function distinctDeficits(groups: readonly GroupCurve[]): number[] {
  const values = new Set<number>();
  for (const group of groups) {
    for (let kept = group.floor; kept < group.size; kept++) {
      const deficit = group.deficit[kept];
      if (deficit !== undefined && Number.isFinite(deficit)) values.add(deficit);
    }
  }
  return [...values].sort((a, b) => a - b);
}

function roundUp(group: GroupCurve, kept: number): number {
  const rounded = Math.ceil(Math.max(kept, group.floor) / group.multiple) * group.multiple;
  return Math.min(group.size, rounded);
}
