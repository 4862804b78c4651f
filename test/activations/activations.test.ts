import {
  assertFinite,
  collectActivations,
  collectColumns,
  measureTaps,
  predict,
  streamActivations,
} from '../../src/activations/activations';
import type { CollectedActivations } from '../../src/activations/activations';
import { createDataset } from '../../src/activations/datasets/dataset';
import type { ImageSource } from '../../src/activations/datasets/source';
import { randomSamples, runSamples } from '../../src/activations/feeds';
import { planPasses, takePass } from '../../src/activations/passes';
import { examineDevices } from '../../src/activations/providers';
import { createSession } from '../../src/activations/session';
import type { ActivationBatch, Dataset, ImageInput, Session } from '../../src/activations/types';
import { float32Tensor } from '../../src/onnx/tensor';
import { ModelBuilder } from '../support/modelBuilder';
import { IDENTITY, randomPixels, RGB_INPUT } from './support/images';

const SAMPLES = 23;
const VALUES = 192;
const PIXELS = Array.from({ length: SAMPLES }, (_, index) => randomPixels(index, VALUES));

const source: ImageSource = {
  count: SAMPLES,
  labels: Int32Array.from({ length: SAMPLES }, (_, index) => index % 3),
  classNames: ['ant', 'bee', 'cow'],
  pixels: { width: 8, height: 8, channels: 3, element: 'uint8' },
  name: (index) => `sample ${index}`,
  read: (index) =>
    Promise.resolve({ kind: 'pixels', width: 8, height: 8, channels: 3, layout: 'CHW', data: PIXELS[index]! }),
};

/** twice = 2x, [N,3,8,8]; means = mean of every channel, [N,3]; all = over the whole batch, [1]. */
function model(batch: number | string): Uint8Array {
  const builder = new ModelBuilder();
  const x = builder.input('input', [batch, 3, 8, 8]);
  const two = builder.initializer(float32Tensor('two', [1], Float32Array.of(2)));
  builder.output(builder.node('Mul', [x, two], {}, { outputs: ['twice'] }), [batch, 3, 8, 8]);
  const pooled = builder.node('GlobalAveragePool', [x]);
  builder.output(builder.node('Flatten', [pooled], {}, { outputs: ['means'] }), [batch, 3]);
  builder.output(builder.node('ReduceMax', [x], { keepdims: 0, axes: [0, 1, 2, 3] }, { outputs: ['all'] }), []);
  return builder.bytes();
}

let dataset: Dataset;
let session: Session;
let fixedSession: Session;
const input = RGB_INPUT;
const fixedInput: ImageInput = { ...RGB_INPUT, fixedBatch: 5 };
beforeAll(async () => {
  dataset = await createDataset(source, { path: 'test', ...IDENTITY }, { input });
  [session, fixedSession] = (await Promise.all(
    ['N', 5].map((batch) => createSession({ bytes: model(batch) }, { device: 'cpu', threads: 1 })),
  )) as [Session, Session];
});
afterAll(() => Promise.all([session.close(), fixedSession.close()]));

const INDICES = [22, 3, 4, 0, 17, 5, 6, 7, 1, 2, 21, 3];

function meansOf(index: number): number[] {
  return [0, 1, 2].map(
    (channel) => PIXELS[index]!.subarray(64 * channel, 64 * channel + 64).reduce((a, b) => a + b) / 64,
  );
}

function expectRows(name: string, features: ArrayLike<number>, indices: readonly number[]): void {
  const wanted = indices.flatMap((index) =>
    name === 'twice' ? Array.from(PIXELS[index]!, (value) => 2 * value) : meansOf(index),
  );
  expect(features).toHaveLength(wanted.length);
  const largestError = wanted.reduce(
    (worst, value, position) => Math.max(worst, Math.abs(value - features[position]!)),
    0,
  );
  expect(largestError).toBeLessThan(1e-4);
}

async function batchesOf(stream: AsyncIterable<ActivationBatch>): Promise<ActivationBatch[]> {
  const batches: ActivationBatch[] = [];
  for await (const batch of stream) batches.push(batch);
  return batches;
}

