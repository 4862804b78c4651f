/** Numbers in [0, 1) with 32 random bits. Every call advances the stream. */
export type RandomStream = () => number;

/**
 * A stream of uniform numbers that is the same on every engine: Chris Doty-Humphrey's sfc32 (from PractRand), which
 * needs 32-bit integer addition, shifts and exclusive-or only. The three words of the key enter the state unhashed,
 * so two different keys never share a state.
 *
 * @param key three unsigned 32-bit integers
 */
export function randomStream(key: readonly [number, number, number]): RandomStream {
  let a = key[0] | 0;
  let b = key[1] | 0;
  let c = key[2] | 0;
  let counter = 1;

  const next = (): number => {
    const output = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + output;
    c |= 0;
    return (output >>> 0) / 4294967296;
  };

  // The generator's author discards this many to spread the key over the whole state.
  for (let round = 0; round < 15; round++) next();
  return next;
}

export function between(random: RandomStream, low: number, high: number): number {
  return low + (high - low) * random();
}

/** A whole number from 0 to `count` − 1. */
export function pick(random: RandomStream, count: number): number {
  return Math.floor(random() * count);
}

/**
 * A direction, uniform on the unit circle. Rejection in the disk and one square root (which IEEE 754 rounds
 * correctly) replace sine and cosine, whose last bits differ between engines.
 */
export function unitVector(random: RandomStream): readonly [x: number, y: number] {
  for (;;) {
    const x = 2 * random() - 1;
    const y = 2 * random() - 1;
    const lengthSquared = x * x + y * y;
    if (lengthSquared > 1 || lengthSquared < 1e-4) continue;
    const length = Math.sqrt(lengthSquared);
    return [x / length, y / length];
  }
}

/** Roughly normal, mean 0, variance 1: the sum of four uniform numbers, so bounded by ±3.5. */
export function bell(random: RandomStream): number {
  return (random() + random() + random() + random() - 2) * 1.7320508075688772;
}
