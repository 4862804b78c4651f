import { clearField, create } from '@bufbuild/protobuf';

import { expected } from '../../errors';
import type { Attribute, Graph } from '../ir';
import { buildTensor } from './buildTensor';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as Kind,
  type AttributeProto,
  type GraphProto,
} from './generated/onnx_pb';
import { shallowCopy, sourceOf } from './origin';
import { messageOfAttribute } from './parse';

/** `before` is the attribute of that name in the source node: its doc string and unknown fields are kept. */
export function buildAttribute(
  name: string,
  attribute: Attribute,
  before: AttributeProto | undefined,
  buildSubgraph: (graph: Graph) => GraphProto,
): AttributeProto {
  const own = messageOfAttribute(attribute);
  if (own?.name === name) return own;
  const message = before ? shallowCopy(before) : create(AttributeProtoSchema);
  message.name = name;
  for (const field of VALUE_FIELDS) clearField(message, field);
  const utf8 = new TextEncoder();
  switch (attribute.kind) {
    case 'float':
      message.type = Kind.FLOAT;
      message.f = attribute.value;
      break;
    case 'int':
      message.type = Kind.INT;
      message.i = toInt64(attribute.value, name);
      break;
    case 'string':
      message.type = Kind.STRING;
      message.s = utf8.encode(attribute.value);
      break;
    case 'tensor':
      message.type = Kind.TENSOR;
      message.t = buildTensor(attribute.value);
      break;
    case 'floats':
      message.type = Kind.FLOATS;
      message.floats = [...attribute.value];
      break;
    case 'ints':
      message.type = Kind.INTS;
      message.ints = attribute.value.map((value) => toInt64(value, name));
      break;
    case 'strings':
      message.type = Kind.STRINGS;
      message.strings = attribute.value.map((value) => utf8.encode(value));
      break;
    case 'graph':
      message.type = Kind.GRAPH;
      message.g = buildSubgraph(attribute.value);
      break;
    case 'opaque': {
      const source = sourceOf<AttributeProto, Attribute>(attribute.origin);
      if (source === undefined)
        throw expected('ERR_MODEL_UNSUPPORTED', 'an attribute read from a file', `attribute "${name}"`, attribute.type);
      const copy = shallowCopy(source.message);
      copy.name = name;
      return copy;
    }
  }
  return message;
}

const field = AttributeProtoSchema.field;
const VALUE_FIELDS = [
  field.f,
  field.i,
  field.s,
  field.t,
  field.g,
  field.tp,
  field.sparseTensor,
  field.floats,
  field.ints,
  field.strings,
  field.tensors,
  field.graphs,
  field.typeProtos,
  field.sparseTensors,
  field.refAttrName,
];

/** Numbers above 2^63 − 1 come from reading INT64_MAX ("to the end"), which a double can not hold exactly. */
function toInt64(value: number, name: string): bigint {
  if (Number.isNaN(value) || (Number.isFinite(value) && !Number.isInteger(value)))
    throw expected('ERR_SHAPE', 'a whole number', `attribute "${name}"`, value);
  if (value >= 2 ** 63) return 2n ** 63n - 1n;
  if (value <= -(2 ** 63)) return -(2n ** 63n);
  return BigInt(value);
}
