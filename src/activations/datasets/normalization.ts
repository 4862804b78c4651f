import { expected } from '../../errors';
import type { Normalization } from '../../types';

/** torchvision's convention for networks that were trained on photographs. */
const IMAGENET_MEAN = [0.485, 0.456, 0.406];
const IMAGENET_STD = [0.229, 0.224, 0.225];
const BYTE_SCALE = 1 / 255;

export interface NormalizationFlags {
  readonly scale?: number | string;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
}

/**
 * (value · scale − mean) / std. Where none of the three is given: bytes of RGB images get scale 1/255 and
 * ImageNet's mean and standard deviation, other bytes scale 1/255, floats stay as they are. Where any is given,
 * the others are 1/255 (1 for floats), 0 and 1. Errors: ERR_OPTION.
 */
export function resolveNormalization(
  flags: NormalizationFlags,
  channels: number,
  element: 'uint8' | 'float',
): Normalization {
  const plainScale = element === 'uint8' ? BYTE_SCALE : 1;
  const noneGiven = flags.scale === undefined && flags.mean === undefined && flags.std === undefined;
  if (noneGiven && element === 'uint8' && channels === 3) {
    return { scale: BYTE_SCALE, mean: IMAGENET_MEAN, std: IMAGENET_STD };
  }
  const std = perChannel(flags.std ?? [1], channels, 'std');
  if (std.includes(0)) throw expected('ERR_OPTION', 'standard deviations other than 0', 'std', [...std]);
  return {
    scale: flags.scale === undefined ? plainScale : parseScale(flags.scale),
    mean: perChannel(flags.mean ?? [0], channels, 'mean'),
    std,
  };
}

/** A number, also as text, or a fraction such as "1/255". Errors: ERR_OPTION. */
export function parseScale(scale: number | string): number {
  const parts =
    typeof scale === 'number' ? [scale] : scale.split('/').map((part) => (part.trim() === '' ? NaN : +part));
  const value = parts.length === 2 ? parts[0]! / parts[1]! : parts.length === 1 ? parts[0]! : NaN;
  if (Number.isFinite(value) && value !== 0) return value;
  throw expected('ERR_OPTION', 'a number other than 0 or a fraction such as "1/255"', 'scale', scale);
}

function perChannel(values: readonly number[], channels: number, name: string): readonly number[] {
  if (!values.every(Number.isFinite)) throw expected('ERR_OPTION', 'finite numbers', name, [...values]);
  if (values.length === channels) return values;
  if (values.length === 1) return Array.from({ length: channels }, () => values[0]!);
  throw expected('ERR_OPTION', `1 or ${channels} numbers, one for each channel`, name, [...values]);
}

/** Turns one sample, channels last, into input values. */
export type SampleWriter = (pixels: Uint8Array | Float32Array, output: Float32Array, outputOffset: number) => void;

/** A writer for samples of `pixelCount` pixels; bytes go through a table of 256 values for each channel. */
export function createSampleWriter(
  { scale, mean, std }: Normalization,
  layout: 'NCHW' | 'NHWC',
  pixelCount: number,
): SampleWriter {
  const channels = mean.length;
  const tables = mean.map((channelMean, channel) =>
    Float32Array.from({ length: 256 }, (_, byte) => (byte * scale - channelMean) / std[channel]!),
  );
  const channelStride = layout === 'NCHW' ? pixelCount : 1;
  const pixelStride = layout === 'NCHW' ? 1 : channels;

  return (pixels, output, outputOffset) => {
    for (let channel = 0; channel < channels; channel++) {
      let target = outputOffset + channel * channelStride;
      if (pixels instanceof Uint8Array) {
        const table = tables[channel]!;
        for (let source = channel; source < pixels.length; source += channels, target += pixelStride) {
          output[target] = table[pixels[source]!]!;
        }
      } else {
        const channelMean = mean[channel]!;
        const channelStd = std[channel]!;
        for (let source = channel; source < pixels.length; source += channels, target += pixelStride) {
          output[target] = (pixels[source]! * scale - channelMean) / channelStd;
        }
      }
    }
  };
}
