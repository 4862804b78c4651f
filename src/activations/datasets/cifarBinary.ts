import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { arraySource, memoryReader } from './arrays';
import { unreadable, unreadableFile } from './errors';
import type { ImageSource } from './source';

const SIDE = 32;
const PIXEL_BYTES = 3 * SIDE * SIDE;
const RECORD_BYTES = 1 + PIXEL_BYTES;

/**
 * CIFAR-10's binary version: records of one label byte and 3×32×32 bytes, channels first. `path` is one .bin file,
 * or a folder, whose data_batch_*.bin (the training set) are taken. batches.meta.txt beside them names the classes.
 */
export async function openCifarBinary(path: string): Promise<ImageSource> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (error) {
    throw unreadableFile(path, error);
  }
  const folder = isFolder ? path : dirname(path);
  const files = isFolder ? await trainingBatches(path) : [path];
  const bytes = Buffer.concat(await Promise.all(files.map(readRecords)));
  const count = bytes.length / RECORD_BYTES;
  return arraySource(
    {
      path,
      count,
      geometry: { layout: 'CHW', width: SIDE, height: SIDE, channels: 3 },
      element: 'uint8',
      offset: 1,
      strideBytes: RECORD_BYTES,
      read: memoryReader(bytes),
    },
    {
      labels: Int32Array.from({ length: count }, (_, index) => bytes[index * RECORD_BYTES]!),
      classNames: await namesBeside(folder),
    },
  );
}

async function trainingBatches(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => /^data_batch_\d+\.bin$/.test(name)).sort();
  if (names.length > 0) return names.map((name) => join(folder, name));
  throw unreadable(
    'files data_batch_*.bin',
    folder,
    'none of them',
    'Name the folder of the binary version of CIFAR-10, or one .bin file.',
  );
}

async function readRecords(path: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw unreadableFile(path, error);
  }
  if (bytes.length > 0 && bytes.length % RECORD_BYTES === 0) return bytes;
  throw unreadable(
    `records of ${RECORD_BYTES} bytes`,
    path,
    `${bytes.length} bytes`,
    'Use the binary version of CIFAR-10, and fetch the file again if it is truncated.',
  );
}

async function namesBeside(folder: string): Promise<string[] | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, 'batches.meta.txt'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadableFile(join(folder, 'batches.meta.txt'), error);
  }
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}
