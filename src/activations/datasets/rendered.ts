import { setImmediate } from 'node:timers/promises';
import { expected } from '../../errors';
import { RENDERED_CLASS_NAMES, RENDERED_SIDE, renderedLabel, renderSample, type RenderedSplit } from './renderedImage';
import { RENDERED_LIMIT } from './renderedRandom';
import type { ImageSource, PixelImage } from './source';

export interface RenderedOptions {
  /** Samples of different splits are never the same, whatever the seed. */
  readonly split: RenderedSplit;
  /** Number of images, 1 to 2,097,152. Classes take turns, so they are balanced. */
  readonly size: number;
  /** Any integer. Default 0. */
  readonly seed?: number;
}

export interface RenderedDataset extends ImageSource {
  readonly classNames: readonly string[];
  read(index: number): Promise<PixelImage & { readonly data: Uint8Array }>;
}

/**
 * A labelled image set that the package draws by itself: ten classes of shapes and textures, 32 × 32 pixels, RGB.
 * Nothing is stored; `read` draws the sample (a third of a millisecond) in a turn of the event loop of its own, so
 * that reading many blocks nothing. Equal options give equal bytes on every platform.
 *
 * Errors: ERR_OPTION for a size or seed outside its range.
 */
export function renderedDataset({ split, size, seed = 0 }: RenderedOptions): RenderedDataset {
  if (!Number.isInteger(size) || size < 1 || size > RENDERED_LIMIT) {
    throw expected('ERR_OPTION', `an integer from 1 to ${RENDERED_LIMIT}`, 'the size of a rendered data set', size);
  }
  if (!Number.isSafeInteger(seed)) {
    throw expected('ERR_OPTION', 'an integer', 'the seed of a rendered data set', seed);
  }
  return {
    count: size,
    labels: Int32Array.from({ length: size }, (_, index) => renderedLabel(index)),
    classNames: RENDERED_CLASS_NAMES,
    pixels: { width: RENDERED_SIDE, height: RENDERED_SIDE, channels: 3, element: 'uint8' },
    name: (index) => `rendered ${split} image ${index} of seed ${seed}`,
    async read(index) {
      await setImmediate();
      const { pixels } = renderSample(split, index, seed);
      return {
        kind: 'pixels',
        width: RENDERED_SIDE,
        height: RENDERED_SIDE,
        channels: 3,
        layout: 'HWC',
        data: pixels,
      };
    },
  };
}
