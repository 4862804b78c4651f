import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDataset } from '../../src/activations/datasets/open';
import { renderSample } from '../../src/activations/datasets/renderedImage';
import type { ImageInput } from '../../src/activations/types';
import { claimFolder, DEMO_FILES, writeImages } from '../../src/compress/demoFiles';

const NORMALIZATION = { scale: '1/255', mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } as const;
const INPUT: ImageInput = { name: 'input', layout: 'NCHW', channels: 3, height: 32, width: 32, fixedBatch: undefined };
const NAMES = { images: DEMO_FILES.testImages, description: DEMO_FILES.test };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onnx-sieve-demo-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('claimFolder', () => {
  test('makes a folder, and takes it again with the files of the run before', async () => {
    const nested = join(folder, 'a', 'b');
    await claimFolder(nested);
    await writeFile(join(nested, DEMO_FILES.compressed), 'of the first run');
    await claimFolder(nested);
    expect(await readFile(join(nested, DEMO_FILES.compressed), 'utf8')).toBe('of the first run');
  });

  test('takes a folder that holds other files, and leaves them', async () => {
    await writeFile(join(folder, 'mine.txt'), 'mine');
    await claimFolder(folder);
    expect(await readFile(join(folder, 'mine.txt'), 'utf8')).toBe('mine');
  });

  test.each(Object.values(DEMO_FILES))('refuses a folder where %s is not its own', async (name) => {
    await writeFile(join(folder, name), 'precious');
    await expect(claimFolder(folder)).rejects.toMatchObject({ code: 'ERR_OUTPUT_EXISTS' });
    expect(await readdir(folder)).toEqual([name]);
    expect(await readFile(join(folder, name), 'utf8')).toBe('precious');
  });

  test.each(['not JSON', '{"files": 3}', 'null'])('refuses a list it has not written: %s', async (text) => {
    await writeFile(join(folder, 'onnx-sieve-demo.json'), text);
    await expect(claimFolder(folder)).rejects.toMatchObject({ code: 'ERR_OUTPUT_EXISTS' });
    expect(await readFile(join(folder, 'onnx-sieve-demo.json'), 'utf8')).toBe(text);
  });

  test('says where a file stands in the way of the folder', async () => {
    await writeFile(join(folder, 'taken'), '');
    await expect(claimFolder(join(folder, 'taken'))).rejects.toMatchObject({ code: 'ERR_OUTPUT_UNWRITABLE' });
  });
});

describe('writeImages', () => {
  test('writes a data set that reads back as it was drawn', async () => {
    const fractions: number[] = [];
    const written = await writeImages(folder, NAMES, {
      split: 'test',
      size: 200,
      seed: 4,
      normalization: NORMALIZATION,
      onFraction: (fraction) => fractions.push(fraction),
    });
    expect(fractions).toEqual([0.5, 1]);

    for (const source of [written, join(folder, DEMO_FILES.test)]) {
      const dataset = await openDataset(source, { input: INPUT });
      expect(dataset.size).toBe(200);
      expect(dataset.classNames[3]).toBe('triangle');
      const values = await dataset.load([17]);
      const { label, pixels } = renderSample('test', 17, 4);
      expect(dataset.labels[17]).toBe(label);
      let worst = 0;
      for (let pixel = 0; pixel < 32 * 32; pixel++) {
        for (let channel = 0; channel < 3; channel++) {
          const wanted = (pixels[pixel * 3 + channel]! / 255 - 0.5) / 0.25;
          worst = Math.max(worst, Math.abs(values[channel * 32 * 32 + pixel]! - wanted));
        }
      }
      expect(worst).toBeLessThan(1e-6);
    }
  });

  test('stops when it is told to, and leaves nothing', async () => {
    const controller = new AbortController();
    const writing = writeImages(folder, NAMES, {
      split: 'test',
      size: 2000,
      seed: 0,
      normalization: NORMALIZATION,
      signal: controller.signal,
      onFraction: () => controller.abort(),
    });
    await expect(writing).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    expect(await readdir(folder)).toEqual([]);
  });
});
