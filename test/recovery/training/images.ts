import { createRandom } from '../../../src/random';
import { type ImageFormat, imageLength } from '../../../src/recovery/training/images';
import type { Normalization } from '../../../src/types';

export const NORMALIZATION: Normalization = { scale: 1 / 255, mean: [0.49, 0.45, 0.4], std: [0.25, 0.22, 0.3] };

/** Pixels from 0 to 255, whole numbers, [count, image]. */
export function randomPixels(format: ImageFormat, count: number, seed = 1): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length: count * imageLength(format) }, () => random.integer(256));
}

export function channelOf(format: ImageFormat, index: number): number {
  const { layout, channels, height, width } = format;
  return layout === 'NCHW' ? Math.floor(index / (height * width)) % channels : index % channels;
}

export function normalized(
  pixels: Float32Array,
  format: ImageFormat,
  { scale, mean, std } = NORMALIZATION,
): Float32Array {
  return pixels.map((pixel, index) => {
    const channel = channelOf(format, index);
    return (pixel * scale - mean[channel]!) / std[channel]!;
  });
}

/** Position of a value within one image. */
export function at({ layout, channels, height, width }: ImageFormat, channel: number, y: number, x: number): number {
  return layout === 'NCHW' ? (channel * height + y) * width + x : (y * width + x) * channels + channel;
}
