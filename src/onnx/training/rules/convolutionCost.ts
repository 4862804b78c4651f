/**
 * Which formulation of a convolution is fastest, from its sizes: floating-point operations and copied floats, each at a rate.
 *
 * The rates are those of one core in onnxruntime-node 1.30, as test/bench/convolutionGradients.ts measures them. Other
 * processors have other rates, but compute and memory move together, and where two formulations are close either will do.
 *
 * Processor milliseconds of one thread at batch 128, medians of 7, on a busy AMD EPYC Zen 4 with AVX-512 (channels @ size):
 *
 *                      forward           input gradient         weight gradient
 *                      plain  blocked    transposed  phases     taps   flat  blocked
 *   16-16 @ 32          15.6     10.6        22.7     11.5      32.1   23.4     15.7
 *   16-32 @ 32, / 2      7.5      6.8         7.3     18.5      15.9   23.7      8.5
 *   32-32 @ 16          11.8      8.2        12.1      8.7      19.9   21.6      9.4
 *   64-64 @ 8            8.6      6.5         9.4      6.6      12.3   18.6      7.4
 *   64-64 @ 32           133      114         152      113       172    150      122
 *   128-128 @ 16         110       99         120      101       187    187      120
 *   256-256 @ 8          107       96         133      100       181    249      109
 *   512-512 @ 4           98      116         240      112       146    306      103
 *   512-512 @ 2           96       34         317       51        53    232       37
 *   96 @ 16, depthwise  11.5      8.1        18.5      9.0      29.5   40.2      7.9
 *
 * Also tried: one product with all taps copied (21 to 34 for the first three rows' weight gradients), `swapped` with the
 * runtime's plain kernels (20 to 46), running independent nodes side by side (twice the processor time of a whole step).
 */
import type { GraphBuilder } from '../graphBuilder';
import type { RuleSettings } from '../rule';
import { canBlock, filledTo } from './blockedConvolution';
import { canBlockWeightGradient } from './blockedWeightGradient';
import type { ConvolutionGeometry } from './convolutionGeometry';
import { phaseAxes } from './convolutionPhases';

const NANOSECONDS_PER_FLOP = 1 / 80;
const NANOSECONDS_PER_FLOP_OF_SMALL_PRODUCTS = 1 / 65;
const NANOSECONDS_PER_COPIED_FLOAT = 0.5;
/** Transposes that scatter the floats of a row. */
const NANOSECONDS_PER_SCATTERED_FLOAT = 8;
/** A matrix product of one image and one group, besides its arithmetic. */
const NANOSECONDS_PER_PRODUCT = 300;
const NANOSECONDS_PER_SMALL_PRODUCT = 2_000;
/** Accumulators of the blocked kernels lie along a row of outputs: shorter rows leave units idle. */
const FULL_ROW = 3;
/** What starting a site costs the kernels that read plain images, in channels. */
const CHANNELS_LOST = 4;
/** Matrix products compute this many columns at once. */
const COLUMNS = 16;

interface Sizes {
  readonly flops: number;
  readonly taps: number;
  readonly wideFloats: number;
  readonly narrowFloats: number;
}

function sizesOf(geometry: ConvolutionGeometry): Sizes {
  const { batch, groups, wideChannels, narrowChannels } = geometry;
  const taps = product(geometry.kernel);
  const narrowFloats = batch * narrowChannels * product(geometry.narrow);
  return {
    flops: 2 * narrowFloats * taps * (wideChannels / groups),
    taps,
    wideFloats: batch * wideChannels * product(geometry.wide),
    narrowFloats,
  };
}

/** A formulation and about how long it takes on one core. */
export interface Candidate<Form extends string> {
  readonly form: Form;
  readonly nanoseconds: number;
}

/** Chooses a formulation. */
export type Choose = <Form extends string>(candidates: readonly Candidate<Form>[]) => Form;

export const cheapest: Choose = (candidates) =>
  candidates.reduce((best, candidate) => (candidate.nanoseconds < best.nanoseconds ? candidate : best)).form;

/** What the formulations of a graph's convolutions share. */
export interface Lowering {
  readonly build: GraphBuilder;
  readonly settings: RuleSettings;
  readonly choose: Choose;
}

/** How a Conv can be computed. */
export function convolutions(settings: RuleSettings, geometry: ConvolutionGeometry): Candidate<'plain' | 'blocked'>[] {
  const block = blockOf(settings);
  const plain = { form: 'plain', nanoseconds: plainCost(geometry) } as const;
  if (block === undefined || !canBlock(block, geometry)) return [plain];
  return [plain, { form: 'blocked', nanoseconds: blockedCost(block, geometry) }];
}

