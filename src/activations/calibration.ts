import { expected } from '../errors';
import { createRandom } from '../random';
import type { Random } from '../random';

export interface SampleOptions {
  /** Positions that must not be chosen. */
  readonly exclude?: Iterable<number>;
}

/**
 * Chooses `count` positions whose classes are as frequent as in `labels` (largest remainder), at random within each
 * class, ascending; all there are where `count` is larger. Equal arguments give equal results.
 * Errors: ERR_OPTION.
 */
export function stratifiedSample(
  labels: ArrayLike<number>,
  count: number,
  seed: number,
  { exclude = [] }: SampleOptions = {},
): Int32Array {
  if (!Number.isInteger(count) || count < 1) {
    throw expected('ERR_OPTION', 'a whole number of at least 1', 'the number of samples', count);
  }
  return chooseStratified(positionsByClass(labels, new Set(exclude)), count, createRandom(seed));
}

export interface StratifiedSplit {
  /** The share that was asked for, ascending. */
  readonly part: Int32Array;
  /** The others, ascending. */
  readonly rest: Int32Array;
}

/**
 * Splits all positions in two, `fraction` of each class in `part` (largest remainder). Errors: ERR_OPTION unless
 * 0 < fraction < 1.
 */
export function splitStratified(labels: ArrayLike<number>, fraction: number, seed: number): StratifiedSplit {
  if (!(fraction > 0 && fraction < 1)) throw expected('ERR_OPTION', 'a number between 0 and 1', 'fraction', fraction);
  const classes = positionsByClass(labels, new Set());
  const part = chooseStratified(classes, Math.round(labels.length * fraction), createRandom(seed));
  const chosen = new Set(part);
  const rest = Int32Array.from({ length: labels.length }, (_, position) => position).filter(
    (position) => !chosen.has(position),
  );
  return { part, rest };
}

/** Positions of each class, classes ascending, so that the order of `labels` alone does not change the draw. */
function positionsByClass(labels: ArrayLike<number>, exclude: ReadonlySet<number>): number[][] {
  const classes = new Map<number, number[]>();
  for (let position = 0; position < labels.length; position++) {
    if (exclude.has(position)) continue;
    const label = labels[position]!;
    const positions = classes.get(label);
    if (positions === undefined) classes.set(label, [position]);
    else positions.push(position);
  }
  return [...classes].sort(([left], [right]) => left - right).map(([, positions]) => positions);
}

function chooseStratified(classes: readonly number[][], count: number, random: Random): Int32Array {
  const total = classes.reduce((sum, positions) => sum + positions.length, 0);
  const shares = apportion(
    classes.map((positions) => positions.length),
    Math.min(count, total),
  );
  const chosen = classes.flatMap((positions, index) => random.shuffle([...positions]).slice(0, shares[index]));
  return Int32Array.from(chosen).sort();
}

/** Whole shares of `count` in proportion to `sizes` that add up to it; ties go to the first. */
function apportion(sizes: readonly number[], count: number): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const exact = sizes.map((size) => (total === 0 ? 0 : (size * count) / total));
  const shares = exact.map(Math.floor);
  const missing = count - shares.reduce((sum, share) => sum + share, 0);
  const byRemainder = [...exact.keys()].sort(
    (left, right) => exact[right]! - shares[right]! - (exact[left]! - shares[left]!) || left - right,
  );
  for (const index of byRemainder.slice(0, missing)) shares[index]!++;
  return shares;
}
