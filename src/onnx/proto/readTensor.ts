import { expected } from '../../errors';
import { elementCount, elementSize } from '../elementSize';
import type { DataType, Tensor } from '../ir';
import { dataTypeOfCode } from './dataTypes';
import { TensorProto_DataLocation, type TensorProto } from './generated/onnx_pb';
import { withOrigin } from './origin';

/** Where a tensor's bytes lie outside the model file. `length` is in bytes. */
export interface ExternalReference {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** Gives the bytes of an external tensor when they are first needed. Throws a SieveError when it can not. */
export type ExternalReader = (reference: ExternalReference, tensorName: string) => Uint8Array;

/** External reference of a message, or undefined where the data lies in the message itself. */
export function externalReferenceOf(message: TensorProto): ExternalReference | undefined {
  if (message.dataLocation !== TensorProto_DataLocation.EXTERNAL) return undefined;
  const entries = new Map(message.externalData.map((entry) => [entry.key, entry.value]));
  const dims = readDims(message);
  const size = elementSize(dataTypeOfCode(message.dataType)) ?? 0;
  const numberOf = (key: string, fallback: number) => {
    const text = entries.get(key);
    if (text === undefined || text === '') return fallback;
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < 0)
      throw unreadable(`a whole number of bytes`, `external ${key} of tensor "${message.name}"`, text);
    return value;
  };
  return {
    location: entries.get('location') ?? '',
    offset: numberOf('offset', 0),
    length: numberOf('length', elementCount(dims) * size),
  };
}

export function readTensor(message: TensorProto, readExternal: ExternalReader): Tensor {
  const dataType = dataTypeOfCode(message.dataType);
  const dims = readDims(message);
  const size = elementSize(dataType);
  const subject = `tensor "${message.name}"`;
  const byteLength = size === undefined ? 0 : size * elementCount(dims);
  if (size !== undefined) checkLength(message, dims, byteLength, subject);

  return withOrigin(message, (origin) => ({
    name: message.name,
    dataType,
    dims,
    byteLength,
    bytes: onFirstUse(() => {
      if (size === undefined)
        throw expected(
          'ERR_MODEL_UNSUPPORTED',
          'a tensor of plain numbers',
          subject,
          `element type ${message.dataType}`,
        );
      const external = externalReferenceOf(message);
      if (external !== undefined) return readExternal(external, message.name);
      return message.rawData.length > 0 ? message.rawData : packTypedFields(message, dataType, size);
    }),
    origin,
  }));
}

function readDims(message: TensorProto): number[] {
  return message.dims.map((dim) => {
    const value = Number(dim);
    if (!Number.isSafeInteger(value) || value < 0)
      throw unreadable('non-negative dimensions', `tensor "${message.name}"`, dim);
    return value;
  });
}

function checkLength(message: TensorProto, dims: readonly number[], byteLength: number, subject: string): void {
  if (message.segment !== undefined)
    throw expected('ERR_MODEL_UNSUPPORTED', 'a tensor in one piece', subject, 'a segmented tensor');
  if (!Number.isSafeInteger(byteLength)) throw unreadable('a size that fits in memory', subject, dims);
  const external = externalReferenceOf(message);
  if (external !== undefined) {
    if (external.location === '') throw unreadable('the name of its external data file', subject, '');
    if (external.length !== byteLength)
      throw unreadable(`${byteLength} bytes of external data`, subject, `${external.length} bytes`);
    return;
  }
  if (message.rawData.length > 0) {
    if (message.rawData.length !== byteLength)
      throw unreadable(`${byteLength} bytes`, subject, `${message.rawData.length} bytes`);
    return;
  }
  const count = elementCount(dims);
  const given = typedField(message).length;
  if (given !== count) throw unreadable(`${count} values`, subject, `${given} values`);
}

function typedField(message: TensorProto): readonly (number | bigint)[] {
  switch (dataTypeOfCode(message.dataType)) {
    case 'float32':
      return message.floatData;
    case 'float64':
      return message.doubleData;
    case 'int64':
      return message.int64Data;
    case 'uint32':
    case 'uint64':
      return message.uint64Data;
    default:
      return message.int32Data;
  }
}

/** Typed fields as little-endian elements. Half precision types hold their bit patterns in int32_data. */
function packTypedFields(message: TensorProto, dataType: DataType, size: number): Uint8Array {
  const values = typedField(message);
  const bytes = new Uint8Array(values.length * size);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) => {
    const at = index * size;
    if (dataType === 'float32') view.setFloat32(at, Number(value), true);
    else if (dataType === 'float64') view.setFloat64(at, Number(value), true);
    else if (size === 8) view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    else if (size === 4) view.setUint32(at, Number(BigInt.asUintN(32, BigInt(value))), true);
    else if (size === 2) view.setUint16(at, Number(value) & 0xffff, true);
    else view.setUint8(at, Number(value) & 0xff);
  });
  return bytes;
}

/** Keeps the result reachable only as long as somebody uses it: large weights must be able to leave memory. */
function onFirstUse(read: () => Uint8Array): () => Uint8Array {
  let kept: WeakRef<Uint8Array> | undefined;
  return () => {
    const known = kept?.deref();
    if (known !== undefined) return known;
    const bytes = read();
    kept = new WeakRef(bytes);
    return bytes;
  };
}

function unreadable(what: string, subject: string, received: unknown) {
  return expected('ERR_MODEL_UNREADABLE', what, subject, received, {
    remedy: 'Check that the file is complete and was written by an ONNX exporter.',
  });
}
