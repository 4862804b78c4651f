import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { zipSync } from 'fflate';
import { pack } from 'tar-stream';
import { openDataset } from '../../../src/activations/datasets/open';
import type { Dataset, DatasetSpec } from '../../../src/activations/types';
import { python, pythonLacks } from '../support/python';
import {
  bytesOf,
  channelsFirst,
  IDENTITY,
  npy,
  png,
  randomPixels,
  RGB_INPUT,
  temporaryFolder,
  writeTree,
} from '../support/images';

const SAMPLE_VALUES = 8 * 8 * 3;

/** Six random 8×8 RGB images, of classes 0, 1, 2, 0, 1, 2; channels last. */
const PIXELS = Array.from({ length: 6 }, (_, index) => randomPixels(index + 1, SAMPLE_VALUES));
const LABELS = [0, 1, 2, 0, 1, 2];
const CLASSES = ['ant', 'bee', 'cow'];

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let pngs: Buffer[];
beforeAll(async () => {
  folder = await temporaryFolder();
  pngs = await Promise.all(PIXELS.map((pixels) => png(pixels, 8, 8, 3)));
});
afterAll(() => folder.remove());

/** Images sorted by class, as folders give them: positions in PIXELS. */
const BY_CLASS = [0, 3, 1, 4, 2, 5];

async function expectSamples(dataset: Dataset, order: readonly number[], names: readonly string[]): Promise<void> {
  expect(dataset.size).toBe(order.length);
  expect(dataset.classNames).toEqual(names);
  expect([...dataset.labels]).toEqual(order.map((position) => LABELS[position]));
  const samples = await dataset.load([...order.keys()]);
  const wanted = order.flatMap((position) => channelsFirst(PIXELS[position]!, 3));
  expect([...samples]).toEqual(wanted);
  expect([...(await dataset.load([4]))]).toEqual(wanted.slice(4 * SAMPLE_VALUES, 5 * SAMPLE_VALUES));
  const output = new Float32Array(SAMPLE_VALUES).fill(7);
  expect(await dataset.load([4], undefined, output)).toBe(output);
  expect([...output]).toEqual(wanted.slice(4 * SAMPLE_VALUES, 5 * SAMPLE_VALUES));
}

function open(spec: DatasetSpec | string): Promise<Dataset> {
  const given = typeof spec === 'string' ? { path: spec } : spec;
  return openDataset({ ...IDENTITY, ...given }, { input: RGB_INPUT });
}

function folderFiles(): Record<string, Uint8Array | string> {
  const files = BY_CLASS.map((position, index): [string, Uint8Array] => [
    `set/${CLASSES[LABELS[position]!]!}/${index}.png`,
    pngs[position]!,
  ]);
  return { ...Object.fromEntries(files), 'set/ant/.hidden.png': 'no image', 'set/readme.txt': 'text' };
}

async function tarBytes(entries: readonly (readonly [string, Uint8Array | string])[]): Promise<Buffer> {
  const tar = pack();
  for (const [name, contents] of entries) {
    if (name.endsWith('/')) tar.entry({ name, type: 'directory' });
    else tar.entry({ name }, Buffer.from(contents));
  }
  tar.finalize();
  return buffer(tar);
}

describe('class folders', () => {
  test('in a folder, named directly or by what holds them', async () => {
    const root = join(folder.path, 'folders');
    await writeTree(root, folderFiles());
    await expectSamples(await open(join(root, 'set')), BY_CLASS, CLASSES);
    await expectSamples(await open(root), BY_CLASS, CLASSES);
  });

  test.each(['tar', 'tar.gz', 'tgz'])('in a .%s', async (extension) => {
    const bytes = await tarBytes([['set/', ''], ['set/ant/', ''], ...Object.entries(folderFiles())]);
    const path = join(folder.path, `set.${extension}`);
    writeFileSync(path, extension === 'tar' ? bytes : gzipSync(bytes));
    await expectSamples(await open(path), BY_CLASS, CLASSES);
    await expectSamples(await open({ kind: 'tar', path }), BY_CLASS, CLASSES);
  });

  test('in a .tar.xz, also one of several streams', async () => {
    const missing = pythonLacks('lzma');
    if (missing !== undefined) return console.log(`skipped: ${missing}`);
    const plain = join(folder.path, 'plain.tar');
    writeFileSync(plain, await tarBytes(Object.entries(folderFiles())));
    const path = join(folder.path, 'set.tar.xz');
    const script =
      'import lzma,sys; d=open(sys.argv[1],"rb").read(); open(sys.argv[2],"wb").write(lzma.compress(d[:1024])+lzma.compress(d[1024:]))';
    python(script, [plain, path]);
    await expectSamples(await open(path), BY_CLASS, CLASSES);
  });

  test('hard links in an archive stand for what they point to', async () => {
    const tar = pack();
    tar.entry({ name: 'set/ant/1.png' }, pngs[0]!);
    tar.entry({ name: 'set/bee/1.png', type: 'link', linkname: 'set/ant/1.png' });
    tar.finalize();
    const path = join(folder.path, 'links.tar');
    writeFileSync(path, await buffer(tar));
    const dataset = await open(path);
    const [first, second] = [await dataset.load([0]), await dataset.load([1])];
    expect([...second]).toEqual([...first]);
    expect([...dataset.labels]).toEqual([0, 1]);
  });
});

