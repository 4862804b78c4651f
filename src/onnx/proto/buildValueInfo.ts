import { create } from '@bufbuild/protobuf';

import type { Dimension, ValueInfo } from '../ir';
import { codeOfDataType } from './dataTypes';
import {
  TensorShapeProtoSchema,
  TensorShapeProto_DimensionSchema,
  TypeProtoSchema,
  TypeProto_TensorSchema,
  ValueInfoProtoSchema,
  type TensorShapeProto,
  type TensorShapeProto_Dimension,
  type TypeProto,
  type TypeProto_Tensor,
  type ValueInfoProto,
} from './generated/onnx_pb';
import { shallowCopy, sourceOf } from './origin';

export function buildValueInfo(info: ValueInfo): ValueInfoProto {
  const source = sourceOf<ValueInfoProto, ValueInfo>(info.origin);
  const before = source?.snapshot;
  const typeKept = before?.dataType === info.dataType && sameShape(before.shape, info.shape);
  if (source !== undefined && typeKept && before?.name === info.name) return source.message;

  const message = source ? shallowCopy(source.message) : create(ValueInfoProtoSchema);
  if (before?.name !== info.name) message.name = info.name;
  if (!typeKept) message.type = buildType(info, source?.message.type);
  return message;
}

function buildType(info: ValueInfo, before: TypeProto | undefined): TypeProto | undefined {
  const tensorBefore = before?.value.case === 'tensorType' ? before.value.value : undefined;
  const code = codeOfDataType(info.dataType) ?? tensorBefore?.elemType;
  if (code === undefined) return before; // neither a known type nor a shape: nothing to state
  const tensor: TypeProto_Tensor = tensorBefore ? shallowCopy(tensorBefore) : create(TypeProto_TensorSchema);
  tensor.elemType = code;
  tensor.shape = buildShape(info.shape, tensorBefore?.shape);
  const type = before ? shallowCopy(before) : create(TypeProtoSchema);
  type.value = { case: 'tensorType', value: tensor };
  return type;
}

function buildShape(shape: ValueInfo['shape'], before: TensorShapeProto | undefined): TensorShapeProto | undefined {
  if (shape === undefined) return undefined;
  const message = before ? shallowCopy(before) : create(TensorShapeProtoSchema);
  message.dim = shape.map((dimension, axis) => buildDimension(dimension, before?.dim[axis]));
  return message;
}

function buildDimension(
  dimension: Dimension,
  before: TensorShapeProto_Dimension | undefined,
): TensorShapeProto_Dimension {
  const message = before ? shallowCopy(before) : create(TensorShapeProto_DimensionSchema);
  if (typeof dimension === 'number') message.value = { case: 'dimValue', value: BigInt(dimension) };
  else if (typeof dimension === 'string') message.value = { case: 'dimParam', value: dimension };
  else message.value = { case: undefined };
  return message;
}

function sameShape(left: ValueInfo['shape'], right: ValueInfo['shape']): boolean {
  if (left === undefined || right === undefined) return left === right;
  return left.length === right.length && left.every((dimension, axis) => dimension === right[axis]);
}
