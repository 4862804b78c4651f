import {
  absorbOffset,
  addActivations,
  createStatistics,
  mergeStatistics,
  reestimate,
} from '../../src/recovery/batchNorm';
import type { BatchNormLayer } from '../../src/types';
import { normals, seeded } from './layers';

const layer = (channels: number): BatchNormLayer => ({
  node: 'bn',
  input: 'x',
  output: 'y',
  channels,
  epsilon: 1e-5,
  scale: new Float32Array(channels).fill(1),
  shift: new Float32Array(channels),
  mean: new Float32Array(channels).fill(4),
  variance: new Float32Array(channels).fill(9),
});

function plainStatistics(data: Float32Array, channels: number, map: number) {
  return Array.from({ length: channels }, (_, channel) => {
    const values = [...data].filter((__, index) => Math.floor(index / map) % channels === channel);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    return { mean, variance };
  });
}

describe('re-estimation of a batch normalization', () => {
  test.each([
    ['images', [7, 3, 4, 5]],
    ['rows', [33, 6]],
    ['sequences', [5, 2, 9]],
  ] as const)('equals mean and biased variance of %s, in any batches', (_, dims) => {
    const random = seeded(1);
    const [samples, channels, ...map] = dims as readonly number[] as [number, number, ...number[]];
    const mapSize = map.reduce((product, dim) => product * dim, 1);
    const data = normals(samples * channels * mapSize, random, 2);
    const wanted = plainStatistics(data, channels, mapSize);
    for (const batch of [samples, 1, 3]) {
      const statistics = createStatistics(channels);
      for (let start = 0; start < samples; start += batch) {
        const end = Math.min(start + batch, samples);
        const part = data.subarray(start * channels * mapSize, end * channels * mapSize);
        addActivations(statistics, part, [end - start, channels, ...map]);
      }
      expect(statistics.count).toBe(samples * mapSize);
      const edit = reestimate(layer(channels), statistics);
      for (const [channel, { mean, variance }] of wanted.entries()) {
        expect(edit.mean[channel]).toBeCloseTo(mean, 6);
        expect(edit.variance[channel]).toBeCloseTo(variance, 6);
      }
    }
  });

  test('keeps the spread beside a mean that is 10^6 times larger', () => {
    const statistics = createStatistics(1);
    for (let batch = 0; batch < 50; batch++) {
      addActivations(statistics, Float32Array.of(2 ** 20 - 1, 2 ** 20 + 1), [2, 1]);
    }
    const edit = reestimate(layer(1), statistics);
    expect(edit.mean[0]).toBe(2 ** 20);
    expect(edit.variance[0]).toBe(1);
  });

  test('merges means and variances that a graph measured, as if it had seen the values', () => {
    const random = seeded(2);
    const [merged, direct] = [createStatistics(3), createStatistics(3)];
    for (const size of [4, 9, 1]) {
      const data = normals(size * 3, random, 5);
      const plain = plainStatistics(data, 3, 1);
      const mean = Float32Array.from(plain, (channel) => channel.mean);
      mergeStatistics(
        merged,
        size,
        mean,
        Float32Array.from(plain, (channel) => channel.variance),
      );
      addActivations(direct, data, [size, 3]);
    }
    expect(merged.count).toBe(direct.count);
    for (let channel = 0; channel < 3; channel++) {
      expect(merged.mean[channel]).toBeCloseTo(direct.mean[channel]!, 5);
      expect(merged.squaredDeviation[channel]).toBeCloseTo(direct.squaredDeviation[channel]!, 4);
    }
  });

  test('blends with the old statistics', () => {
    const statistics = createStatistics(1);
    addActivations(statistics, Float32Array.of(1, 3), [2, 1]);
    expect(reestimate(layer(1), statistics, 0.25)).toMatchObject({
      mean: Float32Array.of(3.5),
      variance: Float32Array.of(7),
    });
    expect(reestimate(layer(1), statistics, 0)).toMatchObject({
      mean: Float32Array.of(4),
      variance: Float32Array.of(9),
    });
  });

  test('absorbs a constant that the layer before has no bias for', () => {
    const offset = Float64Array.of(0.5, -1);
    const edit = absorbOffset(layer(2), offset);
    expect([...edit.mean]).toEqual([3.5, 5]);
    expect([...edit.variance]).toEqual([9, 9]);
  });

  test('refuses what does not fit', () => {
    const statistics = createStatistics(2);
    expect(() => reestimate(layer(2), statistics)).toThrow('but received "none"');
    expect(() => addActivations(statistics, new Float32Array(6), [2, 3])).toThrow('[N, 2, ...]');
    expect(() => addActivations(statistics, new Float32Array(5), [2, 2])).toThrow('[N, 2, ...]');
    expect(() => addActivations(statistics, Float32Array.of(1, Infinity), [1, 2])).toThrow('channel 1');
    addActivations(statistics, new Float32Array(0), [0, 2]);
    expect(statistics.count).toBe(0);
    addActivations(statistics, new Float32Array(4), [2, 2]);
    expect(() => reestimate(layer(3), statistics)).toThrow('3 channels');
    expect(() => reestimate(layer(2), statistics, 1.5)).toThrow('from 0 to 1');
    expect(() => absorbOffset(layer(2), new Float64Array(3))).toThrow('2 values');
  });
});
