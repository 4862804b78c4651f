import { createSampler } from '../../../src/recovery/training/sampler';
import { codeOf } from '../../support/errors';

const LABELS = Int32Array.from({ length: 103 }, (_, sample) => sample % 7);

function counts(values: Iterable<number>): Map<number, number> {
  const found = new Map<number, number>();
  for (const value of values) found.set(value, (found.get(value) ?? 0) + 1);
  return found;
}

test('an epoch has full batches of different samples, shuffled, and other ones sit out each time', () => {
  const sampler = createSampler({ labels: LABELS, batchSize: 10, seed: 3 });
  expect(sampler.stepsPerEpoch).toBe(10);
  const epochs = Array.from({ length: 40 }, (_, epoch) => sampler.order(epoch));
  const left = new Set<number>();
  for (const order of epochs) {
    expect(order).toHaveLength(100);
    expect(new Set(order).size).toBe(100);
    const drawn = new Set(order);
    for (const sample of LABELS.keys()) if (!drawn.has(sample)) left.add(sample);
  }
  // 120 draws of 103: 71 different ones are expected.
  expect(left.size).toBeGreaterThan(50);
  expect([...epochs[0]!]).not.toEqual([...epochs[0]!].sort((a, b) => a - b));
});

test('the order depends on the seed and the epoch alone', () => {
  for (const classBalanced of [false, true]) {
    const options = { labels: LABELS, batchSize: 10, seed: 3, classBalanced };
    const used = createSampler(options);
    for (const epoch of [0, 1, 2]) used.order(epoch);
    expect(used.order(7)).toEqual(createSampler(options).order(7));
    expect(used.order(7)).not.toEqual(used.order(8));
    expect(used.order(7)).not.toEqual(createSampler({ ...options, seed: 4 }).order(7));
  }
});

test('balanced epochs have every class equally often, and use all samples of a class evenly', () => {
  // Classes of 80, 15, 4 and 1 samples; class 2 has none.
  const labels = Int32Array.from({ length: 100 }, (_, i) => (i < 80 ? 0 : i < 95 ? 1 : i < 99 ? 3 : 4));
  const sampler = createSampler({ labels, batchSize: 9, seed: 1, classBalanced: true });
  expect(sampler.stepsPerEpoch).toBe(11);
  const all: number[] = [];
  for (let epoch = 0; epoch < 20; epoch++) {
    const order = sampler.order(epoch);
    const drawn = counts([...order].map((sample) => labels[sample]!));
    expect([...drawn.keys()].sort()).toEqual([0, 1, 3, 4]);
    for (const count of drawn.values()) expect([24, 25]).toContain(count);
    all.push(...order);
    // The long class is not repeated as long as it has others.
    const long = [...order].filter((sample) => labels[sample] === 0);
    if (epoch < 3) expect(new Set(long).size).toBe(long.length);
  }
  expect(all).toHaveLength(20 * 99);
  const perSample = counts(all);
  for (const label of [0, 1, 3, 4]) {
    const times = [...perSample].filter(([sample]) => labels[sample] === label).map(([, count]) => count);
    expect(times).toHaveLength(labels.filter((other) => other === label).length);
    expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(1);
  }
});

test('balanced epochs mix the classes', () => {
  const labels = Int32Array.from({ length: 100 }, (_, i) => (i < 50 ? 0 : 1));
  const order = createSampler({ labels, batchSize: 100, seed: 1, classBalanced: true }).order(0);
  const firstHalf = [...order.subarray(0, 50)].filter((sample) => labels[sample] === 0).length;
  expect(firstHalf).toBeGreaterThan(10);
  expect(firstHalf).toBeLessThan(40);
});

test('too few samples for a batch, and batches of nothing, are refused', () => {
  expect(createSampler({ labels: LABELS, batchSize: 103, seed: 1 }).stepsPerEpoch).toBe(1);
  expect(() => createSampler({ labels: LABELS, batchSize: 104, seed: 1 })).toThrow(
    expect.objectContaining({
      code: 'ERR_DATA_MISMATCH',
      message: 'Expected at least 104 samples, one batch, for training but received 103',
      remedy: 'Give more training samples, or choose a smaller batch size.',
    }) as Error,
  );
  for (const batchSize of [0, 1.5, NaN]) {
    expect(codeOf(() => createSampler({ labels: LABELS, batchSize, seed: 1 }))).toBe('ERR_OPTION');
  }
});
