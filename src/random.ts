import { expected } from './errors';

/**
 * The package's one source of seeded random numbers: xoshiro128** (Blackman and Vigna, "Scrambled linear
 * pseudorandom number generators", 2021), its state filled from the seed by splitmix32. Equal seeds give equal
 * sequences on every platform; not for cryptography.
 */
export interface Random {
  /** Uniform in [0, 1), 53 random bits. */
  readonly uniform: () => number;
  /** Uniform integer in [0, bound), without bias. `bound` is an integer from 1 to 2³². */
  readonly integer: (bound: number) => number;
  /** Standard normal, by Marsaglia's polar method. */
  readonly normal: () => number;
  /** Permutes `values` in place (Fisher–Yates) and returns them. */
  readonly shuffle: <Values extends Indexed>(values: Values) => Values;
}

/** What `shuffle` can permute: arrays and numeric typed arrays. */
export interface Indexed {
  readonly length: number;
  [index: number]: unknown;
}

const TWO_TO_THE_32 = 2 ** 32;

/** `seed`: any finite number; its integer part counts, modulo 2⁶⁴. */
export function createRandom(seed: number): Random {
  if (!Number.isFinite(seed)) throw expected('ERR_OPTION', 'a finite number', 'seed', seed);
  const state = fillState(Math.trunc(seed));
  let spareNormal: number | undefined;

  function next(): number {
    const result = Math.imul(rotateLeft(Math.imul(state[1], 5), 7), 9) >>> 0;
    const shifted = state[1] << 9;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotateLeft(state[3], 11);
    return result;
  }

  function uniform(): number {
    const high = next() >>> 5;
    const low = next() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  function integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > TWO_TO_THE_32) {
      throw expected('ERR_OPTION', 'an integer from 1 to 2^32', 'the bound of a random integer', bound);
    }
    // Values at or above the largest multiple of bound would favour the small remainders.
    const limit = TWO_TO_THE_32 - (TWO_TO_THE_32 % bound);
    let value = next();
    while (value >= limit) value = next();
    return value % bound;
  }

  function normal(): number {
    if (spareNormal !== undefined) {
      const value = spareNormal;
      spareNormal = undefined;
      return value;
    }
    for (;;) {
      const x = 2 * uniform() - 1;
      const y = 2 * uniform() - 1;
      const radiusSquared = x * x + y * y;
      if (radiusSquared > 0 && radiusSquared < 1) {
        const factor = Math.sqrt((-2 * Math.log(radiusSquared)) / radiusSquared);
        spareNormal = y * factor;
        return x * factor;
      }
    }
  }

  function shuffle<Values extends Indexed>(values: Values): Values {
    const items: Indexed = values;
    for (let last = values.length - 1; last > 0; last--) {
      const other = integer(last + 1);
      const kept = items[last];
      items[last] = items[other];
      items[other] = kept;
    }
    return values;
  }

  return { uniform, integer, normal, shuffle };
}

type State = [number, number, number, number];

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

/** Four splitmix32 outputs; both halves of the seed enter, so that seeds above 2³² differ too. */
function fillState(seed: number): State {
  const low = (seed % TWO_TO_THE_32) | 0;
  const high = (Math.floor(seed / TWO_TO_THE_32) % TWO_TO_THE_32) | 0;
  let counter = low;
  const output = (): number => {
    counter = (counter + 0x9e3779b9) | 0;
    let mixed = counter ^ high;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return mixed ^ (mixed >>> 15);
  };
  const state: State = [output(), output(), output(), output()];
  // The all-zero state is the one that never leaves itself.
  return state.some((word) => word !== 0) ? state : [1, 0, 0, 0];
}
