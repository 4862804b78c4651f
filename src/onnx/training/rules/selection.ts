import { intAttribute, stringAttribute } from '../../attributes';
import { expected } from '../../../errors';
import { elementCount } from '../../elementSize';
import { normalizeAxis } from '../../shapes/dimensions';
import { normalizeSlice, type AxisSlice } from '../../shapes/slice';
import type { GraphBuilder, Value } from '../graphBuilder';
import { concat, expand, matMul, mul, padZeros, reshape, slice } from '../operations';
import type { GradientRule, GradientRules, RuleScope } from '../rule';
import { shapeContext } from './shapeContext';

/** From here on a run of elements is copied faster than it is found among zeros by a product. */
const LEAST_COPIED_RUN = 16;

function range(start: number, step: number, count: number): number[] {
  return Array.from({ length: count }, (_, position) => start + position * step);
}

/** Elements `positions` along the axis. */
function take(build: GraphBuilder, value: Value, axis: number, positions: readonly number[]): Value {
  const [start = 0, second = start + 1] = positions;
  const step = second - start;
  const isRegular = step !== 0 && positions.every((position, index) => position === start + step * index);
  if (!isRegular) return build.emit('Gather', [value, build.integers(positions)], { axis })[0]!;
  const end = start + step * positions.length;
  // An end before the first element is named so that it is not counted from behind.
  return slice(build, value, axis, start, end < 0 ? -(2 ** 31) : end, step);
}

/** The adjoint of `take`: zeros of `length` along the axis, to which element k of `value` is added at `positions[k]`. */
export function putBack(
  build: GraphBuilder,
  value: Value,
  axis: number,
  positions: readonly number[],
  length: number,
): Value {
  const count = positions.length;
  const [start = 0] = positions;
  if (positions.every((position, index) => position === start + index)) {
    const pads = (size: number) => value.dims.map((_, at) => (at === axis ? size : 0));
    return padZeros(build, value, [...pads(start), ...pads(length - start - count)]);
  }
  const inner = elementCount(value.dims.slice(axis + 1));
  const isOnce = new Set(positions).size === count;
  return isOnce && inner >= LEAST_COPIED_RUN
    ? take(build, withZero(build, value, axis, count < length), axis, range(0, 1, length).map(sourceOf(positions)))
    : addByProduct(build, value, axis, positions, length);
}

/** Where each element comes from; from behind the last where from none. */
function sourceOf(positions: readonly number[]): (at: number) => number {
  const sources = new Map(positions.map((position, source) => [position, source]));
  return (at) => sources.get(at) ?? positions.length;
}

function withZero(build: GraphBuilder, value: Value, axis: number, isWanted: boolean): Value {
  if (!isWanted) return value;
  const dims = value.dims.map((size, at) => (at === axis ? 1 : size));
  return concat(
    build,
    [
      value,
      expand(
        build,
        build.constant(
          [0],
          dims.map(() => 1),
        ),
        dims,
      ),
    ],
    axis,
  );
}

/** Product with a matrix of zeros and ones. */
function addByProduct(
  build: GraphBuilder,
  value: Value,
  axis: number,
  positions: readonly number[],
  length: number,
): Value {
  const count = positions.length;
  const outer = elementCount(value.dims.slice(0, axis));
  const inner = elementCount(value.dims.slice(axis + 1));
  const isLast = inner === 1;
  const ones = new Float32Array(length * count);
  for (const [source, position] of positions.entries())
    ones[isLast ? source * length + position : position * count + source] = 1;
  const result = isLast
    ? matMul(build, reshape(build, value, [outer, count]), build.constant(ones, [count, length]))
    : matMul(build, build.constant(ones, [length, count]), reshape(build, value, [outer, count, inner]));
  return reshape(
    build,
    result,
    value.dims.map((size, at) => (at === axis ? length : size)),
  );
}

/** What is taken along each axis that is not taken whole. */
type Taken = ReadonlyMap<number, readonly number[]>;

function selection({ build, required, needsGradient }: RuleScope, taken: Taken) {
  const input = required(0);
  const output = [...taken].reduce((value, [axis, positions]) => take(build, value, axis, positions), input);
  return {
    outputs: [output],
    backward: ([gradient]: readonly (Value | undefined)[]) => [
      needsGradient[0] === true && gradient !== undefined
        ? [...taken].reduce(
            (value, [axis, positions]) => putBack(build, value, axis, positions, input.dims[axis]!),
            gradient,
          )
        : undefined,
    ],
  };
}

