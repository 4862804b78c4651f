import { accumulate, createMoments, settle } from '../../src/recovery/moments';
import { refit, type RefitOptions } from '../../src/recovery/leastSquares';
import type { LinearLayer } from '../../src/types';
import {
  apply,
  type LayerShape,
  normals,
  outputDims,
  patches,
  randomLayer,
  seeded,
  solve,
  takeSamples,
} from './layers';

const LAYERS: readonly (readonly [string, LayerShape, readonly number[]])[] = [
  ['a 1x1 convolution', { outputs: 3, inputsPerGroup: 4 }, [16, 4, 3, 3]],
  [
    'a 3x3 convolution with padding',
    { outputs: 4, inputsPerGroup: 3, kernel: [3, 3], pads: [1, 1, 1, 1] },
    [12, 3, 6, 5],
  ],
  ['a stride', { outputs: 2, inputsPerGroup: 2, kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }, [16, 2, 9, 8]],
  [
    'a dilation',
    { outputs: 2, inputsPerGroup: 2, kernel: [2, 3], dilations: [3, 2], pads: [3, 2, 0, 2] },
    [12, 2, 8, 7],
  ],
  ['uneven pads', { outputs: 2, inputsPerGroup: 2, kernel: [3, 2], pads: [0, 1, 2, 0] }, [16, 2, 6, 5]],
  ['groups', { outputs: 6, inputsPerGroup: 2, groups: 3, kernel: [3, 3], pads: [1, 1, 1, 1] }, [12, 6, 5, 5]],
  [
    'a depthwise convolution',
    { outputs: 4, inputsPerGroup: 1, groups: 4, kernel: [3, 3], pads: [1, 1, 1, 1] },
    [12, 4, 5, 5],
  ],
  ['a dense layer', { kind: 'dense', outputs: 5, inputsPerGroup: 7 }, [80, 7]],
  ['a dense layer on rows', { kind: 'dense', outputs: 2, inputsPerGroup: 3 }, [20, 5, 3]],
];

interface Reference {
  readonly weight: number[];
  readonly constant: number[];
}

/** Normal equations of the definition, in float64: min ‖x·w − y‖² + λ‖w − prior‖², the constant free. */
function reference(
  layer: LinearLayer,
  input: Float32Array,
  dims: readonly number[],
  target: Float32Array,
  ridge: number,
  withConstant: boolean,
): Reference {
  const perGroup = layer.outputs / layer.groups;
  const map = outputDims(layer, dims)
    .slice(layer.kind === 'dense' ? 1 : 2, layer.kind === 'dense' ? -1 : undefined)
    .reduce((product, dim) => product * dim, 1);
  const weight: number[] = [];
  const constant: number[] = [];
  for (let output = 0; output < layer.outputs; output++) {
    const group = Math.floor(output / perGroup);
    const rows = patches(layer, input, dims, group).map((patch) => (withConstant ? [...patch, 1] : patch));
    const size = rows[0]!.length;
    const inputs = withConstant ? size - 1 : size;
    const gram = Array.from({ length: size }, () => new Array<number>(size).fill(0));
    const cross = new Array<number>(size).fill(0);
    for (const [index, row] of rows.entries()) {
      const at =
        layer.kind === 'dense'
          ? index * layer.outputs + output
          : (Math.floor(index / map) * layer.outputs + output) * map + (index % map);
      for (let i = 0; i < size; i++) {
        cross[i]! += row[i]! * target[at]!;
        for (let j = 0; j < size; j++) gram[i]![j]! += row[i]! * row[j]!;
      }
    }
    const mean = gram.slice(0, inputs).reduce((sum, row, i) => sum + row[i]!, 0) / inputs;
    for (let i = 0; i < inputs; i++) {
      gram[i]![i]! += ridge * mean;
      cross[i]! += ridge * mean * layer.weight[output * inputs + i]!;
    }
    const solution = solve(gram, cross);
    weight.push(...solution.slice(0, inputs));
    constant.push(withConstant ? solution[inputs]! : 0);
  }
  return { weight, constant };
}

