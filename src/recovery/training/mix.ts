import type { Random } from '../../random';
import { checkPositive } from './checks';
import { type Box, drawBox, forEachRun } from './geometry';
import { type ImageFormat, imageLength } from './images';

/**
 * Images and targets of a batch mixed in pairs, the first with the last, the second with the last but one, …: batches
 * are shuffled, so the pairs are random. Each holds the concentration α of the Beta(α, α) distribution that the share
 * is drawn from, one share a batch. With both, each batch takes one of them, with equal chances.
 */
export interface MixOptions {
  /** Zhang et al. 2018: weighted means of two images. */
  readonly mixup?: number;
  /** Yun et al. 2019: a box of the one image in the other. */
  readonly cutmix?: number;
}

/** Errors: ERR_OPTION. */
export function checkMix({ mixup, cutmix }: MixOptions): void {
  if (mixup !== undefined) checkPositive(mixup, 'the concentration of mixup');
  if (cutmix !== undefined) checkPositive(cutmix, 'the concentration of cutmix');
}

export type Mix =
  | { readonly kind: 'mixup'; readonly share: number }
  /** `share` is what each image keeps of itself: the area outside the box. */
  | { readonly kind: 'cutmix'; readonly share: number; readonly box: Box };

export function drawMix(random: Random, { mixup, cutmix }: MixOptions, format: ImageFormat): Mix | undefined {
  const useMixup = mixup !== undefined && (cutmix === undefined || random.uniform() < 0.5);
  if (useMixup) return { kind: 'mixup', share: drawBeta(random, mixup) };
  if (cutmix === undefined) return undefined;
  const { height, width } = format;
  const side = Math.sqrt(1 - drawBeta(random, cutmix));
  const box = drawBox(random, format, Math.floor(height * side), Math.floor(width * side));
  const area = (box.bottom - box.top) * (box.right - box.left);
  return { kind: 'cutmix', share: 1 - area / (height * width), box };
}

/** Mixes `images` [count, image] and `targets` [count, classes] in place. */
export function applyMix(
  mix: Mix,
  images: Float32Array,
  targets: Float32Array,
  format: ImageFormat,
  count: number,
): void {
  const length = imageLength(format);
  const classes = targets.length / count;
  for (let first = 0, second = count - 1; first < second; first++, second--) {
    blendRows(targets, first * classes, second * classes, classes, mix.share);
    if (mix.kind === 'mixup') blendRows(images, first * length, second * length, length, mix.share);
    else swapBox(images, format, first, second, mix.box);
  }
}

function blendRows(values: Float32Array, first: number, second: number, length: number, share: number): void {
  for (let index = 0; index < length; index++) {
    const own = values[first + index]!;
    const other = values[second + index]!;
    values[first + index] = share * own + (1 - share) * other;
    values[second + index] = share * other + (1 - share) * own;
  }
}

function swapBox(images: Float32Array, format: ImageFormat, first: number, second: number, box: Box): void {
  const distance = (second - first) * imageLength(format);
  forEachRun(format, first, box, (start, length) => {
    for (let index = start; index < start + length; index++) {
      const own = images[index]!;
      images[index] = images[index + distance]!;
      images[index + distance] = own;
    }
  });
}

/** Beta(α, α) as the share of one of two gamma variates. */
export function drawBeta(random: Random, alpha: number): number {
  const own = drawLogGamma(random, alpha);
  const other = drawLogGamma(random, alpha);
  // In logarithms: for small α both variates can be below the smallest double.
  return 1 / (1 + Math.exp(other - own));
}

/** The logarithm of a Gamma(shape, 1) variate: Marsaglia and Tsang 2000; shapes below 1 by their boost. */
function drawLogGamma(random: Random, shape: number): number {
  if (shape < 1) return drawLogGamma(random, shape + 1) + Math.log(1 - random.uniform()) / shape;
  const scaled = shape - 1 / 3;
  const slope = 1 / Math.sqrt(9 * scaled);
  for (;;) {
    const normal = random.normal();
    const cube = (1 + slope * normal) ** 3;
    const accepted = Math.log(1 - random.uniform());
    if (cube > 0 && accepted < normal ** 2 / 2 + scaled * (1 - cube + Math.log(cube))) {
      return Math.log(scaled * cube);
    }
  }
}
