import { createRandom, type Random } from '../../random';

/*
 * The draws that a picture needs. All of them follow from the seeded source by integer operations, + − × ÷ and square
 * root, which are exact to the bit on every engine; `Random.normal` is not used because logarithms are not.
 */

export function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random.uniform();
}

/** A direction, uniform on the unit circle: rejection in the disk replaces sine and cosine. */
export function unitVector(random: Random): readonly [x: number, y: number] {
  for (;;) {
    const x = 2 * random.uniform() - 1;
    const y = 2 * random.uniform() - 1;
    const lengthSquared = x * x + y * y;
    if (lengthSquared > 1 || lengthSquared < 1e-4) continue;
    const length = Math.sqrt(lengthSquared);
    return [x / length, y / length];
  }
}

/** Mean and standard deviation of the sum of four bytes. */
const BYTES_MEAN = 510;
const BYTES_DEVIATION = 147.79828144205964;

/** Roughly normal with mean 0 and variance 1, bounded by ±3.5: the sum of the four bytes of one draw. */
export function bell(random: Random): number {
  const word = random.integer(4294967296);
  const sum = (word & 255) + ((word >>> 8) & 255) + ((word >>> 16) & 255) + (word >>> 24);
  return (sum - BYTES_MEAN) / BYTES_DEVIATION;
}

/** Most samples that one split can have. */
export const RENDERED_LIMIT = 2 ** 21;

/**
 * The random source of one sample. Each stream of a seed has a key of its own, and key and index fill disjoint bits of
 * the sample's seed, so no two samples of any streams of one seed share it.
 *
 * @param seed any integer
 * @param stream 0, 1, 2, …
 * @param index 0 to RENDERED_LIMIT − 1
 */
export function sampleRandom(seed: number, stream: number, index: number): Random {
  const keys = createRandom(seed);
  const taken = new Set<number>();
  let key = keys.integer(4294967296);
  while (taken.size < stream) {
    taken.add(key);
    do key = keys.integer(4294967296);
    while (taken.has(key));
  }
  return createRandom(key * RENDERED_LIMIT + index);
}
