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

/** Whether a set of counts is within the budget. Must be monotone: fewer channels never cost more. */
export type Meets = (counts: Counts) => Promise<boolean>;

/**
 * Finds the least tolerance that meets the budget, then takes back what it overshot: of the groups that shrink at
 * that last step, only as many as are needed do, in the order of the deficit they reach, and the last of them only as
 * far as is needed.
 *
 * @returns `met: false` with every group at its floor where no tolerance is enough
 */
export async function allocate(groups: readonly GroupCurve[], meets: Meets): Promise<Allocation> {
  const tolerances = distinctDeficits(groups);
  const at = (index: number): Counts => {
    const tolerance = index < 0 ? -Infinity : tolerances[index];
    return new Map(
      groups.map((group) => [group.id, tolerance === undefined ? group.size : countWithin(group, tolerance)]),
    );
  };
  const last = tolerances.length - 1;
  if (await meets(at(-1))) return { counts: at(-1), tolerance: 0, met: true };
  if (last < 0 || !(await meets(at(last)))) return { counts: at(last), tolerance: tolerances[last] ?? 0, met: false };

  const passing = await firstPassing(-1, last, (index) => meets(at(index)));
  const counts = await refine(groups, at(passing - 1), at(passing), meets);
  return { counts, tolerance: tolerances[passing] ?? 0, met: true };
}

/** The first number above `failing` that passes, where all above one that passes do; `passing` is known to. */
async function firstPassing(
  failing: number,
  passing: number,
  passes: (value: number) => Promise<boolean>,
): Promise<number> {
  let [below, found] = [failing, passing];
  while (found - below > 1) {
    const middle = (found + below) >> 1;
    if (await passes(middle)) found = middle;
    else below = middle;
  }
  return found;
}

async function refine(groups: readonly GroupCurve[], wide: Counts, narrow: Counts, meets: Meets): Promise<Counts> {
  const countOf = (counts: Counts, { id, size }: GroupCurve): number => counts.get(id) ?? size;
  const shrinking = groups
    .filter((group) => countOf(narrow, group) !== countOf(wide, group))
    .sort((a, b) => deficitAt(a, narrow) - deficitAt(b, narrow));
  const shrunk = (howMany: number): Map<string, number> => {
    const counts = new Map(wide);
    for (const group of shrinking.slice(0, howMany)) counts.set(group.id, countOf(narrow, group));
    return counts;
  };
  const enough = await firstPassing(0, shrinking.length, (howMany) => meets(shrunk(howMany)));
  const last = shrinking[enough - 1];
  if (last === undefined) return shrunk(enough);

  const between = countsBetween(last, countOf(narrow, last), countOf(wide, last));
  const withLast = (step: number): Counts => shrunk(enough).set(last.id, between[step] ?? countOf(narrow, last));
  return withLast(await firstPassing(0, between.length - 1, (step) => meets(withLast(step))));
}

/** Every count that rounding allows, from the widest down to the narrowest. */
function countsBetween(group: GroupCurve, narrowest: number, widest: number): number[] {
  const counts = new Set<number>();
  for (let kept = widest; kept >= narrowest; kept--) counts.add(roundUp(group, kept));
  return [...counts];
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