describe('arrays', () => {
  const first = PIXELS.flatMap((pixels) => channelsFirst(pixels, 3));
  const last = PIXELS.flatMap((pixels) => [...pixels]);
  const order = [0, 1, 2, 3, 4, 5];
  const numbers = ['0', '1', '2'];
  const int64Labels = npy('<i8', [6], bytesOf(BigInt64Array.from(LABELS, BigInt)));

  test.each([
    ['uint8, channels first', npy('|u1', [6, 3, 8, 8], Uint8Array.from(first))],
    ['uint8, channels last', npy('|u1', [6, 8, 8, 3], Uint8Array.from(last))],
    ['float32, channels first', npy('<f4', [6, 3, 8, 8], bytesOf(Float32Array.from(first)))],
    ['float64, channels last', npy('<f8', [6, 8, 8, 3], bytesOf(Float64Array.from(last)))],
  ])('.npy of %s', async (_, images) => {
    const path = join(folder.path, 'images.npy');
    writeFileSync(path, images);
    writeFileSync(join(folder.path, 'labels.npy'), int64Labels);
    await expectSamples(await open({ path, labels: join(folder.path, 'labels.npy') }), order, numbers);
  });

  test('floats stay as they are unless a normalisation is given; labels may have a second axis', async () => {
    const values = Float32Array.from(first, (value) => value / 255);
    const path = join(folder.path, 'floats.npy');
    const labels = join(folder.path, 'column.npy');
    writeFileSync(path, npy('<f4', [6, 3, 8, 8], bytesOf(values)));
    writeFileSync(labels, npy('<i4', [6, 1], bytesOf(Int32Array.from(LABELS))));
    const plain = await openDataset({ path, labels }, { input: RGB_INPUT });
    expect(plain.normalization).toEqual({ scale: 1, mean: [0, 0, 0], std: [1, 1, 1] });
    expect([...(await plain.load(order))]).toEqual([...values]);
    const shifted = await openDataset({ path, labels, mean: [0.5], std: [2] }, { input: RGB_INPUT });
    expect((await shifted.load([0]))[0]).toBeCloseTo((values[0]! - 0.5) / 2, 6);
  });

  test('.npz, stored and compressed, by the usual names or by given ones', async () => {
    const images = npy('|u1', [6, 8, 8, 3], Uint8Array.from(last));
    const stored = join(folder.path, 'stored.npz');
    writeFileSync(
      stored,
      zipSync({ 'images.npy': images, 'labels.npy': int64Labels, 'more.npy': images }, { level: 0 }),
    );
    await expectSamples(await open(stored), order, numbers);
    const packed = join(folder.path, 'packed.npz');
    writeFileSync(packed, zipSync({ 'x_test.npy': images, 'y_test.npy': int64Labels }));
    await expectSamples(await open({ path: packed, images: 'x_test', labels: 'y_test' }), order, numbers);
    await expect(open(packed)).rejects.toMatchObject({
      code: 'ERR_DATA_UNREADABLE',
      message: expect.stringContaining('x_test, y_test') as string,
    });
  });

  test('.npz and .npy as NumPy writes them', async () => {
    const missing = pythonLacks('numpy');
    if (missing !== undefined) return console.log(`skipped: ${missing}`);
    writeFileSync(join(folder.path, 'raw'), Uint8Array.from(last));
    const script = `
import numpy as np, sys
folder = sys.argv[1]
images = np.fromfile(folder + '/raw', dtype=np.uint8).reshape(6, 8, 8, 3)
labels = np.array([0, 1, 2, 0, 1, 2])
np.savez(folder + '/numpy.npz', images=images, labels=labels)
np.savez_compressed(folder + '/packed_numpy.npz', x=images.astype(np.float16), y=labels.astype(np.uint8))
np.save(folder + '/numpy_images.npy', images.transpose(0, 3, 1, 2).copy())
np.save(folder + '/numpy_fortran.npy', np.asfortranarray(images))
np.save(folder + '/numpy_labels.npy', labels)
`;
    python(script, [folder.path]);
    const at = (name: string): string => join(folder.path, name);
    await expectSamples(await open(at('numpy.npz')), order, numbers);
    await expectSamples(await open(at('packed_numpy.npz')), order, numbers);
    const labels = at('numpy_labels.npy');
    await expectSamples(await open({ path: at('numpy_images.npy'), labels }), order, numbers);
    await expect(open({ path: at('numpy_fortran.npy'), labels })).rejects.toMatchObject({
      message: expect.stringContaining('Fortran') as string,
    });
  });

  test('IDX, gzipped or not, grey to a grey and to an RGB input', async () => {
    const grey = randomPixels(9, 3 * 64);
    const images = Buffer.concat([Buffer.from([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 8, 0, 0, 0, 8]), grey]);
    const labels = Buffer.from([0, 0, 8, 1, 0, 0, 0, 3, 2, 0, 1]);
    await writeTree(folder.path, {
      'mnist/t10k-images-idx3-ubyte': images,
      'mnist/t10k-labels-idx1-ubyte': labels,
      'packed/t10k-images-idx3-ubyte.gz': gzipSync(images),
      'packed/t10k-labels-idx1-ubyte.gz': gzipSync(labels),
    });
    const path = join(folder.path, 'mnist/t10k-images-idx3-ubyte');
    const packedPath = join(folder.path, 'packed/t10k-images-idx3-ubyte.gz');
    for (const source of [{ path }, { path: packedPath }, { kind: 'idx' as const, path: packedPath }]) {
      const dataset = await openDataset({ ...source, ...IDENTITY }, { input: { ...RGB_INPUT, channels: 1 } });
      expect([...dataset.labels]).toEqual([2, 0, 1]);
      expect([...(await dataset.load([0, 1, 2]))]).toEqual([...grey]);
    }
    const rgb = await openDataset({ path, ...IDENTITY }, { input: RGB_INPUT });
    expect([...(await rgb.load([1]))]).toEqual([0, 1, 2].flatMap(() => [...grey.subarray(64, 128)]));
  });

  test('CIFAR-10 binary files, one or a folder of batches, with the names beside them', async () => {
    const input = { ...RGB_INPUT, height: 32, width: 32 };
    const record = (label: number, seed: number) => Buffer.concat([Buffer.from([label]), randomPixels(seed, 3072)]);
    await writeTree(folder.path, {
      'cifar/data_batch_1.bin': Buffer.concat([record(2, 1), record(0, 2)]),
      'cifar/data_batch_2.bin': record(1, 3),
      'cifar/test_batch.bin': record(1, 4),
      'cifar/batches.meta.txt': 'ant\nbee\ncow\n\n',
    });
    const path = join(folder.path, 'cifar');
    const training = await openDataset({ kind: 'cifar-binary', path, ...IDENTITY }, { input });
    expect([...training.labels]).toEqual([2, 0, 1]);
    expect(training.classNames).toEqual(CLASSES);
    expect([...(await training.load([1]))]).toEqual([...randomPixels(2, 3072)]);
    const test = await openDataset({ path: join(path, 'test_batch.bin'), ...IDENTITY }, { input });
    expect([...test.labels]).toEqual([1]);
    expect([...(await test.load([0]))]).toEqual([...randomPixels(4, 3072)]);
  });

  test('a JSON description: paths relative to it, fields beside the path win', async () => {
    const description = { kind: 'npy', path: 'images.npy', labels: 'labels.npy', scale: '1/255', std: [0.5], limit: 3 };
    await writeTree(folder.path, {
      'described/images.npy': npy('|u1', [6, 8, 8, 3], Uint8Array.from(last)),
      'described/labels.npy': int64Labels,
      'described/data.json': JSON.stringify(description),
    });
    const path = join(folder.path, 'described/data.json');
    const dataset = await openDataset(path, { input: RGB_INPUT });
    expect(dataset.size).toBe(3);
    expect(dataset.normalization).toEqual({ scale: 1 / 255, mean: [0, 0, 0], std: [0.5, 0.5, 0.5] });
    const overridden = await openDataset({ path, limit: 5, scale: 1, classNames: CLASSES }, { input: RGB_INPUT });
    expect(overridden.size).toBe(5);
    expect(overridden.normalization).toEqual({ scale: 1, mean: [0, 0, 0], std: [0.5, 0.5, 0.5] });
    expect(overridden.classNames).toEqual(CLASSES);
  });
});
