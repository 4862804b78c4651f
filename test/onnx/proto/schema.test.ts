import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { ScalarType, type DescEnum, type DescField, type DescMessage } from '@bufbuild/protobuf';

import { file_onnx } from '../../../src/onnx/proto/generated/onnx_pb';
import { hasPython, runPython } from '../../support/python';

/**
 * The schema is written from the standard's field numbers, so it is compared with an independent copy: the one in
 * Debian's python3-onnx. That one is older; what it does not have is compared with nothing here and listed below.
 */
interface Field {
  readonly number: number;
  readonly type: string;
  readonly repeated: boolean;
}
type Schema = Record<string, Record<string, Field>>;

const SCRIPT = `
import json
from onnx import onnx_ml_pb2
from google.protobuf.descriptor import FieldDescriptor as F
names = {getattr(F, n): n[5:].lower() for n in dir(F) if n.startswith('TYPE_')}
messages, enums = {}, {}
def visit(message):
    messages[message.full_name] = {f.name: {
        'number': f.number,
        'type': f.message_type.full_name if f.message_type else f.enum_type.full_name if f.enum_type else names[f.type],
        'repeated': f.label == F.LABEL_REPEATED} for f in message.fields}
    for e in message.enum_types: enums[e.full_name] = {v.name: v.number for v in e.values}
    for m in message.nested_types: visit(m)
for m in onnx_ml_pb2.DESCRIPTOR.message_types_by_name.values(): visit(m)
print(json.dumps({'messages': messages, 'enums': enums}))
`;

function ownMessages(): Schema {
  const schema: Schema = {};
  const visit = (message: DescMessage) => {
    schema[message.typeName] = Object.fromEntries(message.fields.map((field) => [field.name, describeField(field)]));
    message.nestedMessages.forEach(visit);
  };
  file_onnx.messages.forEach(visit);
  return schema;
}

function describeField(field: DescField): Field {
  const scalar = field.scalar === undefined ? undefined : ScalarType[field.scalar].toLowerCase();
  const type = field.message?.typeName ?? field.enum?.typeName ?? scalar ?? 'unknown';
  return { number: field.number, type, repeated: field.fieldKind === 'list' };
}

function ownEnums(): Record<string, Record<string, number>> {
  const enums: DescEnum[] = [...file_onnx.enums];
  const visit = (message: DescMessage) => {
    enums.push(...message.nestedEnums);
    message.nestedMessages.forEach(visit);
  };
  file_onnx.messages.forEach(visit);
  return Object.fromEntries(
    enums.map((entry) => [
      entry.typeName,
      Object.fromEntries(entry.values.map((value) => [value.name, value.number] as const)),
    ]),
  );
}

test('every message, field number, type and enum value agrees with python3-onnx', () => {
  if (!hasPython('onnx')) return;
  const reference = runPython(SCRIPT) as { messages: Schema; enums: Record<string, Record<string, number>> };
  const own = ownMessages();
  expect(Object.keys(reference.messages).length).toBeGreaterThan(20);
  for (const [message, fields] of Object.entries(reference.messages)) {
    expect({ message, fields: own[message] }).toMatchObject({ message, fields });
  }
  const enums = ownEnums();
  for (const name of [
    'onnx.TensorProto.DataType',
    'onnx.TensorProto.DataLocation',
    'onnx.AttributeProto.AttributeType',
  ])
    expect(enums[name]).toMatchObject(reference.enums[name] ?? { missing: 0 });
});

test('fields newer than that copy have the numbers of the standard', () => {
  const number = (message: string, field: string) => ownMessages()[message]?.[field]?.number;
  expect(number('onnx.NodeProto', 'overload')).toBe(8);
  expect(number('onnx.NodeProto', 'metadata_props')).toBe(9);
  expect(number('onnx.NodeProto', 'device_configurations')).toBe(10);
  expect(number('onnx.ValueInfoProto', 'metadata_props')).toBe(4);
  expect(number('onnx.GraphProto', 'metadata_props')).toBe(16);
  expect(number('onnx.TensorProto', 'metadata_props')).toBe(16);
  expect(number('onnx.FunctionProto', 'attribute_proto')).toBe(11);
  expect(number('onnx.FunctionProto', 'value_info')).toBe(12);
  expect(number('onnx.FunctionProto', 'overload')).toBe(13);
  expect(number('onnx.FunctionProto', 'metadata_props')).toBe(14);
  expect(number('onnx.ModelProto', 'configuration')).toBe(26);
});

test('no two fields of a message share a number, and repeated numbers are packed as the standard says', () => {
  for (const [message, fields] of Object.entries(ownMessages())) {
    const numbers = Object.values(fields).map((field) => field.number);
    expect({ message, distinct: new Set(numbers).size }).toEqual({ message, distinct: numbers.length });
  }
  const source = readFileSync(join(__dirname, '../../../src/onnx/proto/onnx.proto'), 'utf8');
  expect(source.match(/packed = true/g)).toHaveLength(5);
});

test('the committed TypeScript is what the schema gives', () => {
  const script = join(__dirname, '../../../scripts/generate.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
