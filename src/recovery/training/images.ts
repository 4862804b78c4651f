import { expected } from '../../errors';
import type { Normalization } from '../../types';

/** One image of a batch, as the model's input takes it. */
export interface ImageFormat {
  readonly layout: 'NCHW' | 'NHWC';
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

export function imageLength({ channels, height, width }: ImageFormat): number {
  return channels * height * width;
}

/**
 * An image as planes of rows of pixels with the channels that lie together in each: NCHW has `channels` planes of
 * single values, NHWC one plane of `channels` values a pixel.
 */
export interface PlaneFormat {
  readonly planes: number;
  readonly planeLength: number;
  readonly valuesPerPixel: number;
}

export function planesOf({ layout, channels, height, width }: ImageFormat): PlaneFormat {
  return layout === 'NCHW'
    ? { planes: channels, planeLength: height * width, valuesPerPixel: 1 }
    : { planes: 1, planeLength: height * width * channels, valuesPerPixel: channels };
}

/** Errors: ERR_OPTION. */
export function checkFormat(format: ImageFormat): void {
  const { layout, channels, height, width } = format;
  const sizes = [channels, height, width];
  if ((layout !== 'NCHW' && layout !== 'NHWC') || !sizes.every((size) => Number.isSafeInteger(size) && size > 0)) {
    throw expected(
      'ERR_OPTION',
      'NCHW or NHWC with positive channels, height and width',
      'the format of the images',
      `${layout} [${sizes.join(', ')}]`,
    );
  }
}

/** Errors: ERR_OPTION where it has not one mean and one deviation for each channel, or divides by zero. */
export function checkNormalization({ scale, mean, std }: Normalization, { channels }: ImageFormat): void {
  const finite = [scale, ...mean, ...std].every(Number.isFinite);
  if (mean.length !== channels || std.length !== channels || !finite || scale === 0 || std.includes(0)) {
    throw expected(
      'ERR_OPTION',
      `a scale, ${channels} means and ${channels} deviations other than 0`,
      'the normalisation of the images',
      `scale ${scale}, means [${mean.join(', ')}], deviations [${std.join(', ')}]`,
    );
  }
}
