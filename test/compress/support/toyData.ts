import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { createRandom } from '../../../src/random';
import { bytesOf, npy, png, writeTree } from '../../activations/support/images';

export const CLASSES = 4;
export const SIDE = 8;
export const SAMPLE_DIMS = [3, SIDE, SIDE] as const;

/** Labelled images, [count, 3, 8, 8] row-major. */
export interface ToyImages {
  readonly count: number;
  readonly images: Float32Array;
  readonly labels: Int32Array;
}

/** Waves whose direction, and whose colour a little, tells the class; phase and noise are random. Classes take turns. */
export function toyImages(count: number, seed: number, noise = 0.5): ToyImages {
  const random = createRandom(seed);
  const normal = (): number =>
    Math.sqrt(-2 * Math.log(1 - random.uniform())) * Math.cos(2 * Math.PI * random.uniform());
  const labels = Int32Array.from({ length: count }, (_, sample) => sample % CLASSES);
  const images = new Float32Array(count * 3 * SIDE * SIDE);
  let position = 0;
  for (const label of labels) {
    const angle = (Math.PI * label) / CLASSES;
    const phase = 2 * Math.PI * random.uniform();
    for (let channel = 0; channel < 3; channel++) {
      const strength = 1 + 0.3 * Math.cos(channel + label);
      for (let row = 0; row < SIDE; row++) {
        for (let column = 0; column < SIDE; column++) {
          const along = row * Math.sin(angle) + column * Math.cos(angle);
          images[position++] = strength * Math.cos((2 * Math.PI * along) / 4 + phase) + noise * normal();
        }
      }
    }
  }
  return { count, images, labels };
}

/** Writes an .npz that holds the images as they are. */
export async function writeNpz(path: string, { count, images, labels }: ToyImages): Promise<string> {
  const archive = zipSync({
    'images.npy': npy('<f4', [count, ...SAMPLE_DIMS], bytesOf(images)),
    'labels.npy': npy('<i4', [count], bytesOf(labels)),
  });
  await writeFile(path, archive);
  return path;
}

/** Pixels of `writeImageFolder` become the images' values again, but for rounding. */
export const PIXEL_FLAGS = { scale: '1/32', mean: [4], std: [1] } as const;

/** Writes a folder of class folders with PNG files; values beyond ±4 are clipped. */
export async function writeImageFolder(folder: string, { count, images, labels }: ToyImages): Promise<string> {
  const plane = SIDE * SIDE;
  const files: Record<string, Buffer> = {};
  for (let sample = 0; sample < count; sample++) {
    const pixels = Uint8Array.from({ length: 3 * plane }, (_, index) => {
      const value = images[sample * 3 * plane + (index % 3) * plane + Math.floor(index / 3)]!;
      return Math.min(255, Math.max(0, Math.round(32 * (value + 4))));
    });
    files[join(`class${labels[sample]!}`, `${String(sample).padStart(4, '0')}.png`)] = await png(pixels, SIDE, SIDE, 3);
  }
  await writeTree(folder, files);
  return folder;
}