describe('streaming', () => {
  test.each([1, 5, 12, 64])('batches of %i samples, in order', async (batchSize) => {
    const fractions: number[] = [];
    const run = { session, input, dataset, indices: INDICES, taps: ['means', 'twice'], batchSize };
    const onProgress = ({ fraction }: { fraction: number }): void => void fractions.push(fraction);
    const batches = await batchesOf(streamActivations({ ...run, onProgress }));
    expect(batches.map(({ count }) => count).reduce((sum, count) => sum + count)).toBe(INDICES.length);
    for (const { start, count, tensors } of batches) {
      const indices = INDICES.slice(start, start + count);
      expect(count).toBe(Math.min(batchSize, INDICES.length - start));
      expect(tensors.get('twice')!.dims).toEqual([count, 3, 8, 8]);
      expectRows('twice', tensors.get('twice')!.data, indices);
      expectRows('means', tensors.get('means')!.data, indices);
    }
    expect(fractions.at(-1)).toBe(1);
    expect(fractions).toEqual([...fractions].sort((left, right) => left - right));
  });

  test('a fixed batch is filled up, and what was filled in is dropped', async () => {
    const run = { session: fixedSession, input: fixedInput, dataset, indices: INDICES, taps: ['twice'] };
    const batches = await batchesOf(streamActivations({ ...run, batchSize: 3 }));
    expect(batches.map(({ count }) => count)).toEqual([5, 5, 2]);
    for (const { start, count, tensors } of batches) {
      expect(tensors.get('twice')!.dims).toEqual([count, 3, 8, 8]);
      expectRows('twice', tensors.get('twice')!.data, INDICES.slice(start, start + count));
    }
  });

  test('batches shrink to the memory budget', async () => {
    // Two copies of 192 float32 values are 1,536 bytes for each sample.
    const run = { session, input, dataset, indices: INDICES, taps: ['twice'], memoryBudgetBytes: 4 * 1536 + 100 };
    expect((await batchesOf(streamActivations(run))).map(({ count }) => count)).toEqual([4, 4, 4]);
    const tiny = await batchesOf(streamActivations({ ...run, memoryBudgetBytes: 1 }));
    expect(tiny).toHaveLength(INDICES.length);
  });

  test('the next batch is decoded while one runs', async () => {
    const events: string[] = [];
    const watched: Dataset = {
      ...dataset,
      load: (indices, signal) => {
        events.push(`load ${indices[0]!}`);
        return dataset.load(indices, signal);
      },
    };
    const slow: Session = {
      ...session,
      run: async (...parameters) => {
        const result = await session.run(...parameters);
        events.push('ran');
        return result;
      },
    };
    await batchesOf(
      streamActivations({ session: slow, input, dataset: watched, indices: [0, 1, 2], taps: ['means'], batchSize: 1 }),
    );
    expect(events).toEqual(['load 0', 'load 1', 'ran', 'load 2', 'ran', 'ran']);
  });

  test('an abort, and errors of decoding and running, come out', async () => {
    const run = { session, input, dataset, indices: INDICES, taps: ['twice'], batchSize: 1 };
    const controller = new AbortController();
    const aborted = async (): Promise<number> => {
      let batches = 0;
      for await (const batch of streamActivations({ ...run, signal: controller.signal })) {
        batches += batch.count;
        controller.abort();
      }
      return batches;
    };
    await expect(aborted()).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    const broken: Dataset = { ...dataset, load: () => Promise.reject(new Error('no pixels')) };
    await expect(batchesOf(streamActivations({ ...run, dataset: broken }))).rejects.toThrow('no pixels');
    await expect(batchesOf(streamActivations({ ...run, taps: ['all'] }))).rejects.toMatchObject({
      code: 'ERR_MODEL_UNSUPPORTED',
      message: expect.stringContaining('"all"') as string,
    });
    expect(await batchesOf(streamActivations({ ...run, indices: [] }))).toEqual([]);
  });
});