function worst(actual: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(actual).toHaveLength(wanted.length);
  let largest = 0;
  for (let i = 0; i < wanted.length; i++) largest = Math.max(largest, Math.abs(actual[i]! - wanted[i]!));
  return largest;
}

function squaredError(actual: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < wanted.length; i++) sum += (actual[i]! - wanted[i]!) ** 2;
  return sum;
}

/** Squared deviation of each output channel from its mean. */
function variance(target: Float32Array, outputs: number, map: number): number {
  let total = 0;
  for (let output = 0; output < outputs; output++) {
    const values = [...target].filter((_, index) => Math.floor(index / map) % outputs === output);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    total += values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  }
  return total;
}

/** Targets that a layer with other weights makes, plus noise: something to fit. */
function problem(shape: LayerShape, dims: readonly number[], seed: number, constant = 0) {
  const random = seeded(seed);
  const layer = randomLayer(shape, random);
  const truth = randomLayer({ ...shape, bias: true }, random);
  const input = normals(
    dims.reduce((product, dim) => product * dim, 1),
    random,
    0.3,
  );
  const target = Float32Array.from(
    apply(layer, truth.weight, truth.bias, input, dims),
    (value) => value + constant + 0.1 * random.normal(),
  );
  return { layer, input, target };
}

async function refitOf(
  layer: LinearLayer,
  input: Float32Array,
  dims: readonly number[],
  target: Float32Array,
  options: RefitOptions,
) {
  const moments = createMoments(layer);
  await accumulate(moments, input, dims, target, outputDims(layer, dims));
  return { moments, result: await refit(layer, moments, options) };
}

