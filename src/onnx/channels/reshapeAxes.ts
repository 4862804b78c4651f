import type { Dimension } from '../ir';

/** Where the positions of one axis go when a row-major tensor is given another shape. */
export interface AxisMove {
  readonly axis: number;
  /** For each index along the new axis: the old positions found there. All of them must go together. */
  readonly sources: readonly (readonly number[])[];
}

/** Beyond this the walk over a group of axes would take noticeable time; no real classifier comes near. */
const LARGEST_WALK = 1 << 24;

/**
 * Follows `axis` through a reshape from `input` to `output`. Cutting is exact whenever every element that has a
 * removed position in one shape has a removed position in the other: the elements that stay keep their order. So
 * old positions that share an index of the new axis are reported together, and of all axes that could carry the
 * channels the one that ties the fewest is taken ([N, 2·32] → [N, 2, 32] carries 32, not 2), unless it is known which is
 * `wanted`.
 *
 * @returns undefined where the shapes are not known well enough, or the channels mix with a symbolic dimension.
 */
export function followAxis(
  input: readonly Dimension[],
  output: readonly Dimension[],
  axis: number,
  wanted?: number,
): AxisMove | undefined {
  const channels = input[axis];
  if (typeof channels !== 'number' || channels < 1) return undefined;
  const same = (count: number) => Array.from({ length: count }, (_, index) => [index]);
  let lead = 0;
  while (lead < input.length && lead < output.length && sameDimension(input, output, lead)) lead++;
  if (axis < lead) return { axis, sources: same(channels) };
  let tail = 0;
  const equalFromEnd = (back: number) => {
    const dimension = input[input.length - back];
    return dimension !== undefined && dimension === output[output.length - back];
  };
  while (tail < Math.min(input.length, output.length) - lead && equalFromEnd(tail + 1)) tail++;
  if (axis >= input.length - tail) return { axis: axis + output.length - input.length, sources: same(channels) };

  const from = input.slice(lead, input.length - tail);
  const to = output.slice(lead, output.length - tail);
  const isKnown = (dimension: Dimension): dimension is number => typeof dimension === 'number' && dimension > 0;
  if (!from.every(isKnown) || !to.every(isKnown)) return undefined;
  return bestMove(from, to, axis - lead, lead, wanted);
}

/** Equal, or not both known while everything else has the same number of elements, so that they must be equal. */
function sameDimension(input: readonly Dimension[], output: readonly Dimension[], at: number): boolean {
  if (input[at] !== undefined && input[at] === output[at]) return true;
  const product = (dims: readonly Dimension[]) =>
    dims.reduce<number>((total, dim, index) => (index === at ? total : typeof dim === 'number' ? total * dim : NaN), 1);
  const bothKnown = typeof input[at] === 'number' && typeof output[at] === 'number';
  return !bothKnown && product(input) === product(output);
}

function bestMove(
  from: readonly number[],
  to: readonly number[],
  axis: number,
  lead: number,
  wanted: number | undefined,
): AxisMove | undefined {
  const total = productOf(from);
  if (total !== productOf(to)) return undefined;
  const channels = from[axis] ?? 1;
  const stride = productOf(from.slice(axis + 1));
  let best: { readonly move: AxisMove; readonly classes: number } | undefined;
  for (const [candidate, extent] of to.entries()) {
    const candidateStride = productOf(to.slice(candidate + 1));
    const sources = coOccurrences(channels, stride, extent, candidateStride);
    if (sources === undefined) return undefined;
    const classes = countClasses(channels, sources);
    if (lead + candidate === wanted) return { axis: wanted, sources };
    if (best === undefined || classes > best.classes) best = { move: { axis: lead + candidate, sources }, classes };
  }
  return best?.move;
}

/** Walks one common period of the two axes in steps in which neither index changes. */
function coOccurrences(channels: number, stride: number, extent: number, extentStride: number): number[][] | undefined {
  const step = greatestCommonDivisor(stride, extentStride);
  const first = (channels * stride) / step;
  const second = (extent * extentStride) / step;
  const period = (first / greatestCommonDivisor(first, second)) * second;
  if (period > LARGEST_WALK) return undefined;
  const sources = Array.from({ length: extent }, () => new Set<number>());
  for (let at = 0; at < period; at++) {
    const channel = Math.floor((at * step) / stride) % channels;
    sources[Math.floor((at * step) / extentStride) % extent]?.add(channel);
  }
  return sources.map((found) => [...found]);
}

function countClasses(channels: number, sources: readonly (readonly number[])[]): number {
  const parent = Array.from({ length: channels }, (_, index) => index);
  const root = (at: number): number => {
    const above = parent[at] ?? at;
    return above === at ? at : (parent[at] = root(above));
  };
  for (const together of sources) for (const channel of together) parent[root(channel)] = root(together[0] ?? channel);
  return new Set(parent.map((_, index) => root(index))).size;
}

function productOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

function greatestCommonDivisor(first: number, second: number): number {
  return second === 0 ? first : greatestCommonDivisor(second, first % second);
}