describe('the memory plan', () => {
  const tap = (name: string, elementsPerSample: number) => ({ name, elementsPerSample });
  const names = (passes: readonly (readonly { name: string }[])[]): string[] =>
    passes.map((pass) => pass.map(({ name }) => name).join(''));

  test('groups neighbouring taps up to the budget, and no further', () => {
    const taps = [tap('a', 10), tap('b', 10), tap('c', 10), tap('d', 25), tap('e', 5)];
    expect(names(planPasses(taps, 100, 10_000))).toEqual(['ab', 'c', 'd', 'e']);
    expect(names(planPasses(taps, 100, 12_000))).toEqual(['abc', 'de']);
    expect(names(planPasses(taps, 100, 24_000))).toEqual(['abcde']);
    expect(names(planPasses(taps, 100))).toEqual(['abcde']);
    expect(planPasses([], 100)).toEqual([]);
  });

  test('names the tap that can not be held, and what would help', () => {
    expect(() => planPasses([tap('a', 1), tap('huge', 1000)], 2000, 4_000_000)).toThrow(
      expect.objectContaining({
        code: 'ERR_OUT_OF_MEMORY',
        message: expect.stringContaining('"huge"') as string,
        remedy: 'Use at most 1000 samples, or a memory budget of at least 8 MiB.',
      }) as Error,
    );
  });

  test('fills passes with whole pieces, the largest first, and then with what is cut', () => {
    const pieces = (...sizes: number[]) => sizes.map((columns) => ({ columns }));
    const passesOf = (columns: number, whole: number[], ...queues: number[][]) => {
      const lists = [pieces(...whole), ...queues.map((queue) => pieces(...queue))] as const;
      const passes: number[][] = [];
      for (;;) {
        const pass = takePass(lists[0], lists.slice(1), columns);
        if (pass.length === 0) return { passes, left: lists.flat().length };
        passes.push(pass.map((piece) => piece.columns));
      }
    };
    expect(passesOf(10, [3, 6, 4, 7])).toEqual({
      passes: [
        [7, 3],
        [6, 4],
      ],
      left: 0,
    });
    expect(passesOf(10, [3, 6], [4, 4, 4])).toEqual({ passes: [[6, 3], [4, 4], [4]], left: 0 });
    expect(passesOf(10, [8], [2, 2], [2, 5])).toEqual({
      passes: [
        [8, 2],
        [2, 2, 5],
      ],
      left: 0,
    });
    // The second queue waits for the first, so that not all of them are half done.
    expect(passesOf(5, [], [4, 4], [1, 1])).toEqual({ passes: [[4], [4, 1], [1]], left: 0 });
    expect(passesOf(5, [6], [])).toEqual({ passes: [], left: 1 });
  });

  test('collects columns, also of the samples themselves', async () => {
    const tap = (name: string, elementsPerSample: number) => ({ name, elementsPerSample, dims: [] });
    const ranges = [
      { tap: tap('twice', VALUES), first: 5, columns: 2 },
      { tap: tap('means', 3), first: 0, columns: 3 },
      { tap: tap(input.name, VALUES), first: VALUES - 1, columns: 1 },
      { tap: tap('twice', VALUES), first: 0, columns: VALUES },
    ];
    const run = { session, input, dataset, indices: INDICES, batchSize: 5 };
    const [part, means, last, whole] = await collectColumns(run, ranges);
    expectRows('means', means!, INDICES);
    expectRows('twice', whole!, INDICES);
    const samples = await dataset.load(INDICES);
    for (let row = 0; row < INDICES.length; row++) {
      expect([...part!.subarray(2 * row, 2 * row + 2)]).toEqual([
        ...whole!.subarray(row * VALUES + 5, row * VALUES + 7),
      ]);
      expect(last![row]).toBe(samples[(row + 1) * VALUES - 1]);
    }
    // Samples alone need no run of the network.
    const failing = { ...session, run: () => Promise.reject(new Error('not to be run')) };
    expect(await collectColumns({ ...run, session: failing }, ranges.slice(2, 3))).toEqual([last]);
    await expect(collectColumns({ ...run, session: failing }, ranges)).rejects.toThrow('not to be run');
  });

  test('has a pass for every group, each over all samples', async () => {
    const collect = async (memoryBudgetBytes?: number) => {
      const passes: ReadonlyMap<string, CollectedActivations>[] = [];
      const run = { session, input, dataset, indices: INDICES, taps: ['means', 'twice'], memoryBudgetBytes };
      for await (const pass of collectActivations(run)) passes.push(pass);
      return passes;
    };
    const [together, ...others] = await collect();
    expect(others).toEqual([]);
    expect(together!.get('twice')).toMatchObject({ rows: 12, elementsPerSample: VALUES, dims: [3, 8, 8] });
    const apart = await collect(12 * VALUES * 4);
    expect(apart.map((pass) => [...pass.keys()])).toEqual([['means'], ['twice']]);
    for (const passes of [[together!, together!], apart]) {
      expectRows('means', passes[0]!.get('means')!.features, INDICES);
      expectRows('twice', passes[1]!.get('twice')!.features, INDICES);
    }
    await expect(collect(12 * VALUES * 4 - 1)).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
  });

  test('measures taps, also with a fixed batch', async () => {
    const measured = [
      { name: 'twice', elementsPerSample: VALUES, dims: [3, 8, 8] },
      { name: 'means', elementsPerSample: 3, dims: [3] },
    ];
    expect(await measureTaps(session, input, ['twice', 'means'])).toEqual(measured);
    expect(await measureTaps(fixedSession, fixedInput, ['twice', 'means'])).toEqual(measured);
  });
});

