import { writeFileSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { zipSync } from 'fflate';
import { pack } from 'tar-stream';
import { openDataset } from '../../../src/activations/datasets/open';
import type { DatasetOptions } from '../../../src/activations/datasets/dataset';
import type { DatasetSpec } from '../../../src/activations/types';
import { python, pythonLacks } from '../support/python';
import { bytesOf, jpeg, npy, png, randomPixels, RGB_INPUT, temporaryFolder, writeTree } from '../support/images';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let image: Buffer;
beforeAll(async () => {
  folder = await temporaryFolder();
  image = await png(randomPixels(1, 192), 8, 8, 3);
});
afterAll(() => folder.remove());

const at = (...parts: string[]): string => join(folder.path, ...parts);
const open = (source: string | DatasetSpec, options: Partial<DatasetOptions> = {}) =>
  openDataset(source, { input: RGB_INPUT, ...options });

/** Every error is one line that names what it is about, with a remedy. */
async function expectError(work: Promise<unknown>, code: string, ...parts: string[]): Promise<void> {
  const error = (await work.then(
    () => new Error('nothing was thrown'),
    (reason: unknown) => reason,
  )) as { code?: string; message: string; remedy?: string };
  expect(error).toMatchObject({ name: 'SieveError', code });
  for (const part of parts) expect(error.message).toContain(part);
  expect(error.message).toMatch(/^Expected [^\n]+ but received [^\n]+$/);
  expect(error.remedy).toMatch(/^[A-Z][^\n]+\.$/);
}

describe('folders', () => {
  test('that are missing, empty, or hold no images', async () => {
    await expectError(open(at('nowhere')), 'ERR_DATA_UNREADABLE', at('nowhere'));
    await writeTree(folder.path, { 'texts/ant/1.txt': 'text', 'texts/bee/2.bmp': 'text' });
    await expectError(open(at('texts')), 'ERR_DATA_UNREADABLE', 'no image (but 2 other files)');
  });

  test('with images outside of class folders', async () => {
    await writeTree(folder.path, {
      'flat/1.png': image,
      'flat/2.png': image,
      'mixed/1.png': image,
      'mixed/ant/1.png': image,
      'splits/test/ant/1.png': image,
      'splits/train/ant/1.png': image,
      'depths/ant/1.png': image,
      'depths/bee/more/1.png': image,
    });
    await expectError(open(at('flat')), 'ERR_DATA_UNREADABLE', '2 images directly inside and no class folders');
    await expectError(
      open(at('mixed')),
      'ERR_DATA_UNREADABLE',
      '1 image directly inside beside class folders',
      '1.png',
    );
    await expectError(open(at('splits')), 'ERR_DATA_UNREADABLE', '"test"', '"train"');
    await expectError(open(at('depths')), 'ERR_DATA_UNREADABLE', '"bee"');
  });

  test('with a class folder without images', async () => {
    await writeTree(folder.path, { 'hollow/ant/1.png': image, 'hollow/bee/note.txt': 'text' });
    await expectError(open(at('hollow')), 'ERR_DATA_UNREADABLE', 'none in "bee"');
  });

  test('with a link to nothing', async () => {
    await writeTree(folder.path, { 'dangling/ant/1.png': image });
    await symlink(at('gone'), at('dangling/ant/2.png'));
    await expectError(open(at('dangling')), 'ERR_DATA_UNREADABLE', '2.png');
  });
});

describe('corrupt images', () => {
  beforeAll(async () => {
    const whole = await jpeg(randomPixels(2, 32 * 32 * 3), 32, 32);
    const scrambled = Buffer.from(whole);
    scrambled.fill(0x5a, 20, 120);
    await writeTree(folder.path, {
      'corrupt/ant/1.jpg': whole,
      'corrupt/ant/2.jpg': whole.subarray(0, whole.length / 2),
      'corrupt/ant/3.jpg': scrambled,
      'corrupt/bee/1.jpg': Buffer.alloc(0),
      'corrupt/bee/2.jpg': 'this is no image',
      'corrupt/bee/3.jpg': whole,
      'hopeless/ant/1.jpg': 'this is no image',
    });
  });
  const names = ['ant/2.jpg', 'ant/3.jpg', 'bee/1.jpg', 'bee/2.jpg'];

  test('are named', async () => {
    const dataset = await open(at('corrupt'));
    expect(dataset.size).toBe(6);
    expect(dataset.skipped).toEqual([]);
    for (const [position, name] of names.entries()) {
      await expectError(dataset.load([position + 1]), 'ERR_IMAGE_CORRUPT', name);
    }
    expect(await dataset.load([0, 5])).toHaveLength(2 * 192);
  });

  test('are left out and counted on request only', async () => {
    const fractions: number[] = [];
    const dataset = await open(
      { path: at('corrupt'), skipCorrupt: true },
      { onProgress: ({ fraction }) => fractions.push(fraction) },
    );
    expect(dataset.skipped.map(({ name }) => name)).toEqual(names.map((name) => at('corrupt', name)));
    expect(dataset.skipped.every(({ reason }) => reason.length > 10)).toBe(true);
    expect(dataset.size).toBe(2);
    expect([...dataset.labels]).toEqual([0, 1]);
    expect(await dataset.load([0, 1])).toHaveLength(2 * 192);
    expect(fractions.at(-1)).toBe(1);
    await expectError(open({ path: at('hopeless'), skipCorrupt: true }), 'ERR_DATA_UNREADABLE', '1 corrupt');
  });
});

describe('archives', () => {
  test('that are truncated, damaged or empty', async () => {
    const tar = pack();
    for (const name of ['ant/1.png', 'bee/1.png']) tar.entry({ name }, Buffer.concat([image, Buffer.alloc(3000)]));
    tar.finalize();
    const whole = await buffer(tar);
    const zipped = gzipSync(whole);
    const noise = Buffer.from(whole);
    noise.fill(0xaa, 0, 200);
    const broken: Record<string, Buffer> = {
      'cut.tar': whole.subarray(0, whole.length / 2),
      'cut.tar.gz': zipped.subarray(0, zipped.length / 2),
      'noise.tar': noise,
      'none.tar.gz': gzipSync(Buffer.from('this is no archive at all, just some text')),
    };
    for (const [name, bytes] of Object.entries(broken)) {
      writeFileSync(at(name), bytes);
      await expectError(open(at(name)), 'ERR_DATA_UNREADABLE', name);
    }
    writeFileSync(at('empty.tar'), Buffer.alloc(1024));
    await expectError(open(at('empty.tar')), 'ERR_DATA_UNREADABLE', 'no image');
    writeFileSync(at('links.tar'), await linkedArchive());
    await expectError(open(at('links.tar')), 'ERR_DATA_UNREADABLE', 'a link "ant/1.png"');
  });

  test('truncated or scrambled .tar.xz', async () => {
    const missing = pythonLacks('lzma');
    if (missing !== undefined) return console.log(`skipped: ${missing}`);
    writeFileSync(at('noise.bin'), randomPixels(3, 20_000));
    const script = `
import lzma, sys
packed = bytearray(lzma.compress(open(sys.argv[1], 'rb').read()))
open(sys.argv[2], 'wb').write(packed[:len(packed) // 2])
packed[len(packed) // 2] ^= 255
open(sys.argv[3], 'wb').write(packed)
`;
    python(script, [at('noise.bin'), at('cut.tar.xz'), at('scrambled.tar.xz')]);
    await expectError(open(at('cut.tar.xz')), 'ERR_DATA_UNREADABLE', 'cut.tar.xz');
    await expectError(open(at('scrambled.tar.xz')), 'ERR_DATA_UNREADABLE', 'scrambled.tar.xz');
  });

  test('reading one can be aborted', async () => {
    await expect(open(at('cut.tar'), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    const tar = pack();
    for (let index = 0; index < 200; index++) tar.entry({ name: `ant/${index}.png` }, Buffer.alloc(20_000));
    tar.finalize();
    writeFileSync(at('long.tar'), await buffer(tar));
    const controller = new AbortController();
    const onProgress = (): void => controller.abort();
    await expect(open(at('long.tar'), { signal: controller.signal, onProgress })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    });
  });
});

describe('arrays', () => {
  const images = npy('|u1', [4, 3, 8, 8], randomPixels(4, 4 * 192));
  const labels = npy('<i4', [4], bytesOf(Int32Array.of(0, 1, 0, 1)));
  const write = (files: Record<string, Buffer>): void => {
    for (const [name, bytes] of Object.entries(files)) writeFileSync(at(name), bytes);
  };
  const openArrays = (imageBytes: Buffer, labelBytes = labels, options: Partial<DatasetOptions> = {}) => {
    write({ 'i.npy': imageBytes, 'l.npy': labelBytes });
    return open({ path: at('i.npy'), labels: at('l.npy') }, options);
  };
  const labelsOf = (...values: number[]): Buffer => npy('<i4', [values.length], bytesOf(Int32Array.from(values)));

  test('without labels, or with labels that do not fit', async () => {
    write({ 'i.npy': images });
    await expectError(open(at('i.npy')), 'ERR_DATA_UNREADABLE', 'labels', 'i.npy');
    await expectError(open({ path: at('i.npy'), labels: at('gone.npy') }), 'ERR_DATA_UNREADABLE', 'gone.npy');
    await expectError(openArrays(images, labelsOf(0, 1, 0)), 'ERR_DATA_MISMATCH', '4 labels', 'received 3');
    await expectError(openArrays(images, labelsOf(0, 1, -1, 0)), 'ERR_DATA_MISMATCH', '-1 at position 2');
    await expectError(
      openArrays(images, labelsOf(0, 1, 5, 0), { classCount: 4 }),
      'ERR_DATA_MISMATCH',
      '5 at position 2',
    );
    await expectError(openArrays(images, labelsOf(0, 1, 2e9, 0)), 'ERR_DATA_MISMATCH', '2000000000');
    const huge = npy('<i8', [4], bytesOf(BigInt64Array.of(0n, 1n, 4294967296n, 0n)));
    await expectError(openArrays(images, huge), 'ERR_DATA_MISMATCH', 'position 2');
    const floats = npy('<f4', [4], bytesOf(Float32Array.of(0, 1, 0, 1)));
    await expectError(openArrays(images, floats), 'ERR_DATA_UNREADABLE', '<f4');
    const oneHot = npy('|u1', [4, 2], Uint8Array.of(1, 0, 0, 1, 1, 0, 0, 1));
    await expectError(openArrays(images, oneHot), 'ERR_DATA_UNREADABLE', 'shape [4, 2]');
  });

  test('of another size, rank or type', async () => {
    await expectError(openArrays(npy('|u1', [4, 3, 9, 8], randomPixels(1, 864))), 'ERR_DATA_MISMATCH', '8×8', '9×8');
    await expectError(openArrays(npy('|u1', [4, 2, 8, 8], randomPixels(1, 512))), 'ERR_DATA_MISMATCH', '2 channels');
    await expectError(openArrays(npy('|u1', [4, 192], randomPixels(1, 768))), 'ERR_DATA_UNREADABLE', '[4, 192]');
    await expectError(openArrays(npy('<c8', [4, 3, 8, 8], new Uint8Array(6144))), 'ERR_DATA_UNREADABLE', '<c8');
    await expectError(openArrays(npy('>f4', [4, 3, 8, 8], new Uint8Array(3072))), 'ERR_DATA_UNREADABLE', '>f4');
    await expectError(openArrays(npy('|u1', [4, 3, 8, 3], randomPixels(1, 288))), 'ERR_DATA_UNREADABLE', 'layout');
    await expectError(openArrays(npy('|u1', [0, 3, 8, 8], new Uint8Array(0)), labelsOf()), 'ERR_DATA_UNREADABLE');
  });

  test('that are truncated or damaged', async () => {
    await expectError(openArrays(images.subarray(0, 300)), 'ERR_DATA_UNREADABLE', '768 bytes');
    await expectError(openArrays(images.subarray(0, 40)), 'ERR_DATA_UNREADABLE', 'header');
    await expectError(openArrays(images, labels.subarray(0, labels.length - 1)), 'ERR_DATA_UNREADABLE', '16 bytes');
    await expectError(openArrays(images, Buffer.from('hello')), 'ERR_DATA_UNREADABLE', 'l.npy');
    const zip = Buffer.from(zipSync({ 'images.npy': images, 'labels.npy': labels }));
    write({
      'cut.npz': zip.subarray(0, zip.length - 30),
      'text.npz': Buffer.from(zipSync({ 'a.txt': Buffer.from('a') })),
    });
    await expectError(open(at('cut.npz')), 'ERR_DATA_UNREADABLE', 'cut.npz');
    await expectError(open(at('text.npz')), 'ERR_DATA_UNREADABLE', 'text.npz');
    write({
      'x-images-idx3-ubyte': Buffer.from([0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 8, 1, 2]),
      'x.bin': Buffer.alloc(100),
    });
    await expectError(open(at('x-images-idx3-ubyte')), 'ERR_DATA_UNREADABLE', '592 bytes');
    await expectError(open({ kind: 'cifar-binary', path: at('x.bin') }), 'ERR_DATA_UNREADABLE', '3073');
  });
});

describe('classes and options', () => {
  beforeAll(() => writeTree(folder.path, { 'two/ant/1.png': image, 'two/bee/1.png': image }));

  test('that the model does not have', async () => {
    const path = at('two');
    await expectError(open(path, { classCount: 10 }), 'ERR_DATA_MISMATCH', '10 classes', '2 (ant, bee)');
    await expectError(open({ path, classNames: ['ant', 'cow'] }), 'ERR_DATA_MISMATCH', 'bee');
  });

  test('are looked up in the given list', async () => {
    const dataset = await open({ path: at('two'), classNames: ['cow', 'bee', 'ant'] }, { classCount: 3 });
    expect([...dataset.labels]).toEqual([2, 1]);
    expect(dataset.classNames).toEqual(['cow', 'bee', 'ant']);
  });

  test('descriptions with wrong, missing or unknown fields', async () => {
    const described = (value: unknown): string => {
      writeFileSync(at('d.json'), typeof value === 'string' ? value : JSON.stringify(value));
      return at('d.json');
    };
    await expectError(open(described('{"kind": ')), 'ERR_DATA_UNREADABLE', 'd.json');
    await expectError(open(described({ path: 'two' })), 'ERR_DATA_UNREADABLE', 'image-folder');
    await expectError(open(described({ kind: 'image-folder' })), 'ERR_DATA_UNREADABLE', '"path"');
    await expectError(open(described({ kind: 'lmdb', path: 'x' })), 'ERR_DATA_UNREADABLE', '"kind"', '"lmdb"');
    await expectError(open(described({ kind: 'npy', path: 'x', size: 32 })), 'ERR_DATA_UNREADABLE', '"size"', '32');
    await expectError(open(described({ kind: 'npy', path: 'x', sise: [3] })), 'ERR_DATA_UNREADABLE', '"sise"');
    await expectError(open(described('  ["a list"]')), 'ERR_DATA_UNREADABLE', 'd.json');
    writeFileSync(at('unknown.dat'), 'what is this');
    await expectError(open(at('unknown.dat')), 'ERR_DATA_UNREADABLE', 'unknown.dat');
  });

  test('normalisations and sizes that make no sense', async () => {
    const path = at('two');
    await expect(open({ path, mean: [1, 2] })).rejects.toMatchObject({ code: 'ERR_OPTION' });
    await expect(open({ path, std: [1, 0, 1] })).rejects.toMatchObject({ code: 'ERR_OPTION' });
    await expect(open({ path, scale: '1/x' })).rejects.toMatchObject({ code: 'ERR_OPTION' });
    await expect(open({ path, size: [4, 8] })).rejects.toMatchObject({ code: 'ERR_OPTION' });
    const dataset = await open(path);
    await expect(dataset.load([2])).rejects.toMatchObject({ code: 'ERR_USAGE' });
    await expect(dataset.load([0], AbortSignal.abort())).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    const small = new Float32Array(191);
    await expect(dataset.load([0], undefined, small)).rejects.toMatchObject({ code: 'ERR_SHAPE' });
  });
});

async function linkedArchive(): Promise<Buffer> {
  const tar = pack();
  tar.entry({ name: 'ant/1.png', type: 'symlink', linkname: '../elsewhere.png' });
  tar.finalize();
  return buffer(tar);
}
