import { openDataset } from '../../src/activations/datasets/open';
import { parseModel } from '../../src/onnx/load';
import { toModelBytes } from '../../src/onnx/save';
import { understandClassifier } from '../../src/compress/open';
import { readRuntime } from '../../src/compress/options';
import { prepareCompression } from '../../src/compress/prepare';
import { drawSamples, openSamples, splitSamples } from '../../src/compress/samples';
import type { Dataset } from '../../src/activations/types';
import { writeTree } from '../activations/support/images';
import { toyNetwork } from './support/networks';
import { PIXEL_FLAGS, toyImages, writeImageFolder } from './support/toyData';
import { toyWorld, type ToyWorld } from './support/world';

let world: ToyWorld;
beforeAll(async () => {
  world = await toyWorld(480, 80);
});
afterAll(() => world.remove());

/** A data set of labels alone; class c has every third label more than class c + 1. */
function labelled(size: number): Dataset {
  const labels = Int32Array.from({ length: size }, (_, index) => (index % 6 < 3 ? 0 : index % 6 < 5 ? 1 : 2));
  return {
    size,
    labels,
    classNames: ['a', 'b', 'c'],
    skipped: [],
    normalization: NONE,
    load: () => Promise.reject(new Error('not read')),
  };
}
const NONE = { scale: 1, mean: [0], std: [1] };

const shares = ({ dataset, indices }: { dataset: Dataset; indices: Int32Array }): number[] => {
  const counts = [0, 0, 0];
  for (const index of indices) counts[dataset.labels[index]!]!++;
  return counts;
};

describe('drawSamples', () => {
  const dataset = labelled(600);

  test('takes all where no number or a larger one is asked for', () => {
    for (const count of [undefined, 600, 9999]) expect(drawSamples(dataset, count, 1).indices).toHaveLength(600);
  });

  test('keeps the shares of the classes, and follows the seed', () => {
    const drawn = drawSamples(dataset, 60, 5);
    expect(shares(drawn)).toEqual([30, 20, 10]);
    expect(drawSamples(dataset, 60, 5).indices).toEqual(drawn.indices);
    expect(drawSamples(dataset, 60, 6).indices).not.toEqual(drawn.indices);
  });
});

describe('splitSamples', () => {
  test('sets a tenth aside that calibration never sees', () => {
    const { calibration, validation } = splitSamples(labelled(600), 1000, 3);
    expect(shares(validation)).toEqual([30, 20, 10]);
    expect(shares(calibration)).toEqual([270, 180, 90]);
    expect(new Set([...calibration.indices, ...validation.indices]).size).toBe(600);
  });

  test('sets no more than 1,000 aside', () => {
    const { calibration, validation } = splitSamples(labelled(30_000), 300, 3);
    expect(shares(validation)).toEqual([500, 333, 167]);
    expect(calibration.indices).toHaveLength(300);
    const seen = new Set(validation.indices);
    expect(calibration.indices.filter((index) => seen.has(index))).toHaveLength(0);
  });
});

describe('prepareCompression', () => {
  const prepare = async (options: Parameters<typeof prepareCompression>[1]) => {
    const source = toModelBytes(await toyNetwork('vgg'));
    return prepareCompression(source, options, readRuntime(options));
  };

  test('keeps calibration, selection and validation apart where the data are enough', async () => {
    const { calibration, selection, validation } = await prepare({ data: world.data, samples: 100, flops: 0.5 });
    expect([calibration, selection, validation].map(({ indices }) => indices.length)).toEqual([100, 332, 48]);
    const all = [calibration, selection, validation].flatMap(({ indices }) => [...indices]);
    expect(new Set(all).size).toBe(all.length);
    // Classes are mixed, so that every batch holds all of them.
    expect(new Set(calibration.indices.subarray(0, 32).map((index) => calibration.dataset.labels[index]!)).size).toBe(
      4,
    );
  });

  test('selects on calibration samples where nothing else is left', async () => {
    const { calibration, selection } = await prepare({ data: world.data, validation: world.validation, flops: 0.5 });
    expect(calibration.indices).toHaveLength(480);
    expect([...selection.indices].sort()).toEqual([...calibration.indices].sort());
  });
});

describe('openSamples', () => {
  const open = async (data: Parameters<typeof openSamples>[0]) => {
    const messages: string[] = [];
    const classifier = understandClassifier(parseModel(toModelBytes(await toyNetwork('folded')).bytes));
    const runtime = readRuntime({ onMessage: (text) => messages.push(text) });
    return { dataset: await openSamples(data, classifier, runtime, 'data'), messages };
  };

  test('says which normalisation is used', async () => {
    const { messages } = await open(world.data);
    expect(messages).toEqual(['data: 480 samples of 4 classes; input = (value × 1 − [0, 0, 0]) / [1, 1, 1]']);
  });

  test('says what was left out', async () => {
    const path = await writeImageFolder(world.at('images'), toyImages(12, 1));
    await writeTree(path, { 'class1/broken.png': 'no image' });
    const { dataset, messages } = await open({ path, ...PIXEL_FLAGS, skipCorrupt: true });
    expect(dataset.size).toBe(12);
    expect(messages[1]).toMatch(/^data: 1 corrupt images left out \(first: .*broken\.png: .+\)$/);
  });

  test('refuses classes that the network does not have', async () => {
    const images = toyImages(12, 1);
    const path = await writeImageFolder(world.at('five'), { ...images, labels: images.labels.map((_, at) => at % 5) });
    await expect(open(path)).rejects.toMatchObject({ code: 'ERR_DATA_MISMATCH' });
    await expect(openDataset(path, { input: INPUT })).resolves.toMatchObject({ size: 12 });
  });
});

const INPUT = { name: 'input', layout: 'NCHW', channels: 3, height: 8, width: 8, fixedBatch: undefined } as const;
