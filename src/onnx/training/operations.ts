/** Short names for the operators that gradients are written with. Each writes one node (or none, or a few). */
import type { DataType } from '../ir';
import { elementType, type GraphBuilder, type Value } from './graphBuilder';

function one(values: readonly Value[]): Value {
  return values[0]!;
}

export const add = (build: GraphBuilder, a: Value, b: Value): Value => one(build.emit('Add', [a, b]));
export const sub = (build: GraphBuilder, a: Value, b: Value): Value => one(build.emit('Sub', [a, b]));
export const mul = (build: GraphBuilder, a: Value, b: Value): Value => one(build.emit('Mul', [a, b]));
export const div = (build: GraphBuilder, a: Value, b: Value): Value => one(build.emit('Div', [a, b]));
export const neg = (build: GraphBuilder, a: Value): Value => one(build.emit('Neg', [a]));
export const exp = (build: GraphBuilder, a: Value): Value => one(build.emit('Exp', [a]));
export const log = (build: GraphBuilder, a: Value): Value => one(build.emit('Log', [a]));
export const sqrt = (build: GraphBuilder, a: Value): Value => one(build.emit('Sqrt', [a]));
export const abs = (build: GraphBuilder, a: Value): Value => one(build.emit('Abs', [a]));
export const sigmoid = (build: GraphBuilder, a: Value): Value => one(build.emit('Sigmoid', [a]));
export const tanh = (build: GraphBuilder, a: Value): Value => one(build.emit('Tanh', [a]));
export const relu = (build: GraphBuilder, a: Value): Value => one(build.emit('Relu', [a]));
export const reciprocal = (build: GraphBuilder, a: Value): Value => one(build.emit('Reciprocal', [a]));
export const matMul = (build: GraphBuilder, a: Value, b: Value): Value => one(build.emit('MatMul', [a, b]));

export function scalar(build: GraphBuilder, value: number): Value {
  return build.constant([value], []);
}

export function shift(build: GraphBuilder, a: Value, by: number): Value {
  return by === 0 ? a : add(build, a, scalar(build, by));
}

/** value − a. */
export function subFrom(build: GraphBuilder, value: number, a: Value): Value {
  return sub(build, scalar(build, value), a);
}

export function scale(build: GraphBuilder, a: Value, factor: number): Value {
  return factor === 1 ? a : mul(build, a, scalar(build, factor));
}

export function cast(build: GraphBuilder, a: Value, to: DataType): Value {
  return a.dataType === to ? a : one(build.emit('Cast', [a], { to: elementType(to) }, { dataTypes: [to] }));
}

/** a > b (or equal to it, or less) at each element, as booleans. */
export function compare(build: GraphBuilder, operator: 'Greater' | 'Less' | 'Equal', a: Value, b: Value): Value {
  return one(build.emit(operator, [a, b], {}, { dataTypes: ['bool'] }));
}

/** 1 where a > b, else 0, as floats. */
export function greater(build: GraphBuilder, a: Value, b: Value): Value {
  return cast(build, compare(build, 'Greater', a, b), 'float32');
}

/** `a` where the condition holds, else `b`. On the CPU slower than a product with 0 and 1. */
export function where(build: GraphBuilder, condition: Value, a: Value, b: Value): Value {
  return one(build.emit('Where', [condition, a, b], {}, { dataTypes: [a.dataType] }));
}

/** 1 where a = b, else 0, as floats. */
export function isEqual(build: GraphBuilder, a: Value, b: Value): Value {
  return cast(build, one(build.emit('Equal', [a, b], {}, { dataTypes: ['bool'] })), 'float32');
}

export function reshape(build: GraphBuilder, a: Value, dims: readonly number[]): Value {
  return sameDims(a.dims, dims) ? a : one(build.emit('Reshape', [a, build.integers(dims)]));
}

/** Axis k of the result is axis `permutation[k]` of `a`. */
export function transpose(build: GraphBuilder, a: Value, permutation: readonly number[]): Value {
  return permutation.every((axis, index) => axis === index)
    ? a
    : one(build.emit('Transpose', [a], { perm: permutation }));
}

/** Sum over axes; none given: `a` itself. */
export function reduceSum(build: GraphBuilder, a: Value, axes: readonly number[], keepDims: boolean): Value {
  if (axes.length === 0) return a;
  return one(build.emit('ReduceSum', [a, build.integers(axes)], { keepdims: keepDims ? 1 : 0 }));
}

export function reduceMean(build: GraphBuilder, a: Value, axes: readonly number[], keepDims: boolean): Value {
  return one(build.emit('ReduceMean', [a], { axes, keepdims: keepDims ? 1 : 0 }));
}

export function reduceMax(build: GraphBuilder, a: Value, axes: readonly number[], keepDims: boolean): Value {
  return one(build.emit('ReduceMax', [a], { axes, keepdims: keepDims ? 1 : 0 }));
}

export function concat(build: GraphBuilder, parts: readonly Value[], axis: number): Value {
  return parts.length === 1 ? parts[0]! : one(build.emit('Concat', parts, { axis }));
}

/** Elements `start` to `end` (not included) along one axis. */
export function slice(build: GraphBuilder, a: Value, axis: number, start: number, end: number, step = 1): Value {
  if (start === 0 && end === a.dims[axis] && step === 1) return a;
  return one(build.emit('Slice', [a, ...[[start], [end], [axis], [step]].map((numbers) => build.integers(numbers))]));
}

/** Zeros around: `pads` as in ONNX, the begins of all axes and then their ends. */
export function padZeros(build: GraphBuilder, a: Value, pads: readonly number[]): Value {
  return pads.every((pad) => pad === 0) ? a : one(build.emit('Pad', [a, build.integers(pads)]));
}

export function expand(build: GraphBuilder, a: Value, dims: readonly number[]): Value {
  return sameDims(a.dims, dims) ? a : one(build.emit('Expand', [a, build.integers(dims)]));
}

/** What a gradient of a broadcast result adds up to for an operand of shape `dims`. */
export function sumTo(build: GraphBuilder, gradient: Value, dims: readonly number[]): Value {
  const lead = gradient.dims.length - dims.length;
  const axes = gradient.dims.flatMap((size, axis) => {
    const own = axis < lead ? 1 : dims[axis - lead];
    return own === 1 && size !== 1 ? [axis] : [];
  });
  return reshape(build, reduceSum(build, gradient, axes, true), dims);
}

export function sameDims(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}
