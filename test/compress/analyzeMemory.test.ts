// analyze within a memory budget: layers that exceed it are read in blocks of columns, and nothing of the result shows it.
import { openDataset } from '../../src/activations/datasets/open';
import type { Dataset } from '../../src/activations/types';
import { listBackends } from '../../src/binding/backends';
import { analyze } from '../../src/compress/analyze';
import { analyzeShard } from '../../src/compress/analyzeShard';
import type { AnalyzedLayer, AnalyzeResult } from '../../src/compress/api';
import { openModel, understandClassifier } from '../../src/compress/open';
import { readRuntime } from '../../src/compress/options';
import { markEffective, profileCutPoints } from '../../src/compress/profile';
import { drawSamples } from '../../src/compress/samples';
import type { Model } from '../../src/onnx/ir';
import { toModelBytes } from '../../src/onnx/save';
import type { ModelBytes, ProgressEvent } from '../../src/types';
import { ModelBuilder } from '../support/modelBuilder';
import { toyNetwork } from './support/networks';
import { CLASSES, SAMPLE_DIMS, toyImages, writeNpz, type ToyImages } from './support/toyData';
import { toyWorld, type ToyWorld } from './support/world';

jest.setTimeout(120_000);

const ROWS = 60;
const COLUMN = 4 * ROWS; // bytes
const RUN = { device: 'cpu', threads: 2, samples: ROWS } as const;

let world: ToyWorld;
let model: ModelBytes;
let wide: ModelBytes;
beforeAll(async () => {
  world = await toyWorld(120, 80);
  model = toModelBytes(await toyNetwork('residual'));
  wide = toModelBytes(wideNetwork());
});
afterAll(() => world.remove());

/** Without what says how they were found. */
function plain(layers: readonly AnalyzedLayer[]): AnalyzedLayer[] {
  return layers.map((layer) => ({ ...layer, columnBlocks: undefined }));
}

function streamedOf({ layers }: AnalyzeResult): string[] {
  return layers.filter(({ columnBlocks }) => columnBlocks !== undefined).map(({ name }) => name);
}

/** The profile, and how often the data was read for it. */
async function profiled(
  source: ModelBytes,
  data: string,
  columns: number,
): Promise<{ layers: AnalyzedLayer[]; passes: number }> {
  const classifier = understandClassifier(await openModel(source));
  const { input, classes } = classifier;
  const dataset = await openDataset(data, { input, classCount: classes });
  let loads = 0;
  const load: Dataset['load'] = (indices, signal) => {
    loads++; // the batch holds all samples
    return dataset.load(indices, signal);
  };
  const runtime = readRuntime({ ...RUN, memoryBudgetBytes: columns * COLUMN });
  const samples = drawSamples({ ...dataset, load }, ROWS, 0);
  const { layers } = await profileCutPoints(classifier, samples, runtime, true);
  return { layers: markEffective(layers, 0), passes: loads };
}

describe('the same answers however little memory there is', () => {
  // The widest layers have 16 filters of 64 values, one has 24 of 16; the input has 192.
  test.each([
    ['the widest layers in blocks', 1023, 2],
    ['blocks of whole filters', 200, 3],
    ['a filter at a time', 64, 4],
    ['less than a filter', 37, 4],
  ])('%s', async (_, columns, streamed) => {
    const options = { ...RUN, data: world.validation, filters: true };
    const whole = await analyze(model, options);
    const thrifty = await analyze(model, { ...options, memoryBudgetBytes: columns * COLUMN });
    expect({ ...thrifty, layers: plain(thrifty.layers) }).toEqual(whole);
    expect(streamedOf(whole)).toEqual([]);
    expect(streamedOf(thrifty)).toHaveLength(streamed);
  });

  test('where products of columns leave the neighbours open and the columns are wanted twice', async () => {
    const data = await writeNpz(world.at('copies.npz'), nearCopies());
    const whole = await profiled(wide, data, 10_000);
    expect(whole.passes).toBe(1);
    for (const columns of [300, 100, 30]) {
      const { layers, passes } = await profiled(wide, data, columns);
      expect(plain(layers)).toEqual(whole.layers);
      // The input, a convolution with 5 filters of 64 values, pooled, and the classes.
      const elements = [192, 320, 5, CLASSES];
      expect(layers.map(({ columnBlocks }) => columnBlocks !== undefined)).toEqual(elements.map((n) => n > columns));
      const sum = (list: number[]): number => list.reduce((total, n) => total + n, 0);
      const twice = elements.filter((n) => n > columns);
      const hasProducts = listBackends().some(({ name, available }) => available && name !== 'serial');
      if (hasProducts) expect(passes).toBeGreaterThanOrEqual(Math.ceil(sum([...elements, ...twice]) / columns));
      expect(passes).toBeLessThanOrEqual(Math.ceil((1.4 * sum([...elements, ...twice, 320])) / columns));
    }
  });
});

