import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { createRandom } from '../../../src/random';
import type { ImageInput } from '../../../src/activations/types';

export const RGB_INPUT: ImageInput = {
  name: 'input',
  layout: 'NCHW',
  channels: 3,
  height: 8,
  width: 8,
  fixedBatch: undefined,
};

/** Pixels as they are: what a test wants to see. */
export const IDENTITY = { scale: 1, mean: [0], std: [1] } as const;

/** A new folder that `remove` deletes. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'sieve-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export function randomPixels(seed: number, count: number): Uint8Array {
  const random = createRandom(seed);
  return Uint8Array.from({ length: count }, () => random.integer(256));
}

export function png(pixels: Uint8Array, width: number, height: number, channels: 1 | 3 | 4): Promise<Buffer> {
  return sharp(pixels, { raw: { width, height, channels } }).png().toBuffer();
}

export function jpeg(pixels: Uint8Array, width: number, height: number): Promise<Buffer> {
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg()
    .toBuffer();
}

export async function writeTree(root: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<void> {
  for (const [path, contents] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), contents);
  }
}

/** The bytes of a version-1 .npy file. */
export function npy(descr: string, shape: readonly number[], data: Uint8Array, fortran = false): Buffer {
  const shapeText = shape.length === 1 ? `(${shape[0]!},)` : `(${shape.join(', ')})`;
  const dict = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${shapeText}, }`;
  const header = dict.padEnd(Math.ceil((dict.length + 11) / 64) * 64 - 11) + '\n';
  const start = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  return Buffer.concat([start, Buffer.from(header, 'latin1'), data]);
}

export function bytesOf(values: Float32Array | Float64Array | Int32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Channels last to channels first, one sample. */
export function channelsFirst(pixels: ArrayLike<number>, channels: number): number[] {
  const pixelCount = pixels.length / channels;
  return Array.from({ length: pixels.length }, (_, index) => {
    const channel = Math.floor(index / pixelCount);
    return pixels[(index % pixelCount) * channels + channel]!;
  });
}
