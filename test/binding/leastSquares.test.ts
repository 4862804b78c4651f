// The least-squares part of the native surface: that every argument arrives where it should. The numerics have native
// tests of their own; here a direct float64 computation in TypeScript is the reference.
import { loadAddon } from '../../src/binding/load';
import type { NativeMoments, NativePatchGeometry } from '../../src/binding/addon';
import { createRandom } from '../../src/random';

const addon = loadAddon();

// Different in every direction, so that no two arguments can be mixed up unnoticed.
const geometry: NativePatchGeometry = {
  channels: 2,
  height: 6,
  width: 7,
  kernelHeight: 3,
  kernelWidth: 2,
  strideHeight: 2,
  strideWidth: 1,
  dilationHeight: 1,
  dilationWidth: 2,
  padTop: 1,
  padLeft: 2,
  outputHeight: 3,
  outputWidth: 8,
  outputs: 3,
};
const samples = 4;
const regressors = 2 * 3 * 2 + 1;
const inputStride = 2 * 6 * 7 + 5;
const targetStride = 3 * 3 * 8 + 2;
const random = createRandom(1);
const input = Float32Array.from({ length: 3 + samples * inputStride }, () => random.normal());
const target = Float32Array.from({ length: 1 + samples * targetStride }, () => random.normal());

function emptyMoments(): NativeMoments {
  return {
    gram: new Float64Array(regressors * regressors),
    cross: new Float64Array(regressors * geometry.outputs),
    targetSquare: new Float64Array(geometry.outputs),
  };
}

/** Patches (with the constant) and targets, one array each. */
function patches(): { readonly x: number[][]; readonly y: number[][] } {
  const x: number[][] = [];
  const y: number[][] = [];
  const g = geometry;
  for (let n = 0; n < samples; n++)
    for (let oh = 0; oh < g.outputHeight; oh++)
      for (let ow = 0; ow < g.outputWidth; ow++) {
        const patch: number[] = [];
        for (let c = 0; c < g.channels; c++)
          for (let kh = 0; kh < g.kernelHeight; kh++)
            for (let kw = 0; kw < g.kernelWidth; kw++) {
              const h = oh * g.strideHeight + kh * g.dilationHeight - g.padTop;
              const w = ow * g.strideWidth + kw * g.dilationWidth - g.padLeft;
              const inside = h >= 0 && h < g.height && w >= 0 && w < g.width;
              patch.push(inside ? input[3 + n * inputStride + (c * g.height + h) * g.width + w]! : 0);
            }
        x.push([...patch, 1]);
        const at = (m: number) => 1 + n * targetStride + (m * g.outputHeight + oh) * g.outputWidth + ow;
        y.push(Array.from({ length: g.outputs }, (_, m) => target[at(m)]!));
      }
  return { x, y };
}

async function accumulated(): Promise<NativeMoments> {
  const moments = emptyMoments();
  const count = await addon.accumulateMoments(
    { data: input, offset: 3, sampleStride: inputStride },
    { data: target, offset: 1, sampleStride: targetStride },
    samples,
    geometry,
    moments,
    {},
  );
  expect(count).toBe(samples * geometry.outputHeight * geometry.outputWidth);
  return moments;
}

function expectClose(received: ArrayLike<number>, values: readonly number[], tolerance: number): void {
  expect(received.length).toBe(values.length);
  values.forEach((value, i) =>
    expect(Math.abs(received[i]! - value)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(value))),
  );
}

function products(a: readonly number[][], b: readonly number[][]): number[] {
  const columns = b[0]!.length;
  const result = Array.from({ length: a[0]!.length * columns }, () => 0);
  a.forEach((row, i) =>
    row.forEach((left, r) => b[i]!.forEach((right, c) => (result[r * columns + c]! += left * right))),
  );
  return result;
}

/** Sum of squared residuals of each output. */
function residualOf(weights: ArrayLike<number>): number[] {
  const { x, y } = patches();
  return Array.from({ length: geometry.outputs }, (_, m) =>
    y.reduce((sum, row, i) => {
      const fit = x[i]!.reduce((total, value, r) => total + value * weights[r * geometry.outputs + m]!, 0);
      return sum + (row[m]! - fit) ** 2;
    }, 0),
  );
}

test('moments of strided, padded, dilated patches; a second batch adds', async () => {
  const { x, y } = patches();
  const moments = await accumulated();
  expectClose(moments.gram, products(x, x), 1e-9);
  expectClose(moments.cross, products(x, y), 1e-9);
  expectClose(
    moments.targetSquare,
    products(
      y.map((row) => row.map((v) => v * v)),
      y.map(() => [1]),
    ),
    1e-9,
  );
  await addon.accumulateMoments(
    { data: input, offset: 3, sampleStride: inputStride },
    { data: target, offset: 1, sampleStride: targetStride },
    samples,
    geometry,
    moments,
    {},
  );
  expectClose(
    moments.gram,
    products(x, x).map((value) => 2 * value),
    1e-9,
  );
});

