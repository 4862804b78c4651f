import { expected } from '../../errors';
import type { Random } from '../../random';
import type { Normalization } from '../../types';
import { checkAtLeast, checkPositive } from './checks';
import { type ImageFormat, imageLength } from './images';

/**
 * Random colours as torchvision's ColorJitter draws them: each factor is uniform from max(0, 1 − x) to 1 + x, and the
 * changes come in random order.
 */
export interface ColourJitter {
  readonly brightness?: number;
  readonly contrast?: number;
  /** Nothing happens to images of one channel. */
  readonly saturation?: number;
  /** The value of a full pixel before normalisation: 255 for bytes (the default), 1 for floats from 0 to 1. */
  readonly white?: number;
}

export type ColourChange = 'brightness' | 'contrast' | 'saturation';

export interface ColourStep {
  readonly change: ColourChange;
  readonly factor: number;
}

/** What `rgb_to_grayscale` of torchvision weighs the channels with. */
const RED = 0.2989;
const GREEN = 0.587;
const BLUE = 0.114;

/** Errors: ERR_OPTION, ERR_DATA_MISMATCH for images that are neither grey nor RGB. */
export function checkColour(format: ImageFormat, jitter: ColourJitter): void {
  for (const change of ['brightness', 'contrast', 'saturation'] as const) {
    checkAtLeast(jitter[change] ?? 0, 0, `the jitter of the ${change}`);
  }
  checkPositive(jitter.white ?? 255, 'the value of a white pixel');
  if (format.channels !== 1 && format.channels !== 3) {
    throw expected('ERR_DATA_MISMATCH', 'images of 1 or 3 channels', 'colour jitter', format.channels, {
      remedy: 'Train without colour jitter.',
    });
  }
}

/**
 * Colours can only be changed where the pixels are what the normalisation says they are.
 * Errors: ERR_DATA_MISMATCH for values below black or above white (beyond 1 %).
 */
export function checkPixelRange(
  images: Float32Array,
  format: ImageFormat,
  { scale, mean, std }: Normalization,
  white = 255,
): void {
  const { channels, height, width, layout } = format;
  const pixels = height * width;
  const slack = white / 100;
  for (let index = 0; index < images.length; index++) {
    const channel = layout === 'NCHW' ? Math.floor(index / pixels) % channels : index % channels;
    const pixel = (images[index]! * std[channel]! + mean[channel]!) / scale;
    if (pixel < -slack || pixel > white + slack) {
      throw expected('ERR_DATA_MISMATCH', `pixels from 0 to ${white}`, 'colour jitter', pixel, {
        remedy: 'Give the value of white that the data has, and the normalisation it needs; or train without jitter.',
      });
    }
  }
}

export function drawColour(random: Random, jitter: ColourJitter): ColourStep[] {
  const changes = (['brightness', 'contrast', 'saturation'] as const).filter((change) => (jitter[change] ?? 0) > 0);
  return random.shuffle([...changes]).map((change) => {
    const spread = jitter[change]!;
    const lowest = Math.max(0, 1 - spread);
    return { change, factor: lowest + (1 + spread - lowest) * random.uniform() };
  });
}

export interface ColourWriter {
  /** Applies the steps to one normalised image in place. */
  apply(images: Float32Array, offset: number, steps: readonly ColourStep[]): void;
}

/**
 * Every step is value ← clamp(factor · value + ownGrey · grey of the pixel + constant, 0, white), on pixels times
 * scale. The way from the normalised values to pixels is part of the first step, the way back of the last.
 */
export function createColourWriter(
  format: ImageFormat,
  { scale, mean, std }: Normalization,
  white = 255,
): ColourWriter {
  const pixels = format.height * format.width;
  const top = white * scale;
  const channelStride = format.layout === 'NCHW' ? pixels : 1;
  const pixelStride = format.layout === 'NCHW' ? 1 : format.channels;
  const identity = mean.map(() => ({ factor: 1, shift: 0 }));
  const toPixels = mean.map((value, channel) => ({ factor: std[channel]!, shift: value }));
  const toValues = mean.map((value, channel) => ({ factor: 1 / std[channel]!, shift: -value / std[channel]! }));
  const pass = format.channels === 1 ? passOfGrey : passOfRgb;

  return {
    apply(images, offset, steps) {
      const shape: PassShape = { offset, length: imageLength(format), channelStride, pixelStride };
      const grey = format.channels === 1;
      const done = grey ? steps.filter(({ change }) => change !== 'saturation') : steps;
      let meanGrey: number | undefined;
      done.forEach(({ change, factor }, position) => {
        const before = position === 0 ? toPixels : identity;
        if (change === 'contrast' && meanGrey === undefined) {
          meanGrey = meanOf(images, shape, before, grey);
        }
        const greySum = pass(images, shape, {
          before,
          after: position === done.length - 1 ? toValues : identity,
          factor,
          ownGrey: change === 'saturation' ? 1 - factor : 0,
          constant: change === 'contrast' ? (1 - factor) * meanGrey! : 0,
          sumsGrey: done[position + 1]?.change === 'contrast',
          top,
        });
        meanGrey = greySum / pixels;
      });
    },
  };
}

