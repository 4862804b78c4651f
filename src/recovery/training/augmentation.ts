import type { Normalization } from '../../types';
import { checkInteger } from './checks';
import { checkColour, checkPixelRange, type ColourJitter, createColourWriter, drawColour } from './colour';
import { checkGeometry, createViewWriter, drawBox, drawView, forEachRun, type RandomCrop } from './geometry';
import { checkFormat, checkNormalization, type ImageFormat, imageLength } from './images';
import { applyMix, checkMix, drawMix, type MixOptions } from './mix';
import { randomAt } from './stream';

/** What is done at random to training images, in this order: crop, flip, colours, cutout, mixup or cutmix. */
export interface AugmentationOptions extends MixOptions {
  readonly crop?: RandomCrop;
  /** Probability of a flip from left to right. */
  readonly flip?: number;
  readonly colour?: ColourJitter;
  /** Side in pixels of a square around a random centre that becomes 0, the mean colour (DeVries and Taylor 2017). */
  readonly cutout?: number;
}

export interface Augmentation {
  /**
   * Writes the batch `images` [count, image], normalised, to `output` and changes `targets` [count, classes] where
   * images are mixed. The result is a function of the seed, the epoch, the step and the images.
   */
  apply(images: Float32Array, targets: Float32Array, place: BatchPlace, output: Float32Array): void;
}

/** `step` counts within the epoch. */
export interface BatchPlace {
  readonly epoch: number;
  readonly step: number;
}

/**
 * Makes an augmentation for one image format. It keeps no state between batches.
 *
 * Errors: ERR_OPTION; ERR_DATA_MISMATCH for colour jitter of images that are not grey or RGB, and from the first
 * `apply` where their pixels are not between black and white.
 */
export function createAugmentation(
  options: AugmentationOptions,
  format: ImageFormat,
  normalization: Normalization,
  seed: number,
): Augmentation {
  const { crop, flip = 0, colour, cutout = 0 } = options;
  checkFormat(format);
  checkNormalization(normalization, format);
  checkGeometry(format, crop, flip);
  if (colour !== undefined) checkColour(format, colour);
  checkInteger(cutout, 0, 'the side of the cutout');
  checkMix(options);
  const length = imageLength(format);
  const views = createViewWriter(format, normalization, crop?.fill ?? 'black');
  const colours = createColourWriter(format, normalization, colour?.white);
  const moves = flip > 0 || (crop?.padding ?? 0) > 0;
  let rangeChecked = colour === undefined;

  return {
    apply(images, targets, { epoch, step }, output) {
      const count = images.length / length;
      const random = randomAt(seed, 'augmentation', epoch, step);
      if (!rangeChecked) {
        checkPixelRange(images, format, normalization, colour?.white);
        rangeChecked = true;
      }
      if (!moves) output.set(images);
      for (let index = 0; index < count; index++) {
        const offset = index * length;
        if (moves) views.write(images, offset, output, offset, drawView(random, crop, flip));
        if (colour !== undefined) colours.apply(output, offset, drawColour(random, colour));
        if (cutout > 0) {
          const box = drawBox(random, format, cutout, cutout);
          forEachRun(format, index, box, (start, run) => output.fill(0, start, start + run));
        }
      }
      const mix = drawMix(random, options, format);
      if (mix !== undefined) applyMix(mix, output, targets, format, count);
    },
  };
}