test('ridgeSolve: the gradient vanishes, unused regressors stay out, the residual is that of the weights', async () => {
  const moments = await accumulated();
  const outputs = geometry.outputs;
  const active = Int32Array.of(0, 2, 3, 7, 11, 12);
  const weights = new Float64Array(active.length * outputs);
  const residual = new Float64Array(outputs);
  const problem = { ...moments, regressors, outputs, active, ridge: 0 };
  await addon.ridgeSolve(problem, weights, residual, {});
  const full = new Float64Array(regressors * outputs);
  active.forEach((r, i) => full.set(weights.subarray(i * outputs, (i + 1) * outputs), r * outputs));
  for (const r of active)
    for (let m = 0; m < outputs; m++) {
      let gradient = -moments.cross[r * outputs + m]!;
      for (let s = 0; s < regressors; s++) gradient += moments.gram[r * regressors + s]! * full[s * outputs + m]!;
      expect(Math.abs(gradient)).toBeLessThan(1e-9);
    }
  expectClose(residual, residualOf(full), 1e-9);

  const measured = new Float64Array(outputs);
  await addon.momentsResidual({ ...moments, regressors, outputs }, full, measured, {});
  expectClose(measured, residualOf(full), 1e-9);

  // A heavy ridge draws the weights to the prior, all but the constant's.
  const prior = Float64Array.from({ length: weights.length }, (_, i) => i / 10);
  await addon.ridgeSolve({ ...problem, ridge: 1e9, prior }, weights, undefined, {});
  expectClose(weights.subarray(0, -outputs), Array.from(prior.subarray(0, -outputs)), 1e-6);
});

test('eliminateUnits: each step removes the unit that costs least, as solving anew for every choice shows', async () => {
  const moments = await accumulated();
  const outputs = geometry.outputs;
  // Unit 0: channel 0 without its first regressor; unit 1: the first of channel 1; unit 2: three more of it. The rest stays.
  const units = [[1, 2, 3, 4, 5], [6], [8, 9, 10]];
  const order = new Int32Array(units.length);
  const errorAfter = new Float64Array(units.length);
  const offsets = Int32Array.of(0, 5, 6, 9);
  const problem = { ...moments, regressors, outputs, members: Int32Array.from(units.flat()), offsets };
  await addon.eliminateUnits([problem], units.length, 0, order, errorAfter, {});

  const errorWithout = async (removed: readonly number[]): Promise<number> => {
    const gone = new Set(removed.flatMap((unit) => units[unit]!));
    const active = Int32Array.from(Array.from({ length: regressors }, (_, r) => r).filter((r) => !gone.has(r)));
    const residual = new Float64Array(outputs);
    await addon.ridgeSolve(
      { ...moments, regressors, outputs, active, ridge: 0 },
      new Float64Array(active.length * outputs),
      residual,
      {},
    );
    return residual.reduce((sum, value) => sum + value, 0);
  };
  const removed: number[] = [];
  const errors: number[] = [];
  while (removed.length < units.length) {
    let best = { unit: -1, error: Infinity };
    for (let unit = 0; unit < units.length; unit++) {
      if (removed.includes(unit)) continue;
      const error = await errorWithout([...removed, unit]);
      if (error < best.error) best = { unit, error };
    }
    removed.push(best.unit);
    errors.push(best.error);
  }
  expect(Array.from(order)).toEqual(removed);
  // errorAfter is relative to the target variance: one factor for all steps.
  expectClose(
    errorAfter,
    errors.map((error) => (error / errors.at(-1)!) * errorAfter.at(-1)!),
    1e-9,
  );
});

test('sizes that do not fit are refused before anything is written', () => {
  const batch = { data: input, offset: 3, sampleStride: inputStride };
  const targets = { data: target, offset: 1, sampleStride: targetStride };
  const moments = emptyMoments();
  const call = (changes: { batch?: object; samples?: number; geometry?: object; moments?: object }) => () =>
    addon.accumulateMoments(
      { ...batch, ...changes.batch },
      targets,
      changes.samples ?? samples,
      { ...geometry, ...changes.geometry },
      { ...moments, ...changes.moments },
      {},
    );
  expect(call({ samples: samples + 1 })).toThrow(/room for 5 samples/);
  expect(call({ batch: { offset: 10 } })).toThrow(/room for 4 samples/);
  expect(call({ batch: { offset: 2 ** 53 - 1 } })).toThrow(/room/);
  expect(call({ batch: { sampleStride: 2 ** 52 } })).toThrow(/input/);
  expect(call({ geometry: { channels: 2 ** 31 - 1, height: 2 ** 31 - 1 } })).toThrow(/input/);
  expect(call({ geometry: { strideWidth: 0 } })).toThrow(/strideWidth/);
  expect(call({ moments: { gram: new Float64Array(4) } })).toThrow(/169 for gram but received 4/);
  const problem = { ...moments, regressors, outputs: 3, active: Int32Array.of(0), ridge: 0 };
  expect(() => addon.ridgeSolve(problem, new Float64Array(2), undefined, {})).toThrow(/3 for weights/);
  expect(() =>
    addon.ridgeSolve({ ...problem, prior: new Float64Array(9) }, new Float64Array(3), undefined, {}),
  ).toThrow(/prior/);
  expect(() => addon.eliminateUnits({} as never, 1, 0, new Int32Array(1), new Float64Array(1), {})).toThrow(/problems/);
});

test('an active regressor that does not exist is refused by the core', async () => {
  const moments = await accumulated();
  const problem = { ...moments, regressors, outputs: 3, active: Int32Array.of(13), ridge: 0 };
  await expect(addon.ridgeSolve(problem, new Float64Array(3), undefined, {})).rejects.toMatchObject({
    name: 'SieveError',
    code: 'ERR_OPTION',
  });
});
