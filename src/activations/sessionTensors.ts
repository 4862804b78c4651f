import { Tensor } from 'onnxruntime-node';
import type { TypedTensor } from 'onnxruntime-node';
import { expected, SieveError } from '../errors';
import { narrowToHalves, widenHalves } from './float16';
import type { FeedMessage } from './sessionProtocol';

/** A float32 array as the element type that the model's input declares. Integers are rounded. */
export function toRuntimeTensor({ name, dims, data }: FeedMessage, type: string): Tensor {
  switch (type) {
    case 'float32':
      return new Tensor('float32', data, dims);
    case 'float16':
      return new Tensor('float16', narrowToHalves(data), dims);
    case 'float64':
      return new Tensor('float64', Float64Array.from(data), dims);
    case 'int64':
      return new Tensor('int64', BigInt64Array.from(data, toBigInt), dims);
    case 'uint64':
      return new Tensor('uint64', BigUint64Array.from(data, toBigInt), dims);
    case 'int32':
      return new Tensor('int32', Int32Array.from(data, Math.round), dims);
    case 'uint32':
      return new Tensor('uint32', Uint32Array.from(data, Math.round), dims);
    case 'int16':
      return new Tensor('int16', Int16Array.from(data, Math.round), dims);
    case 'uint16':
      return new Tensor('uint16', Uint16Array.from(data, Math.round), dims);
    case 'int8':
      return new Tensor('int8', Int8Array.from(data, Math.round), dims);
    case 'uint8':
      // Clamped: a normalised value below zero must not wrap around to 255.
      return new Tensor('uint8', Uint8ClampedArray.from(data), dims);
    case 'bool':
      return new Tensor(
        'bool',
        Uint8Array.from(data, (value) => (value === 0 ? 0 : 1)),
        dims,
      );
    default:
      throw expected('ERR_MODEL_UNSUPPORTED', 'an input of numbers', `input "${name}"`, `an input of type ${type}`);
  }
}

export function isNumericType(type: string): boolean {
  return type !== 'string' && type !== 'other' && !type.endsWith('int4');
}

/** Any numeric tensor as float32: wider types lose what float32 cannot hold. */
export function fromRuntimeTensor(name: string, tensor: Tensor): FeedMessage {
  return { name, dims: [...tensor.dims], data: widen(name, tensor) };
}

function widen(name: string, tensor: Tensor): Float32Array {
  const data: TypedTensor<Tensor.Type>['data'] = tensor.data;
  if (!ArrayBuffer.isView(data)) {
    throw new SieveError(
      'ERR_MODEL_UNSUPPORTED',
      `Expected numbers for tensor "${name}" but received ${tensor.type} values`,
      { remedy: 'Ask for other outputs.' },
    );
  }
  if (data instanceof Float32Array) return data;
  if (tensor.type === 'float16') {
    return widenHalves(new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2));
  }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float32Array.from(data, Number);
  return Float32Array.from(data as Iterable<number>);
}

function toBigInt(value: number): bigint {
  return BigInt(Math.round(value));
}
