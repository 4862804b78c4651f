import type { GraphBuilder, Value } from '../graphBuilder';
import { concat, expand, matMul, padZeros, reduceSum, reshape, transpose } from '../operations';
import type { ConvolutionGeometry } from './convolutionGeometry';
import { phaseAxes, sitesToPhases, spreadingMatrix, type PhaseAxis } from './convolutionPhases';

/**
 * Gradient of the weight as one matrix product for each image: rows of both sides get a common length with zeros between
 * them, so that a tap is a shift along one long axis. Copies of the wide side shifted by the taps of a row, and of the narrow
 * side shifted by the taps of a column, meet in all taps at once. For few channels on large images, one or two axes, strides
 * or dilations.
 */
export function flatWeightGradient(
  build: GraphBuilder,
  geometry: ConvolutionGeometry,
  wide: Value,
  narrow: Value,
): Value {
  const { batch, groups, narrowChannels, wideChannels } = geometry;
  const own = phaseAxes(geometry)!;
  const phases = sitesToPhases(build, own, wide);
  const [rows, columns] = own.length === 1 ? [SINGLE_ROW, own[0]!] : (own as [PhaseAxis, PhaseAxis]);
  const [height, width] = own.length === 1 ? [1, geometry.narrow[0]!] : (geometry.narrow as [number, number]);

  const beyond = width - 1 + columns.first + (columns.taps - 1) * columns.dilation - (columns.sites - 1);
  const pitch = Math.max(columns.sites + Math.max(-columns.first, beyond, 0), width);
  const shift = rows.first * pitch + columns.first;
  const wideStart = Math.max((columns.taps - 1) * columns.dilation, -shift);
  const wideStarts = Array.from({ length: columns.taps }, (_, tap) => wideStart - tap * columns.dilation);
  const narrowStarts = Array.from({ length: rows.taps }, (_, tap) => wideStart + shift + tap * rows.dilation * pitch);
  const length = Math.max(narrowStarts.at(-1)! + height * pitch, wideStart + rows.sites * pitch);

  const gradients = shiftedCopies(build, flatRows(build, narrow, height, width, pitch), narrowStarts, length);
  const images = shiftedCopies(build, flatRows(build, phases, rows.sites, columns.sites, pitch), wideStarts, length);
  const outputs = (narrowChannels / groups) * rows.taps;
  const inputs = (phases.dims[1]! / groups) * columns.taps;
  const products = matMul(
    build,
    reshape(build, gradients, [batch, groups, outputs, length]),
    transpose(build, reshape(build, images, [batch, groups, inputs, length]), [0, 1, 3, 2]),
  );
  const sum = reduceSum(build, products, [0], false);

  const perGroup = wideChannels / groups;
  const dims = [narrowChannels, rows.taps, perGroup, rows.phases, columns.phases, columns.taps];
  const ordered = transpose(build, reshape(build, sum, dims), [0, 2, 3, 1, 4, 5]);
  const result = [narrowChannels, perGroup, ...geometry.kernel];
  if (own.every((axis) => axis.phases === 1)) return reshape(build, ordered, result);
  const matrix = spreadingMatrix(build, own, false);
  const spreadTaps = reshape(build, ordered, [narrowChannels * perGroup, matrix.dims[1]!]);
  return reshape(build, matMul(build, spreadTaps, transpose(build, matrix, [1, 0])), result);
}

const SINGLE_ROW: PhaseAxis = { phases: 1, sites: 1, taps: 1, dilation: 1, first: 0, places: [{ phase: 0, tap: 0 }] };

/** [N, C, height · pitch] with zeros behind every row. */
function flatRows(build: GraphBuilder, images: Value, height: number, width: number, pitch: number): Value {
  const [batch, channels] = images.dims as [number, number];
  const rows = reshape(build, images, [batch, channels, height, width]);
  const padded = padZeros(build, rows, [0, 0, 0, 0, 0, 0, 0, pitch - width]);
  return reshape(build, padded, [batch, channels, height * pitch]);
}

/** [N, C · copies, length]: copy k starts at `starts[k]`, zeros elsewhere. One Concat writes all. */
function shiftedCopies(build: GraphBuilder, flat: Value, starts: readonly number[], length: number): Value {
  const [batch, channels, own] = flat.dims as [number, number, number];
  const parts: Value[] = [];
  let written = 0;
  const zeros = (count: number) => {
    if (count > 0) parts.push(expand(build, build.constant([0], [1, 1, 1]), [batch, channels, count]));
    written += count;
  };
  starts.forEach((start, copy) => {
    zeros(copy * length + start - written);
    parts.push(flat);
    written += own;
  });
  zeros(starts.length * length - written);
  return reshape(build, concat(build, parts, 2), [batch, channels * starts.length, length]);
}