const slicing: GradientRule = (scope) => {
  const { build, required, needsGradient } = scope;
  const input = required(0);
  const taken = normalizeSlice(shapeContext(scope), input.dims) as readonly AxisSlice[];
  const partial = taken.flatMap(({ start, step, count }, axis) =>
    start === 0 && step === 1 && count === input.dims[axis] ? [] : [{ axis, start, step, count }],
  );
  // An end before the first element is named so that it is not counted from behind.
  const ends = partial.map(({ start, step, count }) => (start + step * count < 0 ? -(2 ** 31) : start + step * count));
  const bounds = [partial.map(({ start }) => start), ends, partial.map(({ axis }) => axis)];
  const operands = [...bounds, partial.map(({ step }) => step)].map((numbers) => build.integers(numbers));
  return {
    outputs: partial.length === 0 ? [input] : build.emit('Slice', [input, ...operands]),
    backward([gradient]) {
      if (gradient === undefined || needsGradient[0] !== true) return [];
      const isSpatialStride = ({ axis, step }: (typeof partial)[number]) => axis >= 2 && step > 1;
      const strided = partial.filter(isSpatialStride);
      const spread = strided.length === 0 ? gradient : spreadOverStrides(build, gradient, strided, input.dims);
      return [
        partial
          .filter((part) => !isSpatialStride(part))
          .reduce(
            (value, { axis, start, step, count }) =>
              putBack(build, value, axis, range(start, step, count), input.dims[axis]!),
            spread,
          ),
      ];
    },
  };
};

/**
 * Each element at the first site of its stride and zeros at the others: a Resize and a mask, 1.7 ms more than a copy of the
 * gradient at [128,16,32,32] every second row and column, where products with 0/1 matrices take 3 and a Pad of inner axes 7.5.
 */
function spreadOverStrides(
  build: GraphBuilder,
  gradient: Value,
  strides: readonly { readonly axis: number; readonly start: number; readonly step: number }[],
  dims: readonly number[],
): Value {
  const strideOf = (axis: number) => strides.find((stride) => stride.axis === axis)?.step ?? 1;
  const sizes = gradient.dims.map((size, axis) => size * strideOf(axis));
  const nearest = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  const repeated = build.emit('Resize', [gradient, undefined, undefined, build.integers(sizes)], nearest)[0]!;
  const masked = strides.reduce((value, { axis, step }) => {
    const mask = Float32Array.from({ length: sizes[axis]! }, (_, site) => (site % step === 0 ? 1 : 0));
    return mul(build, value, build.constant(mask, [sizes[axis]!, ...sizes.slice(axis + 1).map(() => 1)]));
  }, repeated);
  return strides.reduce((value, { axis, start }) => {
    const length = Math.min(sizes[axis]!, dims[axis]! - start);
    return putBack(build, slice(build, value, axis, 0, length), axis, range(start, 1, length), dims[axis]!);
  }, masked);
}

const gathering: GradientRule = (scope) => {
  const { build, node, required, numbers, outputDims } = scope;
  const { dims } = required(0);
  const axis = normalizeAxis(intAttribute(node, 'axis', 0), dims.length) ?? 0;
  const positions = numbers(1).map((position) => (position < 0 ? position + dims[axis]! : position));
  const along = [...dims.slice(0, axis), positions.length, ...dims.slice(axis + 1)];
  const { outputs, backward } = selection(scope, new Map([[axis, positions]]));
  return {
    outputs: [reshape(build, outputs[0]!, outputDims[0]!)],
    backward: ([gradient]) => backward([gradient && reshape(build, gradient, along)]),
  };
};

/** Nearest neighbours: every axis by itself is a choice of positions. */
const resizing: GradientRule = (scope) => {
  const { node, opset, required, outputDims } = scope;
  const { dims } = required(0);
  const refuse = (what: string, received: unknown) =>
    expected('ERR_MODEL_UNSUPPORTED', what, `${node.opType} node "${node.key}" in training`, received);
  const mode = stringAttribute(node, 'mode', 'nearest');
  if (mode !== 'nearest') throw refuse('mode nearest', mode);
  const isOld = node.opType === 'Upsample' || opset < 11;
  const coordinates = stringAttribute(node, 'coordinate_transformation_mode', isOld ? 'asymmetric' : 'half_pixel');
  const isCentred = coordinates === 'half_pixel' || coordinates === 'pytorch_half_pixel';
  if (!isCentred && coordinates !== 'asymmetric') throw refuse('coordinates asymmetric or half_pixel', coordinates);
  const taken = dims.flatMap((size, axis): [number, number[]][] => {
    const length = outputDims[0]![axis]!;
    if (length === size) return [];
    const factor = length / size;
    if (!Number.isInteger(factor)) throw refuse('sizes that are multiples', `${size} becoming ${length}`);
    if (!isCentred && !isOld && stringAttribute(node, 'nearest_mode', 'round_prefer_floor') !== 'floor')
      throw refuse('nearest_mode floor with asymmetric coordinates', stringAttribute(node, 'nearest_mode'));
    return [[axis, Array.from({ length }, (_, position) => Math.floor(position / factor))]];
  });
  return selection(scope, new Map(taken));
};

export const SELECTION_RULES: GradientRules = {
  Slice: slicing,
  Gather: gathering,
  Resize: resizing,
  Upsample: resizing,
};
