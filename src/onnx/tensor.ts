import { expected } from '../errors';
import { decodeHalf, encodeHalf } from './halfPrecision';
import { elementCount, elementSize } from './elementSize';
import type { DataType, Tensor } from './ir';

const FLOAT_TYPES: ReadonlySet<DataType> = new Set(['float32', 'float16', 'bfloat16', 'float64']);
const INTEGER_TYPES: ReadonlySet<DataType> = new Set([
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'uint32',
  'uint64',
  'bool',
]);

export function isFloatType(dataType: DataType): boolean {
  return FLOAT_TYPES.has(dataType);
}

export function isIntegerType(dataType: DataType): boolean {
  return INTEGER_TYPES.has(dataType);
}

/**
 * The elements of a float tensor (float32, float16, bfloat16, float64), row-major, as a fresh Float32Array.
 * ERR_MODEL_UNSUPPORTED for any other element type.
 */
export function tensorToFloat32(tensor: Tensor): Float32Array {
  if (!isFloatType(tensor.dataType)) throw wrongType('floating-point elements', tensor);
  const bytes = aligned(tensor);
  switch (tensor.dataType) {
    case 'float32':
      return new Float32Array(bytes.buffer);
    case 'float64':
      return Float32Array.from(new Float64Array(bytes.buffer));
    default:
      return decodeHalf(new Uint16Array(bytes.buffer), tensor.dataType as 'float16' | 'bfloat16');
  }
}

/**
 * The elements of an integer, bool or float tensor as numbers. 64-bit values beyond ±2^53 come out rounded
 * (INT64_MAX, which means "to the end" in Slice, stays larger than any size).
 */
export function tensorToNumbers(tensor: Tensor): number[] {
  if (isFloatType(tensor.dataType)) return Array.from(tensorToFloat32(tensor));
  if (!isIntegerType(tensor.dataType)) throw wrongType('numbers', tensor);
  const { buffer } = aligned(tensor);
  switch (tensor.dataType) {
    case 'int64':
      return Array.from(new BigInt64Array(buffer), Number);
    case 'uint64':
      return Array.from(new BigUint64Array(buffer), Number);
    case 'int32':
      return Array.from(new Int32Array(buffer));
    case 'uint32':
      return Array.from(new Uint32Array(buffer));
    case 'int16':
      return Array.from(new Int16Array(buffer));
    case 'uint16':
      return Array.from(new Uint16Array(buffer));
    case 'int8':
      return Array.from(new Int8Array(buffer));
    default:
      return Array.from(new Uint8Array(buffer));
  }
}

/**
 * A tensor with new values. With `like` its element type is kept (values are rounded to nearest even in half
 * precision), and so is everything else its message carries; without, it is a plain float32 tensor.
 * `data` is copied. ERR_SHAPE when its length is not the product of `dims`.
 */
export function float32Tensor(name: string, dims: readonly number[], data: ArrayLike<number>, like?: Tensor): Tensor {
  const count = elementCount(dims);
  if (data.length !== count)
    throw expected(
      'ERR_SHAPE',
      `${count} values of shape [${dims.join(', ')}]`,
      `tensor "${name}"`,
      `${data.length} values`,
    );
  const dataType = like?.dataType ?? 'float32';
  if (like !== undefined && !isFloatType(dataType)) throw wrongType('floating-point elements', like);
  return fromTypedArray(name, dims, dataType, encodeFloats(data, dataType), like);
}

function encodeFloats(data: ArrayLike<number>, dataType: DataType): ArrayBufferView {
  if (dataType === 'float64') return Float64Array.from(data);
  if (dataType === 'float16' || dataType === 'bfloat16') return encodeHalf(data, dataType);
  return Float32Array.from(data);
}

/** A vector, or with empty `dims` a scalar, of int64 values. */
export function int64Tensor(name: string, dims: readonly number[], values: readonly number[], like?: Tensor): Tensor {
  if (values.length !== elementCount(dims))
    throw expected('ERR_SHAPE', `${elementCount(dims)} values`, `tensor "${name}"`, `${values.length} values`);
  return fromTypedArray(name, dims, 'int64', BigInt64Array.from(values, BigInt), like);
}

/** A tensor from raw little-endian row-major bytes, which are kept, not copied. */
export function rawTensor(
  name: string,
  dims: readonly number[],
  dataType: DataType,
  bytes: Uint8Array,
  like?: Tensor,
): Tensor {
  const byteLength = elementCount(dims) * requireSize(dataType, name);
  if (bytes.length !== byteLength)
    throw expected('ERR_SHAPE', `${byteLength} bytes`, `tensor "${name}"`, `${bytes.length} bytes`);
  return { name, dataType, dims, byteLength, bytes: () => bytes, origin: like?.origin };
}

