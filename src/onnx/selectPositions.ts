import { expected } from '../errors';
import { elementCount } from './elementSize';
import type { Tensor } from './ir';
import { computedTensor, elementSizeOf } from './tensor';

/** One axis of a tensor and the positions of it that are taken, in this order. */
export interface AxisSelection {
  readonly axis: number;
  readonly positions: readonly number[];
}

/** An axis of the source: how far apart its positions lie, and which are taken, as pairs of first position and count. */
interface Level {
  readonly strideBytes: number;
  readonly runs: readonly number[];
}

/** From here on a call that copies a block is faster than a loop over its bytes. */
const SMALLEST_BLOCK_BYTES = 512;

/**
 * The tensor with only the given positions along some of its axes (each axis once); any element type. Bytes are moved
 * in one go, each time they are asked for: nothing is held but the source. Other fields of its message are kept.
 */
export function selectPositions(tensor: Tensor, selections: readonly AxisSelection[]): Tensor {
  const dims = [...tensor.dims];
  for (const { axis, positions } of selections) {
    requireWithin(tensor, axis, positions);
    dims[axis] = positions.length;
  }
  return computedTensor(tensor.name, dims, tensor.dataType, {
    copyTo: (target) => copyRuns(tensor.bytes(), target, levelsOf(tensor, selections)),
    like: tensor,
  });
}

function levelsOf(tensor: Tensor, selections: readonly AxisSelection[]): Level[] {
  const size = elementSizeOf(tensor);
  const lastAxis = Math.max(-1, ...selections.map(({ axis }) => axis));
  return tensor.dims.slice(0, lastAxis + 1).map((length, axis) => {
    const selected = selections.find((selection) => selection.axis === axis);
    return {
      strideBytes: elementCount(tensor.dims.slice(axis + 1)) * size,
      runs: selected === undefined ? [0, length] : runsOf(selected.positions),
    };
  });
}

/** The same text for the same selections, and short where positions are neighbours. */
export function describeSelections(selections: readonly AxisSelection[]): string {
  return selections.map(({ axis, positions }) => `${axis}:${runsOf(positions).join()}`).join(';');
}

function requireWithin(tensor: Tensor, axis: number, positions: readonly number[]): void {
  const length = tensor.dims[axis];
  if (length === undefined)
    throw expected('ERR_SHAPE', `an axis below ${tensor.dims.length}`, `tensor "${tensor.name}"`, axis);
  for (const position of positions)
    if (!Number.isInteger(position) || position < 0 || position >= length)
      throw expected('ERR_SHAPE', `indices 0..${length - 1} on axis ${axis}`, `tensor "${tensor.name}"`, position);
}

/** Pairs of first position and count: neighbours are taken together. */
function runsOf(positions: readonly number[]): number[] {
  const runs: number[] = [];
  let end = -1;
  for (const position of positions) {
    if (position === end) runs[runs.length - 1] = (runs[runs.length - 1] ?? 0) + 1;
    else runs.push(position, 1);
    end = position + 1;
  }
  return runs;
}

function copyRuns(source: Uint8Array, target: Uint8Array, levels: readonly Level[]): void {
  if (levels.length === 0) return target.set(source);
  let to = 0;
  const visit = (depth: number, base: number): void => {
    const level = levels[depth];
    if (level === undefined) return;
    const { strideBytes, runs } = level;
    for (let run = 0; run < runs.length; run += 2) {
      const from = base + (runs[run] ?? 0) * strideBytes;
      const count = runs[run + 1] ?? 0;
      if (depth === levels.length - 1) {
        copyBytes(source, from, target, to, count * strideBytes);
        to += count * strideBytes;
      } else for (let index = 0; index < count; index++) visit(depth + 1, from + index * strideBytes);
    }
  };
  visit(0, 0);
}

/** Short blocks byte by byte: a view for each of them would be more garbage than there are weights. */
function copyBytes(source: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void {
  if (length >= SMALLEST_BLOCK_BYTES) return target.set(source.subarray(from, from + length), to);
  for (let index = 0; index < length; index++) target[to + index] = source[from + index] ?? 0;
}
