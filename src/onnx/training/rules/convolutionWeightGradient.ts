import type { GraphBuilder, Value } from '../graphBuilder';
import { concat, matMul, padZeros, reshape, slice, transpose } from '../operations';
import { blockedWeightGradient } from './blockedWeightGradient';
import { weightGradients, type Lowering } from './convolutionCost';
import type { ConvolutionGeometry } from './convolutionGeometry';
import { flatWeightGradient } from './flatWeightGradient';

/** Gradient [narrow channels, wide channels / groups, ...kernel] of the weight. */
export function weightGradient(
  { build, settings, choose }: Lowering,
  geometry: ConvolutionGeometry,
  wide: Value,
  narrow: Value,
): Value {
  const form = choose(weightGradients(settings, geometry));
  if (form === 'blocked') return blockedWeightGradient(build, settings.channelBlock!, geometry, wide, narrow);
  if (form === 'flat') return flatWeightGradient(build, geometry, wide, narrow);
  if (form === 'taps') return tapByTap(build, geometry, wide, narrow);
  return swapped(build, geometry, wide, narrow);
}

/**
 * A convolution of the wide side with the narrow one as its kernel, batch and channels changing places: strides become
 * dilations and dilations strides. Every provider has it, for every geometry.
 */
function swapped(build: GraphBuilder, geometry: ConvolutionGeometry, wide: Value, narrow: Value): Value {
  const { batch, groups, wideChannels, kernel, strides, dilations, padsBegin, padsEnd } = geometry;
  const spatial = kernel.map((_, axis) => axis);
  const perGroup = wideChannels / groups;
  const grouped = reshape(build, wide, [batch, groups, perGroup, ...geometry.wide]);
  const images = reshape(build, transpose(build, grouped, [2, 1, 0, ...spatial.map((axis) => axis + 3)]), [
    perGroup,
    groups * batch,
    ...geometry.wide,
  ]);
  const filters = transpose(build, narrow, [1, 0, ...spatial.map((axis) => axis + 2)]);
  const taps = build.emit('Conv', [images, filters], {
    kernel_shape: geometry.narrow,
    strides: dilations,
    dilations: strides,
    group: groups,
    pads: [...padsBegin, ...padsEnd],
  })[0]!;
  // Sites that no window reached make more taps than the kernel has.
  const own = kernel.reduce((found, size, axis) => slice(build, found, axis + 2, 0, size), taps);
  return transpose(build, own, [1, 0, ...spatial.map((axis) => axis + 2)]);
}

/** Channels first, images and sites one long axis: one matrix product for each tap. For many channels on small images. */
function tapByTap(build: GraphBuilder, geometry: ConvolutionGeometry, wide: Value, narrow: Value): Value {
  const { batch, groups, wideChannels, narrowChannels, kernel, strides, dilations, padsBegin } = geometry;
  const spatial = kernel.map((_, axis) => axis + 2);
  const length = geometry.narrow.reduce((product, size) => product * size, batch);
  const gradient = reshape(build, transpose(build, narrow, [1, 0, ...spatial]), [
    groups,
    narrowChannels / groups,
    length,
  ]);
  const reached = kernel.map(
    (size, axis) => (geometry.narrow[axis]! - 1) * strides[axis]! + (size - 1) * dilations[axis]! + 1,
  );
  const after = reached.map((size, axis) => size - geometry.wide[axis]! - padsBegin[axis]!);
  const images = padZeros(build, transpose(build, wide, [1, 0, ...spatial]), [0, 0, ...padsBegin, 0, 0, ...after]);
  const products = tapsOf(kernel).map((tap) => {
    const sites = tap.reduce((found, at, axis) => {
      const start = at * dilations[axis]!;
      const end = start + (geometry.narrow[axis]! - 1) * strides[axis]! + 1;
      return slice(build, found, axis + 2, start, end, strides[axis]);
    }, images);
    const rows = reshape(build, sites, [groups, wideChannels / groups, length]);
    return reshape(build, matMul(build, gradient, transpose(build, rows, [0, 2, 1])), [
      narrowChannels,
      wideChannels / groups,
      1,
    ]);
  });
  return reshape(build, concat(build, products, 2), [narrowChannels, wideChannels / groups, ...kernel]);
}

function tapsOf(kernel: readonly number[]): readonly (readonly number[])[] {
  return kernel.reduce<readonly (readonly number[])[]>(
    (found, size) => found.flatMap((tap) => Array.from({ length: size }, (_, at) => [...tap, at])),
    [[]],
  );
}