/** How the way back to the wide side can be computed: `reversed` is the convolution that gives its phases, if there is one. */
export function waysBack(
  settings: RuleSettings,
  geometry: ConvolutionGeometry,
  reversed: ConvolutionGeometry | undefined,
): Candidate<'transposed' | 'phases'>[] {
  const { taps, wideFloats, narrowFloats } = sizesOf(geometry);
  // The columns of every image are made, and then added up; the weights are packed again for every image.
  const columns = (2 * taps * narrowFloats * geometry.wideChannels) / geometry.narrowChannels;
  const weights = (geometry.batch * geometry.narrowChannels * geometry.wideChannels * taps) / geometry.groups;
  const transposed = {
    form: 'transposed',
    nanoseconds: productsOfImages(geometry) + copies(columns + weights),
  } as const;
  if (settings.device !== 'cpu' || reversed === undefined) return [transposed];
  if (product(geometry.kernel) * product(reversed.kernel) * product(geometry.strides) > LARGEST_SPREADING)
    return [transposed];
  const convolved = Math.min(...convolutions(settings, reversed).map(({ nanoseconds }) => nanoseconds));
  return [transposed, { form: 'phases', nanoseconds: convolved + scattered(geometry, wideFloats) }];
}

const LARGEST_SPREADING = 1 << 20;

export type WeightGradientForm = 'swapped' | 'blocked' | 'flat' | 'taps';

/** How a weight's gradient can be computed. */
export function weightGradients(
  settings: RuleSettings,
  geometry: ConvolutionGeometry,
): Candidate<WeightGradientForm>[] {
  if (settings.device !== 'cpu') return [{ form: 'swapped', nanoseconds: 0 }];
  const { flops, taps, wideFloats, narrowFloats } = sizesOf(geometry);
  const tapByTap = flops * NANOSECONDS_PER_FLOP + copies((taps + 3) * wideFloats + narrowFloats);
  const candidates: Candidate<WeightGradientForm>[] = [{ form: 'taps', nanoseconds: tapByTap }];
  if (phaseAxes(geometry) !== undefined && geometry.kernel.length <= 2)
    candidates.push({ form: 'flat', nanoseconds: flatCost(geometry) });
  const block = blockOf(settings);
  if (block !== undefined && canBlockWeightGradient(block, geometry)) {
    const row = Math.min(geometry.kernel.at(-1)!, FULL_ROW);
    const compute = flops * NANOSECONDS_PER_FLOP * (FULL_ROW / row);
    candidates.push({ form: 'blocked', nanoseconds: compute + copies(3 * wideFloats + 2 * narrowFloats) });
  }
  return candidates;
}

function flatCost(geometry: ConvolutionGeometry): number {
  const { batch, groups, wideChannels, narrowChannels, kernel, narrow } = geometry;
  const axes = phaseAxes(geometry)!;
  const rows = (narrowChannels / groups) * (axes.length > 1 ? axes[0]!.taps : 1);
  const columns = (wideChannels / groups) * product(geometry.strides) * axes.at(-1)!.taps;
  const { wideFloats, narrowFloats } = sizesOf(geometry);
  const isPointwise = product(kernel) === 1;
  const common = product(narrow.map((size, axis) => (isPointwise ? size : size + axes[axis]!.taps - 1)));
  const copied = isPointwise ? 0 : (1 + axes.at(-1)!.taps) * wideFloats + (1 + axes[0]!.taps) * narrowFloats;
  return (
    batch * groups * NANOSECONDS_PER_SMALL_PRODUCT +
    scattered(geometry, wideFloats) +
    2 * batch * groups * rows * columns * common * NANOSECONDS_PER_FLOP_OF_SMALL_PRODUCTS +
    copies(copied + 2 * batch * groups * rows * columns)
  );
}

function blockedCost(block: number, geometry: ConvolutionGeometry): number {
  const { flops, taps, wideFloats, narrowFloats } = sizesOf(geometry);
  const { groups, wideChannels, narrowChannels } = geometry;
  const fill = (channels: number) => filledTo(block, channels) / channels;
  // With fewer channels than a block the images are read as they are, one channel at a time.
  const slowdown = wideChannels < block ? 1 + CHANNELS_LOST / wideChannels : fill(wideChannels);
  const filled = groups > 1 ? 1 : fill(narrowChannels) * slowdown;
  const weights = (narrowChannels * wideChannels * taps) / groups;
  return flops * filled * NANOSECONDS_PER_FLOP + copies(wideFloats + narrowFloats + 4 * weights);
}

function plainCost(geometry: ConvolutionGeometry): number {
  const { taps, wideFloats } = sizesOf(geometry);
  const columns = taps === 1 ? 0 : (taps * wideFloats) / product(geometry.strides);
  return productsOfImages(geometry) + copies(columns);
}

/** Matrix products of images and groups one by one: those of small images are narrow. */
function productsOfImages(geometry: ConvolutionGeometry): number {
  const sites = product(geometry.narrow);
  const flops = sizesOf(geometry).flops * (filledTo(COLUMNS, sites) / sites);
  return geometry.batch * geometry.groups * NANOSECONDS_PER_PRODUCT + flops * NANOSECONDS_PER_FLOP;
}

/** Sites taken apart into phases, or put together. */
function scattered({ strides }: ConvolutionGeometry, floats: number): number {
  return strides.some((stride) => stride > 1) ? floats * NANOSECONDS_PER_SCATTERED_FLOAT : 0;
}

function copies(floats: number): number {
  return floats * NANOSECONDS_PER_COPIED_FLOAT;
}

function blockOf({ device, channelBlock }: RuleSettings): number | undefined {
  return device === 'cpu' ? channelBlock : undefined;
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1);
}