interface PassShape {
  readonly offset: number;
  readonly length: number;
  readonly channelStride: number;
  readonly pixelStride: number;
}

interface Affine {
  readonly factor: number;
  readonly shift: number;
}

interface PassValues {
  readonly before: readonly Affine[];
  readonly after: readonly Affine[];
  readonly factor: number;
  readonly ownGrey: number;
  readonly constant: number;
  /** Whether the sum of the new greys is wanted: a contrast comes next. */
  readonly sumsGrey: boolean;
  /** White, times scale; below 0 where the scale is. */
  readonly top: number;
}

function meanOf(images: Float32Array, shape: PassShape, before: readonly Affine[], grey: boolean): number {
  const { offset, length, channelStride, pixelStride } = shape;
  const pixels = grey ? length : length / 3;
  const weights = grey ? [1] : [RED, GREEN, BLUE];
  let total = 0;
  weights.forEach((weight, channel) => {
    let sum = 0;
    let index = offset + channel * channelStride;
    for (let pixel = 0; pixel < pixels; pixel++, index += pixelStride) sum += images[index]!;
    total += weight * (before[channel]!.factor * (sum / pixels) + before[channel]!.shift);
  });
  return total;
}

/** Returns the sum of the new greys, where it is wanted. */
function passOfRgb(images: Float32Array, shape: PassShape, values: PassValues): number {
  const { offset, length, channelStride, pixelStride } = shape;
  const { factor, ownGrey, constant, sumsGrey } = values;
  const [{ factor: redIn, shift: redInShift }, { factor: greenIn, shift: greenInShift }] = values.before as Pair;
  const { factor: blueIn, shift: blueInShift } = values.before[2]!;
  const [{ factor: redOut, shift: redOutShift }, { factor: greenOut, shift: greenOutShift }] = values.after as Pair;
  const { factor: blueOut, shift: blueOutShift } = values.after[2]!;
  const low = Math.min(0, values.top);
  const high = Math.max(0, values.top);
  const pixels = length / 3;
  let greySum = 0;
  let at = offset;
  for (let pixel = 0; pixel < pixels; pixel++, at += pixelStride) {
    let red = images[at]! * redIn + redInShift;
    let green = images[at + channelStride]! * greenIn + greenInShift;
    let blue = images[at + 2 * channelStride]! * blueIn + blueInShift;
    let added = constant;
    if (ownGrey !== 0) added += ownGrey * (RED * red + GREEN * green + BLUE * blue);
    red = factor * red + added;
    green = factor * green + added;
    blue = factor * blue + added;
    red = red < low ? low : red > high ? high : red;
    green = green < low ? low : green > high ? high : green;
    blue = blue < low ? low : blue > high ? high : blue;
    if (sumsGrey) greySum += RED * red + GREEN * green + BLUE * blue;
    images[at] = red * redOut + redOutShift;
    images[at + channelStride] = green * greenOut + greenOutShift;
    images[at + 2 * channelStride] = blue * blueOut + blueOutShift;
  }
  return greySum;
}

type Pair = readonly [Affine, Affine];

function passOfGrey(images: Float32Array, shape: PassShape, values: PassValues): number {
  const { offset, length } = shape;
  const { factor, constant } = values;
  const { factor: factorIn, shift: shiftIn } = values.before[0]!;
  const { factor: factorOut, shift: shiftOut } = values.after[0]!;
  const low = Math.min(0, values.top);
  const high = Math.max(0, values.top);
  let sum = 0;
  for (let at = offset; at < offset + length; at++) {
    const changed = factor * (images[at]! * factorIn + shiftIn) + constant;
    const value = changed < low ? low : changed > high ? high : changed;
    sum += value;
    images[at] = value * factorOut + shiftOut;
  }
  return sum;
}
