import { channelNorms, rankAscending, rankChannels, rankRandomly } from '../../src/recovery/channelRanking';
import { accumulate, createMoments } from '../../src/recovery/moments';
import { refit } from '../../src/recovery/leastSquares';
import type { LinearLayer } from '../../src/types';
import { apply, type LayerShape, normals, outputDims, randomLayer, seeded } from './layers';

async function consumer(
  shape: LayerShape,
  input: Float32Array,
  dims: readonly number[],
  channelUnits: number[],
  seed: number,
) {
  const layer = randomLayer(shape, seeded(seed));
  const target = Float32Array.from(apply(layer, layer.weight, layer.bias, input, dims));
  const moments = createMoments(layer);
  await accumulate(moments, input, dims, target, outputDims(layer, dims));
  return { layer, moments, target, channelUnits: Int32Array.from(channelUnits) };
}

/** [N, channels, 5, 5] activations of which some channels nearly repeat others. */
function activations(samples: number, channels: number, seed: number): Float32Array {
  const random = seeded(seed);
  const data = normals(samples * channels * 25, random, 0.5);
  for (let n = 0; n < samples; n++) {
    for (let i = 0; i < 25; i++) {
      const at = (channel: number): number => (n * channels + channel) * 25 + i;
      data[at(2)] = data[at(0)]! - 0.5 * data[at(1)]! + 0.05 * random.normal();
      data[at(4)]! *= 0.1;
    }
  }
  return data;
}

describe('rankChannels', () => {
  test('costs what a re-fit without the removed channels leaves', async () => {
    const dims = [24, 6, 5, 5];
    const input = activations(24, 6, 1);
    const problem = await consumer(
      { outputs: 4, inputsPerGroup: 6, kernel: [3, 3], pads: [1, 1, 1, 1], bias: true },
      input,
      dims,
      [0, 1, 2, 3, 4, 5],
      2,
    );
    const { order, errorAfter } = await rankChannels([problem], 6, { ridge: 1e-6 });
    expect([...order].sort()).toEqual([0, 1, 2, 3, 4, 5]);
    expect([...errorAfter]).toEqual([...errorAfter].sort((left, right) => left - right));
    expect(errorAfter[5]).toBeCloseTo(1, 5);
    // One of the three that determine each other, then the weak one.
    expect([0, 1, 2]).toContain(order[0]);
    expect(order[1]).toBe(4);

    for (let removed = 1; removed < 6; removed++) {
      const kept = [...order.slice(removed)].sort();
      const cut: LinearLayer = {
        ...problem.layer,
        inputsPerGroup: kept.length,
        weight: problem.layer.weight.filter((_, index) => kept.includes(Math.floor(index / 9) % 6)),
      };
      const moments = createMoments(cut);
      const cutInput = input.filter((_, index) => kept.includes(Math.floor(index / 25) % 6));
      await accumulate(moments, cutInput, [24, kept.length, 5, 5], problem.target, outputDims(problem.layer, dims));
      // The re-fit is judged on samples it has not seen, so it is somewhat worse than the cost.
      const { relativeErrorAfter } = await refit(cut, moments, { ridge: 1e-6 });
      expect(relativeErrorAfter).toBeGreaterThan(errorAfter[removed - 1]! * 0.7);
      expect(relativeErrorAfter).toBeLessThan(errorAfter[removed - 1]! * 1.6 + 1e-4);
    }
  });

  test('weighs several consumers, groups, kept channels and units of several channels', async () => {
    const input = activations(16, 6, 3);
    const grouped = await consumer(
      { outputs: 4, inputsPerGroup: 3, groups: 2, bias: true },
      input,
      [16, 6, 5, 5],
      [0, 1, -1, 0, 1, 2],
      4,
    );
    const dense = await consumer(
      { kind: 'dense', outputs: 3, inputsPerGroup: 150, bias: false },
      input,
      [16, 150],
      new Array(150).fill(0).map((_, i) => (i < 75 ? Math.floor(i / 25) : -1)),
      5,
    );
    const alone = await rankChannels([grouped], 3);
    expect([...alone.order].sort()).toEqual([0, 1, 2]);
    // Each group keeps a channel of no unit or a constant only: 2 groups, so at most 2.
    expect(alone.errorAfter[2]).toBeGreaterThan(0.1);
    expect(alone.errorAfter[2]).toBeLessThanOrEqual(2 + 1e-9);
    const joint = await rankChannels([grouped, dense], 3);
    expect([...joint.order].sort()).toEqual([0, 1, 2]);
    expect(joint.errorAfter[2]).toBeGreaterThan(alone.errorAfter[2]!);
  });

  test('a constant channel is worth something only where nothing can add a constant', async () => {
    const random = seeded(6);
    const dims = [40, 3];
    const input = normals(120, random);
    for (let n = 0; n < 40; n++) input[3 * n + 1] = 2;
    const problem = await consumer({ kind: 'dense', outputs: 2, inputsPerGroup: 3 }, input, dims, [0, 1, 2], 7);
    const strict = await rankChannels([problem], 3, { ridge: 1e-6 });
    const absorbed = await rankChannels([{ ...problem, offsetAbsorbed: true }], 3, { ridge: 1e-6 });
    expect(absorbed.order[0]).toBe(1);
    expect(absorbed.errorAfter[0]).toBeLessThan(1e-4);
    expect(strict.errorAfter[0]).toBeGreaterThan(1e-2);
  });

  test('refuses what does not fit', async () => {
    const problem = await consumer(
      { kind: 'dense', outputs: 2, inputsPerGroup: 3 },
      normals(12, seeded(8)),
      [4, 3],
      [0, 1, 2],
      9,
    );
    await expect(rankChannels([], 3)).rejects.toMatchObject({ code: 'ERR_OPTION' });
    await expect(rankChannels([problem], 2)).rejects.toMatchObject({ code: 'ERR_OPTION' });
    await expect(rankChannels([{ ...problem, channelUnits: Int32Array.of(0, 1) }], 3)).rejects.toMatchObject({
      code: 'ERR_SHAPE',
    });
    await expect(rankChannels([{ ...problem, moments: createMoments(problem.layer) }], 3)).rejects.toMatchObject({
      code: 'ERR_DATA_MISMATCH',
    });
    await expect(rankChannels([problem], 3, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    });
  });
});