/** How a computed tensor comes to its bytes: by filling an array of the right length, or by making one. */
export type Computation = { readonly like?: Tensor } & (
  { readonly copyTo: (target: Uint8Array) => void } | { readonly bytes: () => Uint8Array }
);

/** A tensor whose bytes are made each time they are asked for: nothing is held but what they are made from. */
export function computedTensor(
  name: string,
  dims: readonly number[],
  dataType: DataType,
  computation: Computation,
): Tensor {
  const byteLength = elementCount(dims) * requireSize(dataType, name);
  const origin = computation.like?.origin;
  if ('bytes' in computation) return { name, dataType, dims, byteLength, bytes: computation.bytes, origin };
  const { copyTo } = computation;
  const bytes = (): Uint8Array => {
    const target = new Uint8Array(byteLength);
    copyTo(target);
    return target;
  };
  return { name, dataType, dims, byteLength, bytes, copyTo, origin };
}

/** Puts the bytes of a tensor into `target`, which must be as long. ERR_SHAPE where they are not as many as its dims say. */
export function copyTensor(tensor: Tensor, target: Uint8Array): void {
  if (tensor.copyTo !== undefined) return tensor.copyTo(target);
  const bytes = tensor.bytes();
  if (bytes.length !== target.length)
    throw expected('ERR_SHAPE', `${target.length} bytes`, `tensor "${tensor.name}"`, `${bytes.length} bytes`);
  target.set(bytes);
}

/** Bytes of one element. ERR_MODEL_UNSUPPORTED for strings and 'other'. */
export function elementSizeOf(tensor: Tensor): number {
  return requireSize(tensor.dataType, tensor.name);
}

/** Axes reordered: axis k of the result is axis `permutation[k]` of the tensor. Any element type; bytes are moved when asked for. */
export function transposeTensor(tensor: Tensor, permutation: readonly number[], name = tensor.name): Tensor {
  const dims = permutation.map((axis) => tensor.dims[axis] ?? 1);
  const size = requireSize(tensor.dataType, tensor.name);
  const strides = permutation.map((axis) => elementCount(tensor.dims.slice(axis + 1)));
  const permute = (): Uint8Array => {
    const { buffer } = aligned(tensor);
    const bytes = new Uint8Array(buffer.byteLength);
    if (size === 1) permuteInto(bytes, new Uint8Array(buffer), dims, strides);
    else if (size === 2) permuteInto(new Uint16Array(bytes.buffer), new Uint16Array(buffer), dims, strides);
    else if (size === 4) permuteInto(new Uint32Array(bytes.buffer), new Uint32Array(buffer), dims, strides);
    else permuteInto(new BigUint64Array(bytes.buffer), new BigUint64Array(buffer), dims, strides);
    return bytes;
  };
  return computedTensor(name, dims, tensor.dataType, { bytes: permute });
}

/** Walks the result in order; `strides` are the source's, one for each axis of the result. */
function permuteInto<T>(
  result: { [index: number]: T; readonly length: number },
  source: ArrayLike<T>,
  dims: readonly number[],
  strides: readonly number[],
): void {
  const position = new Array<number>(dims.length).fill(0);
  let from = 0;
  for (let to = 0; to < result.length; to += 1) {
    const element = source[from];
    if (element !== undefined) result[to] = element;
    for (let axis = dims.length - 1; axis >= 0; axis -= 1) {
      const stride = strides[axis] ?? 0;
      const next = (position[axis] ?? 0) + 1;
      if (next < (dims[axis] ?? 1)) {
        position[axis] = next;
        from += stride;
        break;
      }
      from -= (next - 1) * stride;
      position[axis] = 0;
    }
  }
}

function fromTypedArray(
  name: string,
  dims: readonly number[],
  dataType: DataType,
  values: ArrayBufferView,
  like: Tensor | undefined,
): Tensor {
  return rawTensor(name, dims, dataType, new Uint8Array(values.buffer, values.byteOffset, values.byteLength), like);
}

function requireSize(dataType: DataType, name: string): number {
  const size = elementSize(dataType);
  if (size === undefined) throw expected('ERR_MODEL_UNSUPPORTED', 'a plain element type', `tensor "${name}"`, dataType);
  return size;
}

/** A private copy of the bytes: raw data inside a file is rarely aligned to its element size. */
function aligned(tensor: Tensor): { readonly buffer: ArrayBuffer } {
  const bytes = tensor.bytes();
  const copy = new ArrayBuffer(bytes.length);
  new Uint8Array(copy).set(bytes);
  return { buffer: copy };
}

function wrongType(what: string, tensor: Tensor) {
  return expected('ERR_MODEL_UNSUPPORTED', what, `tensor "${tensor.name}"`, tensor.dataType);
}