test('the data is read as often as the budget asks for, and no more', async () => {
  const all = 192 + 2 * 1024 + 384 + 24 + CLASSES;
  for (const columns of [5000, 2048, 1023, 500, 200]) {
    const { passes } = await profiled(model, world.validation, columns);
    expect(passes).toBe(Math.ceil(all / columns));
  }
});

test('progress goes on within a layer that is read in blocks, and never back', async () => {
  const fractions: number[] = [];
  const onProgress = ({ stage, fraction }: ProgressEvent): void => {
    if (stage === 'profile') fractions.push(fraction);
  };
  const { layers } = await analyze(model, {
    ...RUN,
    data: world.validation,
    memoryBudgetBytes: 200 * COLUMN,
    onProgress,
  });
  expect(fractions.length).toBeGreaterThan(3 * layers.length);
  expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
  expect(fractions[0]).toBeGreaterThan(0);
  expect(fractions.at(-1)).toBe(1);
});

test('aborting between blocks rejects with ERR_CANCELLED', async () => {
  const controller = new AbortController();
  let events = 0;
  const onProgress = (): void => {
    if (++events === 5) controller.abort();
  };
  const { signal } = controller;
  const options = { ...RUN, data: world.validation, memoryBudgetBytes: 200 * COLUMN, signal, onProgress };
  await expect(analyze(model, options)).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  expect(events).toBeLessThan(8);
});

test('activations that are not finite are named as without blocks', async () => {
  const images = toyImages(ROWS, 4);
  images.images.fill(3e38, 7 * 192, 8 * 192);
  const data = await writeNpz(world.at('infinite.npz'), images);
  const failure = async (memoryBudgetBytes?: number): Promise<unknown> =>
    analyze(wide, { ...RUN, data, memoryBudgetBytes }).catch((error: unknown) => error);
  const whole = await failure();
  expect(whole).toMatchObject({ code: 'ERR_NON_FINITE', message: expect.stringMatching(/sample 7 /) as string });
  expect(await failure(200 * COLUMN)).toMatchObject({ message: (whole as Error).message });
});

describe('what does not fit at all', () => {
  test('not even a value of every sample', async () => {
    const options = { ...RUN, data: world.validation, memoryBudgetBytes: COLUMN - 1 };
    await expect(analyze(model, options)).rejects.toMatchObject({
      code: 'ERR_OUT_OF_MEMORY',
      message: expect.stringContaining('tensor "input"') as string,
    });
  });

  test('a layer beyond the budget in one of several jobs', async () => {
    const shard = { index: 1, count: 2 };
    const options = { ...RUN, data: world.validation, memoryBudgetBytes: 500 * COLUMN };
    await expect(analyzeShard(model, { ...options, shard })).rejects.toMatchObject({
      code: 'ERR_OUT_OF_MEMORY',
      remedy: expect.stringMatching(/without --shard/) as string,
    });
  });

  test('a layer beyond the budget with more samples than blocks of columns can have', async () => {
    const samples = 20_001;
    const images = new Float32Array(samples * 192);
    const data = await writeNpz(world.at('many.npz'), { count: samples, images, labels: new Int32Array(samples) });
    const options = { ...RUN, data, samples, memoryBudgetBytes: 4 * samples * 319 };
    await expect(analyze(wide, options)).rejects.toMatchObject({
      code: 'ERR_OUT_OF_MEMORY',
      message: expect.stringMatching(/received 20001 samples of 320 values/) as string,
      remedy: expect.stringMatching(/20000 samples \(--samples, --limit\)/) as string,
    });
  });
});

/** Five filters of 64 values. */
function wideNetwork(): Model {
  const b = new ModelBuilder();
  const conv = b.conv(b.input('input', ['N', ...SAMPLE_DIMS]), 3, 5, 3, { pads: [1, 1, 1, 1] });
  const pooled = b.node('Flatten', [b.node('GlobalAveragePool', [conv])]);
  b.output(b.gemm(pooled, 5, CLASSES), ['N', CLASSES]);
  return b.build();
}

/** Three images, far apart, each many times with a little noise: float32 sums can not tell which of its copies are near. */
function nearCopies(): ToyImages {
  const { images: noise, labels } = toyImages(ROWS, 8);
  const { images: originals } = toyImages(3, 9);
  const images = noise.map(
    (value, at) => 100 * originals[(Math.floor(at / 192) % 3) * 192 + (at % 192)]! + value / 1000,
  );
  return { count: ROWS, images, labels };
}