describe('predictions and raw samples', () => {
  test('logits stand beside their labels', async () => {
    const run = { session: fixedSession, input: fixedInput, dataset, indices: INDICES, logitsName: 'means' };
    const { logits, classes, labels } = await predict(run);
    expect(classes).toBe(3);
    expect([...labels]).toEqual(INDICES.map((index) => index % 3));
    expectRows('means', logits, INDICES);
    await expect(predict({ ...run, logitsName: 'twice' })).rejects.toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED' });
    const more: Dataset = { ...dataset, labels: dataset.labels.map((label) => label + 1) };
    await expect(predict({ ...run, dataset: more })).rejects.toMatchObject({ code: 'ERR_DATA_MISMATCH' });
  });

  test('random samples are standard normal to the last one, however many', () => {
    const samples = randomSamples(input, 1001, 3);
    expect(samples).toHaveLength(1001 * VALUES);
    const mean = samples.reduce((sum, value) => sum + value, 0) / samples.length;
    const square = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(square - 1)).toBeLessThan(0.03);
    expect(samples.subarray(-VALUES).every((value) => value !== 0)).toBe(true);
    expect([...samples.subarray(0, 7 * VALUES)]).toEqual([...randomSamples(input, 7, 3)]);
  });

  test('raw samples run in batches and stay as they are', async () => {
    const samples = randomSamples(input, 7, 42);
    expect([...randomSamples(input, 7, 42)]).toEqual([...samples]);
    expect(samples).toHaveLength(7 * VALUES);
    const before = [...samples];
    for (const run of [
      { session, input, batchSize: 3 },
      { session: fixedSession, input: fixedInput },
    ]) {
      const results = await runSamples({ ...run, samples, outputs: ['twice', 'means'] });
      expect(results.get('twice')!.dims).toEqual([7, 3, 8, 8]);
      expect([...results.get('twice')!.data]).toEqual(before.map((value) => Math.fround(2 * value)));
      expect(results.get('means')!.dims).toEqual([7, 3]);
    }
    expect([...samples]).toEqual(before);
    const odd = samples.subarray(0, 100);
    await expect(runSamples({ session, input, samples: odd, outputs: ['twice'] })).rejects.toMatchObject({
      code: 'ERR_SHAPE',
    });
  });

  test('numbers that are not finite are named with their sample', () => {
    const data = Float32Array.from({ length: 12 }, (_, index) => index);
    const batch = { start: 2, count: 3, tensors: new Map([['relu', { dims: [3, 4], data }]]) };
    const indices = [9, 8, 7, 6, 5];
    expect(() => assertFinite(batch, indices)).not.toThrow();
    data[7] = NaN;
    expect(() => assertFinite(batch, indices)).toThrow(
      expect.objectContaining({
        code: 'ERR_NON_FINITE',
        message: expect.stringMatching(/"relu" of sample 6.*NaN/) as string,
      }) as Error,
    );
    data.fill(-Infinity, 0, 1);
    expect(() => assertFinite(batch, indices)).toThrow(/sample 7 .*-Infinity/);
  });
});

test('devices are probed by running something on them', async () => {
  const devices = await examineDevices();
  expect(devices.map(({ device }) => device)).toEqual(['cpu', 'cuda', 'webgpu']);
  expect(devices[0]).toEqual({ device: 'cpu', works: true, reason: undefined, remedy: undefined });
  for (const { works, reason, remedy } of devices) expect(works || (reason !== '' && remedy !== '')).toBe(true);
});
