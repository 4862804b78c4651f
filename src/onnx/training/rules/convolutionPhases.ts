import type { GraphBuilder, Value } from '../graphBuilder';
import type { ConvolutionGeometry } from './convolutionGeometry';
import { matMul, padZeros, reshape, slice, transpose } from '../operations';

/**
 * A strided convolution as one of stride 1: the wide side's sites s·a + r are split into s phases r per axis, which become
 * channels, and the kernel into the taps that each phase meets. Site a of phase r and site p of the narrow side meet at
 * tap p → a − p = offset, so both directions are plain convolutions with few taps:
 * kernel 3 and stride 2 need 2 taps on each of 2 phases.
 */
export interface PhaseAxis {
  readonly phases: number;
  /** Sites of a phase, ⌈wide / stride⌉. */
  readonly sites: number;
  readonly taps: number;
  readonly dilation: number;
  /** Smallest offset a − p. */
  readonly first: number;
  /** Phase and tap of each tap of the kernel; taps are numbered by rising offset. */
  readonly places: readonly { readonly phase: number; readonly tap: number }[];
}

/** undefined where strides and dilations come together. */
export function phaseAxes(geometry: ConvolutionGeometry): readonly PhaseAxis[] | undefined {
  const { kernel, strides, dilations, padsBegin, wide } = geometry;
  if (strides.some((stride, axis) => stride > 1 && dilations[axis]! > 1)) return undefined;
  return kernel.map((size, axis) => {
    const stride = strides[axis]!;
    const dilation = dilations[axis]!;
    const met = Array.from({ length: size }, (_, tap) => {
      const site = tap * dilation - padsBegin[axis]!;
      const offset = Math.floor(site / stride);
      return { phase: site - offset * stride, offset };
    });
    const first = met[0]!.offset;
    const places = met.map(({ phase, offset }) => ({ phase, tap: (offset - first) / dilation }));
    const sites = Math.ceil(wide[axis]! / stride);
    return { phases: stride, sites, taps: places.at(-1)!.tap + 1, dilation, first, places };
  });
}

/**
 * A 0/1 matrix [taps of the kernel, phases and taps of the axes: phase, tap, phase, tap, …] that spreads a kernel;
 * `reversed` counts taps from the last.
 */
export function spreadingMatrix(build: GraphBuilder, axes: readonly PhaseAxis[], reversed: boolean): Value {
  const columns = axes.reduce((product, { phases, taps }) => product * phases * taps, 1);
  const ones = axes.reduce<readonly number[]>(
    (found, { phases, taps, places }) =>
      found.flatMap((at) =>
        places.map(({ phase, tap }) => at * phases * taps + phase * taps + (reversed ? taps - 1 - tap : tap)),
      ),
    [0],
  );
  const matrix = new Float32Array(ones.length * columns);
  ones.forEach((column, row) => (matrix[row * columns + column] = 1));
  return build.constant(matrix, [ones.length, columns], 'spreading');
}

/** [N, C · phases of the axes, ...sites] as [N, C, ...wide]. */
export function phasesToSites(
  build: GraphBuilder,
  axes: readonly PhaseAxis[],
  images: Value,
  wide: readonly number[],
): Value {
  const rank = axes.length;
  const [batch, channels] = images.dims as [number, number];
  const own = channels / axes.reduce((product, { phases }) => product * phases, 1);
  const sites = axes.map((axis) => axis.sites);
  const split = reshape(build, images, [batch, own, ...axes.map(({ phases }) => phases), ...sites]);
  const order = [0, 1, ...axes.flatMap((_, axis) => [2 + rank + axis, 2 + axis])];
  const joined = axes.every(({ phases }) => phases === 1) ? split : transpose(build, split, order);
  const all = reshape(build, joined, [batch, own, ...axes.map(({ phases, sites }) => phases * sites)]);
  return wide.reduce((found, size, axis) => slice(build, found, axis + 2, 0, size), all);
}

/** [N, C, ...wide] as [N, C · phases of the axes, ...sites]. */
export function sitesToPhases(build: GraphBuilder, axes: readonly PhaseAxis[], images: Value): Value {
  if (axes.every(({ phases }) => phases === 1)) return images;
  const rank = axes.length;
  const [batch, channels, ...wide] = images.dims as [number, number, ...number[]];
  const missing = axes.map(({ phases, sites }, axis) => phases * sites - wide[axis]!);
  const filled = padZeros(build, images, [...new Array<number>(rank + 4).fill(0), ...missing]);
  const split = reshape(build, filled, [batch, channels, ...axes.flatMap(({ phases, sites }) => [sites, phases])]);
  const order = [0, 1, ...axes.map((_, axis) => 3 + 2 * axis), ...axes.map((_, axis) => 2 + 2 * axis)];
  const count = axes.reduce((product, { phases }) => product * phases, channels);
  return reshape(build, transpose(build, split, order), [batch, count, ...axes.map(({ sites }) => sites)]);
}

/** A weight's kernel axes through a spreading matrix: [O, I, ...kernel] → [O, I, phase, tap, phase, tap, …]. */
export function spread(build: GraphBuilder, axes: readonly PhaseAxis[], weight: Value, reversed: boolean): Value {
  const [outputs, inputs, ...kernel] = weight.dims as [number, number, ...number[]];
  const rows = reshape(build, weight, [outputs * inputs, kernel.reduce((product, size) => product * size, 1)]);
  const dims = [outputs, inputs, ...axes.flatMap(({ phases, taps }) => [phases, taps])];
  return reshape(build, matMul(build, rows, spreadingMatrix(build, axes, reversed)), dims);
}
