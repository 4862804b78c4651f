import type { GraphBuilder, Value } from '../graphBuilder';
import { add, padZeros, reduceSum, reshape, slice, transpose } from '../operations';
import { emitBlocked, filledTo, isDepthwise, toBlocks } from './blockedConvolution';
import type { ConvolutionGeometry } from './convolutionGeometry';

/** Whether blockedWeightGradient can: blocks of images, or of images and channels, have to be whole. */
export function canBlockWeightGradient(block: number, geometry: ConvolutionGeometry): boolean {
  const { batch, groups, narrowChannels, kernel } = geometry;
  if (kernel.length !== 2) return false;
  if (isDepthwise(geometry)) return (batch * groups) % block === 0;
  return batch % block === 0 && (groups === 1 || (narrowChannels / groups) % block === 0);
}

/**
 * Gradient of the weight by a convolution in the runtime's own layout (see blockedConvolution.ts): of the wide side, with the
 * narrow one as its kernel, strides becoming dilations and dilations strides. Nothing is copied tap by tap, so it wins from
 * few channels on. The wide side is padded beforehand: the kernels compute outputs that meet pads one at a time.
 */
export function blockedWeightGradient(
  build: GraphBuilder,
  block: number,
  geometry: ConvolutionGeometry,
  wide: Value,
  narrow: Value,
  floatsKeptClose = FLOATS_KEPT_CLOSE,
): Value {
  if (isDepthwise(geometry)) return depthwise(build, block, geometry, wide, narrow);
  const { batch, narrowChannels } = geometry;
  const gradient = toBlocks(build, block, narrow);
  const floatsOfBlock = block * filledTo(block, narrowChannels) * product(geometry.narrow);
  const imagesOfPart = block * Math.max(1, Math.floor(floatsKeptClose / floatsOfBlock));
  let sum: Value | undefined;
  for (let start = 0; start < batch; start += imagesOfPart) {
    const end = Math.min(batch, start + imagesOfPart);
    const [images, gradients] = [wide, gradient].map((all) => slice(build, all, 0, start, end)) as [Value, Value];
    const part = overImages(build, block, { ...geometry, batch: end - start }, images, gradients);
    sum = sum === undefined ? part : add(build, sum, part);
  }
  return transpose(build, sum!, [1, 0, 2, 3]);
}

/** The narrow side is read again for each wide channel: in parts that stay in the cache. Half as many: slower by 0 to 40 %. */
const FLOATS_KEPT_CLOSE = 1 << 21;

/** Blocks of images take the place of blocks of channels. [wide channels / groups, narrow channels, ...kernel] */
function overImages(
  build: GraphBuilder,
  block: number,
  geometry: ConvolutionGeometry,
  wide: Value,
  gradient: Value,
): Value {
  const { batch, groups, wideChannels, narrowChannels, kernel } = geometry;
  const [height, width] = geometry.wide as [number, number];
  const perGroup = wideChannels / groups;
  const blocks = batch / block;
  const asChannels = reshape(build, wide, [blocks, block, wideChannels * height, width]);
  const rows = reshape(build, toBlocks(build, block, asChannels), [blocks, wideChannels, height, width * block]);
  const padded = padToReach(build, block, geometry, rows);
  const reached = [padded.dims[2]!, padded.dims[3]! / block];
  const grouped = reshape(build, padded, [blocks, groups, perGroup, product(reached) * block]);
  const images = reshape(build, transpose(build, grouped, [2, 1, 0, 3]), [perGroup, groups * batch, ...reached]);

  const filled = gradient.dims[1]!;
  const split = reshape(build, gradient, [blocks, block, filled / block, product(geometry.narrow), block]);
  const filters = reshape(build, transpose(build, split, [2, 0, 3, 1, 4]), [filled, batch, ...geometry.narrow]);

  const taps = swappedConv(build, geometry, images, filters, groups, [perGroup, filled, ...kernel]);
  const plain = [perGroup, narrowChannels, ...kernel];
  return emitBlocked(build, 'ReorderOutput', [taps], { channels: narrowChannels }, plain);
}

/** Every channel of every image is a channel of one image, and meets its own gradient. */
function depthwise(
  build: GraphBuilder,
  block: number,
  geometry: ConvolutionGeometry,
  wide: Value,
  narrow: Value,
): Value {
  const { batch, groups, kernel } = geometry;
  const channels = batch * groups;
  const isWhole = groups % block === 0;
  const asChannels = (images: Value): Value => {
    const spatial = images.dims.slice(2);
    // Blocks of whole images lie in memory as those of one image do.
    const given = isWhole ? images : reshape(build, images, [1, channels, ...spatial]);
    return reshape(build, toBlocks(build, block, given), [1, channels, ...spatial]);
  };
  const [height, width] = geometry.wide as [number, number];
  const rows = reshape(build, asChannels(wide), [1, channels / block, height, width * block]);
  const padded = padToReach(build, block, geometry, rows);
  const images = reshape(build, padded, [1, channels, padded.dims[2]!, padded.dims[3]! / block]);
  const filters = reshape(build, asChannels(narrow), [channels, 1, ...geometry.narrow]);
  const dims = [1, channels, ...kernel];
  const taps = swappedConv(build, geometry, images, filters, channels, dims);
  const own = emitBlocked(build, 'ReorderOutput', [taps], { channels }, dims);
  return reduceSum(build, reshape(build, own, [batch, groups, 1, ...kernel]), [0], false);
}

function swappedConv(
  build: GraphBuilder,
  { narrow, strides, dilations }: ConvolutionGeometry,
  images: Value,
  filters: Value,
  group: number,
  dims: readonly number[],
): Value {
  const attributes = { kernel_shape: narrow, strides: dilations, dilations: strides, group };
  return emitBlocked(build, 'Conv', [images, filters], attributes, dims);
}

/** [blocks, …, H, W · block] with pads, or cut, so that the taps of the kernel are all that the windows reach. */
function padToReach(
  build: GraphBuilder,
  block: number,
  { kernel, strides, dilations, padsBegin, narrow, wide }: ConvolutionGeometry,
  rows: Value,
): Value {
  const [top, left] = padsBegin as [number, number];
  const [bottom, right] = kernel.map((size, axis) => {
    const reached = (narrow[axis]! - 1) * strides[axis]! + (size - 1) * dilations[axis]! + 1;
    return reached - wide[axis]! - padsBegin[axis]!;
  }) as [number, number];
  return padZeros(build, rows, [0, 0, top, left * block, 0, 0, bottom, right * block]);
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1);
}
