import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { arraySource, memoryReader, pixelGeometry } from './arrays';
import type { ExpectedImage } from './arrays';
import { reasonOf, unreadable, unreadableFile } from './errors';
import type { ImageSource } from './source';

const UNSIGNED_BYTE = 0x08;

/** MNIST's format: images-idx3-ubyte and labels-idx1-ubyte, gzipped or not, bytes only. */
export async function openIdx(
  imagesPath: string,
  labelsPath: string,
  layout: 'NCHW' | 'NHWC' | undefined,
  image: ExpectedImage,
): Promise<ImageSource> {
  const images = await readIdx(imagesPath);
  const labels = await readIdx(labelsPath);
  if (labels.shape.length !== 1) {
    throw unreadable(
      'one axis of labels',
      labelsPath,
      `${labels.shape.length} axes`,
      'Name the file labels-idx1-ubyte.',
    );
  }
  const geometry = pixelGeometry(images.shape, layout, image, imagesPath);
  return arraySource(
    {
      path: imagesPath,
      count: images.shape[0]!,
      geometry,
      element: 'uint8',
      offset: 0,
      strideBytes: geometry.width * geometry.height * geometry.channels,
      read: memoryReader(images.data),
    },
    { labels: Int32Array.from(labels.data), classNames: undefined },
  );
}

/** Where the labels of an images file usually are: train-images-idx3-ubyte → train-labels-idx1-ubyte. */
export function idxLabelsPath(imagesPath: string): string | undefined {
  const labelsPath = imagesPath.replace(/images([-.])idx\d/, 'labels$1idx1');
  return labelsPath === imagesPath ? undefined : labelsPath;
}

interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

async function readIdx(path: string): Promise<IdxArray> {
  const bytes = await readMaybeGzipped(path);
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== UNSIGNED_BYTE) {
    throw unreadable('an IDX file of bytes', path, 'other contents', 'Use the ubyte files of MNIST or alike.');
  }
  const rank = bytes[3]!;
  const dataOffset = 4 + 4 * rank;
  const shape = Array.from({ length: rank }, (_, axis) =>
    bytes.length < dataOffset ? Infinity : bytes.readUInt32BE(4 + 4 * axis),
  );
  const elements = shape.reduce((product, length) => product * length, 1);
  if (bytes.length < dataOffset + elements) {
    throw unreadable(
      `${dataOffset + elements} bytes`,
      path,
      `${bytes.length}`,
      'The file is truncated: fetch it again.',
    );
  }
  return { shape, data: bytes.subarray(dataOffset, dataOffset + elements) };
}

async function readMaybeGzipped(path: string): Promise<Buffer> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw unreadableFile(path, error);
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await promisify(gunzip)(bytes);
  } catch (error) {
    throw unreadable('a complete gzip file', path, `a damaged one (${reasonOf(error)})`, 'Fetch it again.', error);
  }
}
