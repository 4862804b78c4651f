import { clearField, create } from '@bufbuild/protobuf';

import { expected } from '../../errors';
import type { Tensor } from '../ir';
import { codeOfDataType } from './dataTypes';
import { deferData } from './encode';
import {
  StringStringEntryProtoSchema,
  TensorProtoSchema,
  TensorProto_DataLocation,
  type TensorProto,
} from './generated/onnx_pb';
import { shallowCopy, sourceOf } from './origin';

/** Where the data of a tensor is to be written. 'keep': where it is now, inline for new data. */
export type TensorPlacement = (tensor: Tensor) => 'keep' | 'inline' | ExternalPlacement;

export interface ExternalPlacement {
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

/** A message that holds everything, its data too. */
export function buildTensor(tensor: Tensor): TensorProto {
  return build(
    tensor,
    () => 'keep',
    (message, bytes) => {
      message.rawData = bytes();
    },
  );
}

/** A message whose new data is made when `encodeModel` comes to it. */
export function buildInitializer(tensor: Tensor, placement: TensorPlacement = () => 'keep'): TensorProto {
  return build(tensor, placement, (message) => deferData(message, tensor));
}

function build(
  tensor: Tensor,
  placement: TensorPlacement,
  attach: (message: TensorProto, bytes: () => Uint8Array) => void,
): TensorProto {
  const source = sourceOf<TensorProto, Tensor>(tensor.origin);
  const before = source?.snapshot;
  const place = placement(tensor);
  const isExternal = source?.message.dataLocation === TensorProto_DataLocation.EXTERNAL;
  const dataKept = before?.bytes === tensor.bytes && before.dataType === tensor.dataType;
  const keepData = dataKept && (place === 'keep' || (place === 'inline' && !isExternal));
  const dimsKept = before !== undefined && sameDims(before.dims, tensor.dims);
  if (source !== undefined && keepData && dimsKept && before?.name === tensor.name) return source.message;

  const message = source ? shallowCopy(source.message) : create(TensorProtoSchema);
  if (before?.name !== tensor.name) message.name = tensor.name;
  if (!dimsKept) message.dims = tensor.dims.map(BigInt);
  if (before?.dataType !== tensor.dataType) message.dataType = requireCode(tensor);
  if (!keepData) setData(message, tensor, place, attach);
  return message;
}

function requireCode(tensor: Tensor): number {
  const code = codeOfDataType(tensor.dataType);
  if (code === undefined)
    throw expected('ERR_MODEL_UNSUPPORTED', 'a plain element type', `tensor "${tensor.name}"`, tensor.dataType);
  return code;
}

function setData(
  message: TensorProto,
  tensor: Tensor,
  place: 'keep' | 'inline' | ExternalPlacement,
  attach: (message: TensorProto, bytes: () => Uint8Array) => void,
): void {
  message.floatData = [];
  message.doubleData = [];
  message.int32Data = [];
  message.int64Data = [];
  message.uint64Data = [];
  clearField(message, TensorProtoSchema.field.segment);
  if (typeof place === 'object') {
    clearField(message, TensorProtoSchema.field.rawData);
    message.dataLocation = TensorProto_DataLocation.EXTERNAL;
    message.externalData = [
      create(StringStringEntryProtoSchema, { key: 'location', value: place.location }),
      create(StringStringEntryProtoSchema, { key: 'offset', value: String(place.offset) }),
      create(StringStringEntryProtoSchema, { key: 'length', value: String(place.length) }),
    ];
    return;
  }
  clearField(message, TensorProtoSchema.field.rawData);
  attach(message, tensor.bytes);
  message.externalData = [];
  clearField(message, TensorProtoSchema.field.dataLocation);
}

function sameDims(left: readonly number[], right: readonly number[]): boolean {
  return left.length === right.length && left.every((dim, axis) => dim === right[axis]);
}
