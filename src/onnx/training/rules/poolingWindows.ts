import { intsAttribute } from '../../attributes';
import { elementCount } from '../../elementSize';
import { readKnownWindow, type KnownWindow } from '../../shapes/windows';
import type { GraphBuilder, Value } from '../graphBuilder';
import { padZeros, slice } from '../operations';
import type { RuleScope } from '../rule';

/** The windows of a pool over images [batch, channels, ...sizes], with auto_pad resolved. */
export interface PoolWindows extends KnownWindow {
  readonly dims: readonly number[];
  /** How many windows there are along each spatial axis. */
  readonly counts: readonly number[];
}

export function poolWindows({ node, required, outputDims }: RuleScope): PoolWindows {
  const { dims } = required(0);
  const window = readKnownWindow(node, intsAttribute(node, 'kernel_shape', []), dims.slice(2));
  return { ...window, dims, counts: outputDims[0]!.slice(2) };
}

/** Every site is in one window at most, and the windows lie side by side from the first site on. */
export function areTiles({ kernel, strides, dilations, padsBegin }: PoolWindows): boolean {
  return kernel.every((size, axis) => size === strides[axis] && dilations[axis] === 1 && padsBegin[axis] === 0);
}

/** `value`, a number for each window, at every site of the tile; sites in no window (behind the last) are left out. */
export function overTiles(build: GraphBuilder, windows: PoolWindows, value: Value): Value {
  const { dims, kernel, counts } = windows;
  const sizes = [...dims.slice(0, 2), ...counts.map((count, axis) => count * kernel[axis]!)];
  const nearest = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  const spread = build.emit('Resize', [value, undefined, undefined, build.integers(sizes)], nearest)[0]!;
  return toSites(build, spread, coveredByTiles(windows));
}

/** The sites that lie in a tile. */
export function coveredByTiles({ dims, kernel, counts }: PoolWindows): readonly number[] {
  return dims.map((size, axis) => (axis < 2 ? size : Math.min(size, counts[axis - 2]! * kernel[axis - 2]!)));
}

/** The first sites along every axis. */
export function toSites(build: GraphBuilder, value: Value, dims: readonly number[]): Value {
  return dims.reduce((part, size, axis) => slice(build, part, axis, 0, size), value);
}

/** Zeros behind, up to `dims`. */
export function fillUp(build: GraphBuilder, value: Value, dims: readonly number[]): Value {
  return padZeros(build, value, [...dims.map(() => 0), ...dims.map((size, axis) => size - value.dims[axis]!)]);
}

/** Attributes of a depthwise Conv over the windows, or of the ConvTranspose back; a window may reach beyond the pads. */
function depthwise({ dims, kernel, strides, dilations, padsBegin, counts }: PoolWindows) {
  const beyond = kernel.map(
    (size, axis) =>
      (counts[axis]! - 1) * strides[axis]! + (size - 1) * dilations[axis]! + 1 - padsBegin[axis]! - dims[axis + 2]!,
  );
  return {
    attributes: {
      kernel_shape: kernel,
      strides,
      dilations,
      group: dims[1]!,
      pads: [...padsBegin, ...beyond.map((sites) => Math.max(0, sites))],
    },
    unread: beyond.map((sites) => Math.max(0, -sites)),
  };
}

function ones(build: GraphBuilder, { dims, kernel }: PoolWindows): Value {
  const weight = [dims[1]!, 1, ...kernel];
  return build.constant(new Float32Array(elementCount(weight)).fill(1), weight);
}

/** Sum over each window, or its products with the filters. */
export function sumOverWindows(
  build: GraphBuilder,
  windows: PoolWindows,
  value: Value,
  filters = ones(build, windows),
): Value {
  return build.emit('Conv', [value, filters], depthwise(windows).attributes)[0]!;
}

/** The adjoint: at each site the sum of the windows that it lies in. */
export function spreadOverWindows(build: GraphBuilder, windows: PoolWindows, value: Value, filters?: Value): Value {
  if (filters === undefined && areTiles(windows)) return fillUp(build, overTiles(build, windows, value), windows.dims);
  const { attributes, unread } = depthwise(windows);
  const operands = [value, filters ?? ones(build, windows)];
  return build.emit('ConvTranspose', operands, { ...attributes, output_padding: unread })[0]!;
}

/** There is a window at every site: the adjoint is a pool itself, faster than a ConvTranspose. */
export function isEverySite({ kernel, strides, dilations }: PoolWindows): boolean {
  return kernel.every((_, axis) => strides[axis] === 1 && dilations[axis] === 1);
}

/** The adjoint of averages over all taps of windows at every site, pads counted. */
export function averageBack(build: GraphBuilder, windows: PoolWindows, value: Value): Value {
  const { kernel, padsBegin, padsEnd } = windows;
  const pads = [...padsBegin, ...padsEnd].map((pad, index) => kernel[index % kernel.length]! - 1 - pad);
  return build.emit('AveragePool', [value], { kernel_shape: kernel, pads, count_include_pad: 1 })[0]!;
}

/** 1 / the number of sites that each window averages over, for all positions of a window. */
export function reciprocalCounts(windows: PoolWindows, countsPads: boolean): number[] {
  const { dims, kernel, strides, dilations, padsBegin, padsEnd, counts } = windows;
  const along = counts.map((count, axis) => {
    const first = countsPads ? -padsBegin[axis]! : 0;
    const end = dims[axis + 2]! + (countsPads ? padsEnd[axis]! : 0);
    return Array.from({ length: count }, (_, position) => {
      const start = position * strides[axis]! - padsBegin[axis]!;
      const sites = Array.from({ length: kernel[axis]! }, (__, tap) => start + tap * dilations[axis]!);
      return sites.filter((site) => site >= first && site < end).length;
    });
  });
  const products = along.reduce((outer, inner) => outer.flatMap((a) => inner.map((b) => a * b)), [1]);
  return products.map((count) => 1 / count);
}
