import { accumulate, createMoments, settle, type Moments } from '../../src/recovery/moments';
import { refit } from '../../src/recovery/leastSquares';
import { restrictMoments } from '../../src/recovery/restrictMoments';
import type { LinearLayer } from '../../src/types';
import { normals, outputDims, randomLayer, seeded, type LayerShape } from './layers';

const KEPT = [0, 2, 3];

const LAYERS: readonly (readonly [string, LayerShape, readonly number[]])[] = [
  ['a 3x3 convolution', { outputs: 4, inputsPerGroup: 5, kernel: [3, 3], pads: [1, 1, 1, 1] }, [14, 5, 6, 6]],
  [
    'a convolution with bias and stride',
    { outputs: 3, inputsPerGroup: 5, kernel: [2, 2], strides: [2, 2], bias: true },
    [14, 5, 6, 6],
  ],
  ['a dense layer', { kind: 'dense', outputs: 6, inputsPerGroup: 5 }, [60, 5]],
];

/** The layer, its input and dims after channels have gone; weights [outputs, channels, kernel]. */
function withChannels(layer: LinearLayer, input: Float32Array, dims: readonly number[], kept: readonly number[]) {
  const taps = layer.kernel[0] * layer.kernel[1];
  const inner = dims.slice(2).reduce((product, dim) => product * dim, 1);
  const select = (values: Float32Array, size: number): Float32Array => {
    const rows = values.length / (dims[1]! * size);
    const blocks = Array.from({ length: rows }, (_, row) =>
      kept.map((channel) => values.subarray((row * dims[1]! + channel) * size, (row * dims[1]! + channel + 1) * size)),
    );
    return Float32Array.from(blocks.flat().flatMap((block) => [...block]));
  };
  return {
    layer: { ...layer, inputsPerGroup: kept.length, weight: select(layer.weight, taps) },
    input: select(input, inner),
    dims: dims.map((dim, axis) => (axis === 1 ? kept.length : dim)),
  };
}

async function collect(
  layer: LinearLayer,
  input: Float32Array,
  dims: readonly number[],
  target: Float32Array,
): Promise<Moments> {
  const moments = createMoments(layer);
  await accumulate(moments, input, dims, target, outputDims(layer, dims));
  await settle(moments);
  return moments;
}

describe.each(LAYERS)('%s', (_, shape, dims) => {
  const random = seeded(11);
  const layer = randomLayer(shape, random);
  const input = normals(
    dims.reduce((product, dim) => product * dim, 1),
    random,
    0.3,
  );
  const target = normals(
    outputDims(layer, dims).reduce((product, dim) => product * dim, 1),
    random,
  );

  test('has the moments that a new pass over the data would give', async () => {
    const restricted = restrictMoments(
      await collect(layer, input, dims, target),
      withChannels(layer, input, dims, KEPT).layer,
      KEPT,
    );
    const smaller = withChannels(layer, input, dims, KEPT);
    const fresh = await collect(smaller.layer, smaller.input, smaller.dims, target);
    expect(restricted.regressors).toBe(fresh.regressors);
    for (const fold of ['train', 'heldBack'] as const) {
      expect(restricted[fold].samples).toBe(fresh[fold].samples);
      const [sums, wanted] = [restricted[fold].groups[0]!, fresh[fold].groups[0]!];
      for (const part of ['gram', 'cross', 'targetSquare'] as const) {
        expect(sums[part]).toHaveLength(wanted[part].length);
        expect(Math.max(...sums[part].map((value, at) => Math.abs(value - wanted[part][at]!)))).toBeLessThan(1e-9);
      }
    }
  });

  test('is re-fitted to the same weights', async () => {
    const smaller = withChannels(layer, input, dims, KEPT);
    const restricted = restrictMoments(await collect(layer, input, dims, target), smaller.layer, KEPT);
    const fromRestricted = await refit(smaller.layer, restricted, { ridge: 1e-3 });
    const fresh = await collect(smaller.layer, smaller.input, smaller.dims, target);
    const fromFresh = await refit(smaller.layer, fresh, { ridge: 1e-3 });
    expect(fromRestricted.relativeErrorAfter).toBeCloseTo(fromFresh.relativeErrorAfter, 9);
    const differences = fromRestricted.edit.weight.map((value, at) => Math.abs(value - fromFresh.edit.weight[at]!));
    expect(Math.max(...differences)).toBeLessThan(1e-6);
  });

  test('leaves the moments it came from as they were', async () => {
    const moments = await collect(layer, input, dims, target);
    const gram = moments.train.groups[0]!.gram.slice();
    restrictMoments(moments, withChannels(layer, input, dims, KEPT).layer, KEPT);
    expect(moments.train.groups[0]!.gram).toEqual(gram);
    expect(moments.layer).toBe(layer);
  });
});

test('refuses layers that do not fit, and samples that still wait', async () => {
  const dims = [8, 5, 6, 6];
  const layer = randomLayer({ outputs: 4, inputsPerGroup: 5 }, seeded(1));
  const input = normals(8 * 5 * 36, seeded(2));
  const target = normals(8 * 4 * 36, seeded(3));
  const moments = await collect(layer, input, dims, target);
  const { layer: smaller } = withChannels(layer, input, dims, KEPT);
  const refusal = (run: () => unknown): unknown => {
    try {
      return run();
    } catch (error) {
      return (error as { code: unknown }).code;
    }
  };
  expect(refusal(() => restrictMoments(moments, layer, KEPT))).toBe('ERR_SHAPE');
  expect(refusal(() => restrictMoments(moments, { ...smaller, outputs: 3 }, KEPT))).toBe('ERR_SHAPE');
  expect(refusal(() => restrictMoments(moments, { ...smaller, groups: 3, inputsPerGroup: 1 }, KEPT))).toBe('ERR_SHAPE');
  const waiting = createMoments(layer);
  await accumulate(waiting, input, dims, target, outputDims(layer, dims));
  expect(refusal(() => restrictMoments(waiting, smaller, KEPT))).toBe('ERR_SHAPE');
});