describe('channelNorms', () => {
  const layer = (weight: number[], outputs: number): LinearLayer => ({
    ...randomLayer({ outputs, inputsPerGroup: weight.length / outputs }, seeded(1)),
    weight: Float32Array.from(weight),
  });

  test('sums |w| of each output channel over the mean of the layer', () => {
    const norms = channelNorms([{ layer: layer([1, -2, 0, 0, 3, -3], 3), channelUnits: Int32Array.of(0, 1, 2) }], 3);
    expect([...norms]).toEqual([1, 0, 2]);
  });

  test('counts every writer of a residual group alike', () => {
    const small = { layer: layer([0.001, 0.003], 2), channelUnits: Int32Array.of(0, 1) };
    const large = { layer: layer([30, 10, 20], 3), channelUnits: Int32Array.of(0, 1, -1) };
    const norms = channelNorms([small, large], 3);
    expect(norms[0]).toBeCloseTo((0.5 + 1.5) / 2, 6);
    expect(norms[1]).toBeCloseTo((1.5 + 0.5) / 2, 6);
    expect(norms[2]).toBe(0);
  });

  test('survives layers of zeros and refuses wrong units', () => {
    expect([...channelNorms([{ layer: layer([0, 0], 2), channelUnits: Int32Array.of(0, 1) }], 2)]).toEqual([0, 0]);
    expect(() => channelNorms([{ layer: layer([1, 1], 2), channelUnits: Int32Array.of(0) }], 2)).toThrow(
      '2 unit numbers',
    );
    expect(() => channelNorms([{ layer: layer([1, 1], 2), channelUnits: Int32Array.of(0, 2) }], 2)).toThrow(
      'from -1 to 1',
    );
  });
});

describe('orders', () => {
  test('ascending, ties to the lowest unit', () => {
    expect([...rankAscending([3, 1, 2, 1])]).toEqual([1, 3, 2, 0]);
  });

  test('random, by the seed alone', () => {
    const order = rankRandomly(50, 7);
    expect([...order].sort((left, right) => left - right)).toEqual(Array.from({ length: 50 }, (_, unit) => unit));
    expect(rankRandomly(50, 7)).toEqual(order);
    expect(rankRandomly(50, 8)).not.toEqual(order);
  });
});