describe('refit', () => {
  describe.each(LAYERS)('of %s', (_, shape, dims) => {
    // Rounding the weights to float32 is all that may differ: half a unit in the last place of values below 8.
    const tolerance = 2 ** -22;

    test.each([0, 1e-3, 0.1])('equals the normal equations with bias, ridge %p', async (ridge) => {
      const { layer, input, target } = problem({ ...shape, bias: true }, dims, 1);
      const { result } = await refitOf(layer, input, dims, target, { ridge });
      const wanted = reference(layer, input, dims, target, ridge, true);
      expect(worst(result.edit.weight, wanted.weight)).toBeLessThan(tolerance);
      expect(worst(result.edit.bias!, wanted.constant)).toBeLessThan(tolerance);
      expect(result.offset).toBeUndefined();
      expect(result.relativeErrorAfter).toBeLessThan(result.relativeErrorBefore);
    });

    test('leaves the constant out where nothing can add it, and hands it back where a batch norm can', async () => {
      const { layer, input, target } = problem(shape, dims, 2);
      const none = await refitOf(layer, input, dims, target, { ridge: 1e-3 });
      const without = reference(layer, input, dims, target, 1e-3, false);
      expect(worst(none.result.edit.weight, without.weight)).toBeLessThan(tolerance);
      expect(none.result.edit.bias).toBeUndefined();
      expect(none.result.offset).toBeUndefined();

      const absorbed = await refitOf(layer, input, dims, target, { ridge: 1e-3, offsetAbsorbed: true });
      const centred = reference(layer, input, dims, target, 1e-3, true);
      expect(worst(absorbed.result.edit.weight, centred.weight)).toBeLessThan(tolerance);
      expect(absorbed.result.edit.bias).toBeUndefined();
      expect(worst(absorbed.result.offset!, centred.constant)).toBeLessThan(tolerance);
      expect(absorbed.result.relativeErrorAfter).toBeLessThan(none.result.relativeErrorAfter);
    });

    test('reports errors on samples it has not seen', async () => {
      const { layer, input, target } = problem({ ...shape, bias: true }, dims, 3);
      const { result } = await refitOf(layer, input, dims, target, { ridge: 1e-2 });
      const samples = dims[0]!;
      const parts = [false, true].map((heldBack) => ({
        input: takeSamples(input, samples, heldBack),
        target: takeSamples(target, samples, heldBack),
      }));
      const [train, heldBack] = parts as [(typeof parts)[0], (typeof parts)[0]];
      const heldBackDims = [samples / 4, ...dims.slice(1)];
      const fit = reference(layer, train.input, [(samples * 3) / 4, ...dims.slice(1)], train.target, 1e-2, true);
      const total = variance(
        heldBack.target,
        layer.outputs,
        layer.kind === 'dense' ? 1 : target.length / samples / layer.outputs,
      );
      const before = squaredError(
        apply(layer, layer.weight, layer.bias, heldBack.input, heldBackDims),
        heldBack.target,
      );
      const after = squaredError(apply(layer, fit.weight, fit.constant, heldBack.input, heldBackDims), heldBack.target);
      expect(result.relativeErrorBefore).toBeCloseTo(before / total, 6);
      expect(result.relativeErrorAfter).toBeCloseTo(after / total, 6);
    });
  });

  test('auto takes a penalty between too little and too much', async () => {
    // 30 samples for 24 regressors and much noise: a fit without penalty is bad on samples it has not seen.
    const random = seeded(4);
    const layer = randomLayer({ kind: 'dense', outputs: 3, inputsPerGroup: 24, bias: true }, random);
    const truth = Float32Array.from(layer.weight, (value) => value + 0.2 * random.normal());
    const input = normals(32 * 24, random);
    const target = Float32Array.from(apply(layer, truth, layer.bias, input, [32, 24]), (v) => v + 2 * random.normal());
    const moments = createMoments(layer);
    await accumulate(moments, input, [32, 24], target, [32, 3]);
    const auto = await refit(layer, moments);
    for (const ridge of [1e-6, 1e-4, 1e-2, 1e-1]) {
      const fixed = await refit(layer, moments, { ridge });
      expect(auto.relativeErrorAfter).toBeLessThanOrEqual(fixed.relativeErrorAfter);
    }
    expect(auto.relativeErrorAfter).toBeLessThanOrEqual(auto.relativeErrorBefore);
  });

  test('returns the prior where no fit is better', async () => {
    const random = seeded(5);
    for (const bias of [true, false]) {
      const layer = randomLayer({ kind: 'dense', outputs: 2, inputsPerGroup: 40, bias }, random);
      const input = normals(48 * 40, random);
      const exact = apply(layer, layer.weight, layer.bias, input, [48, 40]);
      const target = Float32Array.from(exact, (value) => value + random.normal());
      for (const offsetAbsorbed of [false, true]) {
        const { result } = await refitOf(layer, input, [48, 40], target, { ridge: 1e-6, offsetAbsorbed });
        expect(result.relativeErrorAfter).toBe(result.relativeErrorBefore);
        expect(result.edit).toEqual({ node: 'layer', weight: layer.weight, bias: layer.bias });
        expect(result.offset === undefined).toBe(bias || !offsetAbsorbed);
      }
    }
  });

  test('recovers what a removed channel carried as far as the others know it', async () => {
    const random = seeded(6);
    const full = randomLayer({ outputs: 4, inputsPerGroup: 3, kernel: [3, 3], pads: [1, 1, 1, 1] }, random);
    const dims = [16, 3, 6, 6];
    const input = normals(16 * 3 * 36, random);
    for (let n = 0; n < 16; n++) {
      for (let i = 0; i < 36; i++)
        input[(n * 3 + 2) * 36 + i] = 2 * input[n * 3 * 36 + i]! - input[(n * 3 + 1) * 36 + i]!;
    }
    const target = Float32Array.from(apply(full, full.weight, undefined, input, dims));
    const kept = Float32Array.from(full.weight.filter((_, index) => Math.floor(index / 9) % 3 < 2));
    const cut: LinearLayer = { ...full, inputsPerGroup: 2, weight: kept };
    const cutInput = input.filter((_, index) => Math.floor(index / 36) % 3 < 2);
    const { result } = await refitOf(cut, cutInput, [16, 2, 6, 6], target, {});
    expect(result.relativeErrorBefore).toBeGreaterThan(0.1);
    expect(result.relativeErrorAfter).toBeLessThan(1e-9);
  });

  test('dead and repeated channels give finite weights, dead ones keep theirs', async () => {
    const random = seeded(7);
    const layer = randomLayer(
      { outputs: 3, inputsPerGroup: 4, kernel: [3, 3], pads: [1, 1, 1, 1], bias: true },
      random,
    );
    const dims = [12, 4, 5, 5];
    const input = normals(12 * 4 * 25, random);
    for (let n = 0; n < 12; n++) {
      input.fill(0, (n * 4 + 1) * 25, (n * 4 + 2) * 25);
      input.copyWithin((n * 4 + 3) * 25, n * 4 * 25, (n * 4 + 1) * 25);
    }
    const other = randomLayer(
      { outputs: 3, inputsPerGroup: 4, kernel: [3, 3], pads: [1, 1, 1, 1], bias: true },
      random,
    );
    const target = Float32Array.from(apply(layer, other.weight, other.bias, input, dims));
    for (const ridge of [0, 1e-6, 'auto'] as const) {
      const { result } = await refitOf(layer, input, dims, target, { ridge });
      expect(result.edit.weight.every(Number.isFinite)).toBe(true);
      expect(result.relativeErrorAfter).toBeLessThan(1e-6);
      for (let output = 0; output < 3; output++) {
        expect(result.edit.weight.slice(output * 36 + 9, output * 36 + 18)).toEqual(
          layer.weight.slice(output * 36 + 9, output * 36 + 18),
        );
      }
    }
    const silent = await refitOf(layer, new Float32Array(input.length), dims, target, {});
    expect(silent.result.edit.weight.every(Number.isFinite)).toBe(true);
  });

  test('refuses what it can not use', async () => {
    const random = seeded(8);
    const layer = randomLayer({ kind: 'dense', outputs: 1, inputsPerGroup: 2, bias: true }, random);
    const few = createMoments(layer);
    await accumulate(few, normals(6, random), [3, 2], normals(3, random), [3, 1]);
    await expect(refit(layer, few)).rejects.toMatchObject({ code: 'ERR_DATA_MISMATCH' });
    await accumulate(few, normals(6, random), [3, 2], normals(3, random), [3, 1]);
    await expect(refit(layer, few, { ridge: -1 })).rejects.toMatchObject({ code: 'ERR_OPTION' });
    await expect(refit(layer, few, { prior: { weight: new Float32Array(3) } })).rejects.toMatchObject({
      code: 'ERR_SHAPE',
    });
    await expect(refit(layer, few, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    await expect(refit(layer, few)).resolves.toMatchObject({ edit: { node: 'layer' } });
  });
});

describe('moments', () => {
  test('do not depend on how samples come in batches', async () => {
    const { layer, input, target } = problem(LAYERS[1]![1], LAYERS[1]![2], 9);
    const dims = LAYERS[1]![2];
    const whole = createMoments(layer);
    await accumulate(whole, input, dims, target, outputDims(layer, dims));
    await settle(whole);
    const parts = createMoments(layer);
    const inputSize = input.length / dims[0]!;
    const targetSize = target.length / dims[0]!;
    for (let start = 0, size = 1; start < dims[0]!; start += size, size++) {
      const end = Math.min(start + size, dims[0]!);
      const partDims = [end - start, ...dims.slice(1)];
      await accumulate(
        parts,
        input.slice(start * inputSize, end * inputSize),
        partDims,
        target.slice(start * targetSize, end * targetSize),
        outputDims(layer, partDims),
      );
      await settle(parts);
    }
    for (const fold of ['train', 'heldBack'] as const) {
      expect(parts[fold].samples).toBe(whole[fold].samples);
      expect(worst(parts[fold].groups[0]!.gram, whole[fold].groups[0]!.gram)).toBeLessThan(1e-9);
      expect(worst(parts[fold].groups[0]!.cross, whole[fold].groups[0]!.cross)).toBeLessThan(1e-9);
    }
  });

  test('take maps of several sizes', async () => {
    const random = seeded(10);
    const layer = randomLayer(
      { outputs: 2, inputsPerGroup: 2, kernel: [3, 3], pads: [1, 1, 1, 1], bias: true },
      random,
    );
    const moments = createMoments(layer);
    for (const size of [4, 6, 4]) {
      const dims = [8, 2, size, size];
      const input = normals(8 * 2 * size * size, random);
      const target = Float32Array.from(apply(layer, layer.weight, layer.bias, input, dims));
      await accumulate(moments, input, dims, target, dims);
    }
    const { relativeErrorBefore } = await refit(layer, moments);
    expect(relativeErrorBefore).toBeLessThan(1e-10);
    expect(moments.train.samples + moments.heldBack.samples).toBe(24);
  });

  test('take 1-D convolutions', async () => {
    const random = seeded(11);
    const layer = randomLayer(
      { outputs: 2, inputsPerGroup: 3, kernel: [1, 5], pads: [0, 2, 0, 2], bias: true },
      random,
    );
    const moments = createMoments(layer);
    const input = normals(8 * 3 * 20, random);
    const target = Float32Array.from(apply(layer, layer.weight, layer.bias, input, [8, 3, 1, 20]));
    await accumulate(moments, input, [8, 3, 20], target, [8, 2, 20]);
    expect((await refit(layer, moments)).relativeErrorBefore).toBeLessThan(1e-10);
  });

  test('name the sample that is not finite', async () => {
    const random = seeded(12);
    const layer = randomLayer({ kind: 'dense', outputs: 1, inputsPerGroup: 2 }, random);
    for (const sample of [0, 3, 5, 7]) {
      const moments = createMoments(layer);
      const input = normals(20, random);
      input[2 * sample + 1] = Number.NaN;
      await accumulate(moments, input, [10, 2], normals(10, random), [10, 1]);
      await expect(settle(moments)).rejects.toMatchObject({
        code: 'ERR_NON_FINITE',
        message: expect.stringContaining(`sample ${sample}`) as string,
      });
    }
  });

  test('refuse shapes that do not fit', async () => {
    const random = seeded(13);
    const layer = randomLayer({ outputs: 2, inputsPerGroup: 3, kernel: [3, 3] }, random);
    const moments = createMoments(layer);
    const bad: readonly (readonly [readonly number[], readonly number[]])[] = [
      [
        [1, 4, 5, 5],
        [1, 2, 3, 3],
      ],
      [
        [1, 3, 5, 5],
        [1, 2, 5, 5],
      ],
      [
        [1, 3, 5, 5],
        [1, 3, 3, 3],
      ],
      [
        [1, 3, 5, 5],
        [2, 2, 3, 3],
      ],
      [
        [1, 3, 2, 2],
        [1, 2, 0, 0],
      ],
      [
        [1, 75],
        [1, 18],
      ],
    ];
    for (const [inputDims, targetDims] of bad) {
      const sizes = [inputDims, targetDims].map((dims) => dims.reduce((product, dim) => product * dim, 1));
      const batch = accumulate(
        moments,
        new Float32Array(sizes[0]!),
        inputDims,
        new Float32Array(sizes[1]!),
        targetDims,
      );
      await expect(batch).rejects.toMatchObject({ code: 'ERR_SHAPE' });
    }
    const short = accumulate(moments, new Float32Array(74), [1, 3, 5, 5], new Float32Array(18), [1, 2, 3, 3]);
    await expect(short).rejects.toMatchObject({ code: 'ERR_SHAPE' });
    expect(() => createMoments({ ...layer, outputs: 3 })).toThrow(
      expect.objectContaining({ code: 'ERR_SHAPE' }) as Error,
    );
  });
});
