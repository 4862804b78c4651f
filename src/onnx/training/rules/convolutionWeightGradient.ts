import type { GraphBuilder, Value } from '../graphBuilder';
import { reshape, slice, transpose } from '../operations';
import type { ConvolutionGeometry } from './convolutionGeometry';

/**
 * Gradient [narrow channels, wide channels / groups, ...kernel] of the weight.
 *
 * A convolution of the wide side with the narrow one as its kernel, batch and channels changing places: strides become
 * dilations and dilations strides. Every provider has it, for every geometry.
 */
export function weightGradient(build: GraphBuilder, geometry: ConvolutionGeometry, wide: Value, narrow: Value): Value {
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
