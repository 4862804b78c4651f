import { BLOCKED_DOMAIN } from '../channelBlock';
import type { GraphBuilder, Value } from '../graphBuilder';
import { padZeros, reshape, transpose } from '../operations';
import { convAttributes, type ConvolutionGeometry } from './convolutionGeometry';

/**
 * Conv of two-dimensional images in ONNX Runtime's own layout, [N, C/b, H, W, b] for blocks of b channels.
 *
 * The runtime's optimizer takes convolutions there by itself, but only those with constant weights. Here weights are blocked by
 * nodes of the graph, which costs little: they are small. Channel counts that b does not divide are filled with zeros.
 */
export function blockedConv(
  build: GraphBuilder,
  block: number,
  geometry: ConvolutionGeometry,
  wide: Value,
  weight: Value,
  bias?: Value,
): Value {
  const { batch, groups, wideChannels, narrowChannels, narrow } = geometry;
  const filled = filledTo(block, narrowChannels);
  const readsPlain = groups === 1 && wideChannels < block;
  const images = readsPlain ? wide : toBlocks(build, block, wide);
  const filters =
    readsPlain || isDepthwise(geometry) ? blockOutputs(build, block, weight) : blockBoth(build, block, weight);
  const attributes = { ...convAttributes(geometry), group: isDepthwise(geometry) ? filled : groups };
  const operands = [images, filters, bias && padZeros(build, bias, [0, filled - narrowChannels])];
  const blocked = emitBlocked(build, 'Conv', operands, attributes, [batch, filled, ...narrow]);
  return emitBlocked(build, 'ReorderOutput', [blocked], { channels: narrowChannels }, [
    batch,
    narrowChannels,
    ...narrow,
  ]);
}

/** Whether blockedConv can: the layout's kernels know some groups only. */
export function canBlock(block: number, geometry: ConvolutionGeometry): boolean {
  const { groups, wideChannels, narrowChannels, kernel } = geometry;
  if (kernel.length !== 2) return false;
  const divides = (unit: number, count: number) => count % unit === 0;
  if (groups === 1 || isDepthwise(geometry)) return true;
  return divides(block, wideChannels / groups) && divides(block, narrowChannels / groups);
}

/** One filter for each channel. */
export function isDepthwise({ groups, wideChannels, narrowChannels }: ConvolutionGeometry): boolean {
  return groups > 1 && wideChannels === groups && narrowChannels === groups;
}

const CHANNELS_READ_TOGETHER = 4;

/** [N, C, H, W] in blocks of channels; dims are those of the whole, zeros filled in. */
export function toBlocks(build: GraphBuilder, block: number, images: Value): Value {
  const [batch, channels, ...spatial] = images.dims as [number, number, ...number[]];
  const missing = filledTo(CHANNELS_READ_TOGETHER, channels) - channels;
  const readable = padZeros(build, images, [0, 0, 0, 0, 0, missing, 0, 0]);
  return emitBlocked(build, 'ReorderInput', [readable], {}, [batch, filledTo(block, channels), ...spatial]);
}

export function emitBlocked(
  build: GraphBuilder,
  opType: string,
  operands: readonly (Value | undefined)[],
  attributes: Parameters<GraphBuilder['emit']>[2],
  dims: readonly number[],
): Value {
  return build.emit(opType, operands, attributes, { domain: BLOCKED_DOMAIN, outputDims: [dims] })[0]!;
}

/** [O, I, H, W] as [O/b, I, H, W, b]: each block of outputs as an image of b channels. */
function blockOutputs(build: GraphBuilder, block: number, weight: Value): Value {
  const [outputs, inputs, height, width] = weight.dims as [number, number, number, number];
  const filled = filledTo(block, outputs);
  const padded = padZeros(build, weight, [0, 0, 0, 0, filled - outputs, 0, 0, 0]);
  const images = reshape(build, padded, [filled / block, block, inputs * height, width]);
  return reshape(build, toBlocks(build, block, images), [filled, inputs, height, width]);
}

/** [O, I, H, W] as [O/b, I/b, H, W, b of I, b of O]. */
function blockBoth(build: GraphBuilder, block: number, weight: Value): Value {
  const [, inputs, height, width] = weight.dims as [number, number, number, number];
  const missing = filledTo(block, inputs) - inputs;
  const outputs = blockOutputs(build, block, padZeros(build, weight, [0, 0, 0, 0, 0, missing, 0, 0]));
  const [filledOutputs, filledInputs] = outputs.dims as [number, number];
  const both = [filledOutputs / block, filledInputs / block, block, height * width, block];
  return reshape(build, transpose(build, reshape(build, outputs, both), [0, 1, 3, 2, 4]), outputs.dims);
}

export function filledTo(block: number, channels: number): number {
  return Math.ceil(channels / block) * block;
}
