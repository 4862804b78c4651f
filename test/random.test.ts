import { createRandom } from '../src/random';

describe('createRandom', () => {
  test('repeats by seed, also negative, fractional and large ones', () => {
    const sequence = (seed: number): number[] => Array.from({ length: 5 }, createRandom(seed).uniform);
    expect(sequence(1)).toEqual(sequence(1));
    expect(sequence(1)).toEqual(sequence(1.9));
    const different = [0, 1, -1, 2 ** 32, 2 ** 32 + 1, 2 ** 40].map((seed) => sequence(seed).join());
    expect(new Set(different).size).toBe(different.length);
    expect(() => createRandom(Number.NaN)).toThrow('a finite number');
  });

  test('is xoshiro128**, as its authors publish it', () => {
    // The reference in C with a BigInt-free port would be the code under test; so recompute with BigInt arithmetic.
    const mask = 0xffffffffn;
    const rotate = (value: bigint, bits: bigint): bigint => ((value << bits) | (value >> (32n - bits))) & mask;
    let counter = 42n;
    const fill = (): bigint => {
      counter = (counter + 0x9e3779b9n) & mask;
      let mixed = counter;
      mixed = ((mixed ^ (mixed >> 16n)) * 0x21f0aaadn) & mask;
      mixed = ((mixed ^ (mixed >> 15n)) * 0x735a2d97n) & mask;
      return mixed ^ (mixed >> 15n);
    };
    const state = [fill(), fill(), fill(), fill()] as [bigint, bigint, bigint, bigint];
    const next = (): bigint => {
      const result = (rotate((state[1] * 5n) & mask, 7n) * 9n) & mask;
      const shifted = (state[1] << 9n) & mask;
      state[2] ^= state[0];
      state[3] ^= state[1];
      state[1] ^= state[2];
      state[0] ^= state[3];
      state[2] ^= shifted;
      state[3] = rotate(state[3], 11n);
      return result;
    };
    const random = createRandom(42);
    for (let i = 0; i < 20; i++) {
      const high = Number(next() >> 5n);
      const low = Number(next() >> 6n);
      expect(random.uniform()).toBe((high * 2 ** 26 + low) / 2 ** 53);
    }
  });

  test('has the moments of its distributions', () => {
    const random = createRandom(3);
    const count = 100_000;
    const moments = (draw: () => number): { mean: number; variance: number } => {
      const values = Array.from({ length: count }, draw);
      const mean = values.reduce((sum, value) => sum + value, 0) / count;
      return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count };
    };
    // Five standard errors of a mean of 10^5 values.
    const uniform = moments(random.uniform);
    expect(Math.abs(uniform.mean - 0.5)).toBeLessThan(0.005);
    expect(Math.abs(uniform.variance - 1 / 12)).toBeLessThan(0.002);
    const normal = moments(random.normal);
    expect(Math.abs(normal.mean)).toBeLessThan(0.016);
    expect(Math.abs(normal.variance - 1)).toBeLessThan(0.025);
  });

  test('draws integers without bias and shuffles in place', () => {
    const random = createRandom(4);
    const counts = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < 60_000; i++) counts[random.integer(6)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    expect(random.integer(1)).toBe(0);
    expect(random.integer(2 ** 32)).toBeLessThan(2 ** 32);
    for (const bound of [0, -1, 1.5, 2 ** 32 + 1]) expect(() => random.integer(bound)).toThrow('1 to 2^32');

    const values = Int32Array.from({ length: 100 }, (_, i) => i);
    const shuffled = random.shuffle(values);
    expect(shuffled).toBe(values);
    expect([...shuffled].sort((left, right) => left - right)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect([...shuffled]).not.toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(random.shuffle([])).toEqual([]);
  });
});
