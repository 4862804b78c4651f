import { fromBinary, isFieldSet } from '@bufbuild/protobuf';

import { expected, isSieveError } from '../../errors';
import type { Attribute, Dimension, Graph, Model, Node, Shape, Tensor, ValueInfo } from '../ir';
import { subgraphReferences } from '../subgraphs';
import { dataTypeOfCode } from './dataTypes';
import {
  AttributeProto_AttributeType as Kind,
  ModelProtoSchema,
  AttributeProtoSchema,
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TypeProto,
  type ValueInfoProto,
} from './generated/onnx_pb';
import { withOrigin } from './origin';
import { readTensor, type ExternalReader } from './readTensor';

/** The bytes a model was parsed from: what is written when nothing was changed. */
const sourceBytes = new WeakMap<ModelProto, Uint8Array>();
/** Attributes are small values without an origin of their own; this finds the message of one that was kept. */
const attributeMessages = new WeakMap<Attribute, AttributeProto>();

export function sourceBytesOf(message: ModelProto): Uint8Array | undefined {
  return sourceBytes.get(message);
}

export function messageOfAttribute(attribute: Attribute): AttributeProto | undefined {
  return attributeMessages.get(attribute);
}

/** Reads a serialised ModelProto. The bytes are kept, not copied: they must not be changed afterwards. */
export function parseModelProto(bytes: Uint8Array, readExternal: ExternalReader): Model {
  const message = decode(bytes);
  const graph = message.graph;
  if (graph === undefined) throw unreadable('a graph', 'an ONNX model', 'a file without one');
  if (message.opsetImport.length === 0)
    throw unreadable('an operator set import', 'an ONNX model', 'a file without one (is it truncated?)');
  sourceBytes.set(message, bytes);

  return withOrigin(message, (origin) => ({
    irVersion: Number(message.irVersion),
    opsets: new Map(message.opsetImport.map((entry) => [readDomain(entry.domain), Number(entry.version)])),
    metadata: new Map(message.metadataProps.map((entry) => [entry.key, entry.value])),
    graph: readGraph(graph, readExternal),
    origin,
  }));
}

function decode(bytes: Uint8Array): ModelProto {
  if (bytes.length === 0) throw unreadable('an ONNX model', 'the model file', 'an empty file');
  try {
    return fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    if (isSieveError(error)) throw error;
    throw expected('ERR_MODEL_UNREADABLE', 'an ONNX model', 'the model file', 'bytes that are not one (or cut short)', {
      remedy: 'Give a complete .onnx file.',
      cause: error,
    });
  }
}

function readDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain;
}

function readGraph(message: GraphProto, readExternal: ExternalReader): Graph {
  if (message.node.length === 0) throw unreadable('at least one node', 'the graph of an ONNX model', 'none');
  const initializers = uniqueMap(
    message.initializer.map((tensor) => readTensor(tensor, readExternal)),
    'initializer',
  );
  const inputs = message.input.filter((input) => !initializers.has(input.name)).map(readValueInfo);
  const nodes = readNodes(message.node, readExternal);
  const sparse = message.sparseInitializer.map((entry) => entry.values?.name ?? '');
  const outputs = message.output.map(readValueInfo);
  checkWiring([...inputs.map((input) => input.name), ...initializers.keys(), ...sparse], nodes, outputs);

  return withOrigin(message, (origin) => ({
    name: message.name,
    inputs,
    outputs,
    nodes,
    initializers,
    valueInfo: new Map(message.valueInfo.map((info) => [info.name, readValueInfo(info)])),
    origin,
  }));
}

function uniqueMap(tensors: readonly Tensor[], what: string): Map<string, Tensor> {
  const byName = new Map<string, Tensor>();
  for (const tensor of tensors) {
    if (byName.has(tensor.name)) throw unreadable(`unique names`, `every ${what}`, tensor.name);
    byName.set(tensor.name, tensor);
  }
  return byName;
}

/** Every tensor is written once and before it is read: what the rest of the package relies on. */
function checkWiring(given: readonly string[], nodes: readonly Node[], outputs: readonly ValueInfo[]): void {
  const known = new Set(given);
  for (const node of nodes) {
    for (const name of [...node.inputs, ...subgraphReferences(node)])
      if (name !== '' && !known.has(name))
        throw unreadable('inputs that were computed before', `node "${node.key}"`, name);
    for (const name of node.outputs) {
      if (name === '') continue;
      if (known.has(name)) throw unreadable('a tensor that no other node writes', `node "${node.key}"`, name);
      known.add(name);
    }
  }
  for (const output of outputs)
    if (!known.has(output.name)) throw unreadable('an output that is computed', 'the graph', output.name);
}

function readNodes(messages: readonly NodeProto[], readExternal: ExternalReader): Node[] {
  const taken = new Set<string>();
  return messages.map((message, index) => {
    if (message.opType === '') throw unreadable('an operator', `node ${index} of the graph`, '');
    const key = uniqueKey(message, index, taken);
    taken.add(key);
    return withOrigin(message, (origin) => ({
      name: message.name,
      key,
      opType: message.opType,
      domain: readDomain(message.domain),
      inputs: message.input,
      outputs: message.output,
      attributes: new Map(message.attribute.map((entry) => [entry.name, readAttribute(entry, readExternal)])),
      origin,
    }));
  });
}

function uniqueKey(message: NodeProto, index: number, taken: ReadonlySet<string>): string {
  const candidates = [message.name, ...message.output, `${message.opType}#${index}`];
  const free = candidates.find((candidate) => candidate !== '' && !taken.has(candidate));
  if (free !== undefined) return free;
  let suffix = 2;
  while (taken.has(`${message.opType}#${index}.${suffix}`)) suffix += 1;
  return `${message.opType}#${index}.${suffix}`;
}

function readAttribute(message: AttributeProto, readExternal: ExternalReader): Attribute {
  const attribute = readPlainAttribute(message, readExternal) ?? readOpaqueAttribute(message);
  attributeMessages.set(attribute, message);
  return attribute;
}

function readPlainAttribute(message: AttributeProto, readExternal: ExternalReader): Attribute | undefined {
  if (message.refAttrName !== '') return undefined;
  switch (kindOf(message)) {
    case Kind.FLOAT:
      return { kind: 'float', value: message.f };
    case Kind.INT:
      return { kind: 'int', value: Number(message.i) };
    case Kind.STRING: {
      const value = decodeText(message.s);
      return value === undefined ? undefined : { kind: 'string', value };
    }
    case Kind.TENSOR:
      return message.t === undefined ? undefined : { kind: 'tensor', value: readTensor(message.t, readExternal) };
    case Kind.FLOATS:
      return { kind: 'floats', value: message.floats };
    case Kind.INTS:
      return { kind: 'ints', value: message.ints.map(Number) };
    case Kind.STRINGS: {
      const values = message.strings.map(decodeText);
      return values.includes(undefined) ? undefined : { kind: 'strings', value: values as string[] };
    }
    default:
      return undefined;
  }
}

/** Files older than IR version 2 do not state the type: there it is the field that is set. */
function kindOf(message: AttributeProto): Kind {
  if (message.type !== Kind.UNDEFINED) return message.type;
  const fields = TYPE_OF_FIELD.filter(([, isPresent]) => isPresent(message));
  return fields.length === 1 && fields[0] !== undefined ? fields[0][0] : Kind.UNDEFINED;
}

const TYPE_OF_FIELD: readonly (readonly [Kind, (message: AttributeProto) => boolean])[] = [
  [Kind.FLOAT, (message) => isFieldSet(message, AttributeProtoSchema.field.f)],
  [Kind.INT, (message) => isFieldSet(message, AttributeProtoSchema.field.i)],
  [Kind.STRING, (message) => isFieldSet(message, AttributeProtoSchema.field.s)],
  [Kind.TENSOR, (message) => message.t !== undefined],
  [Kind.GRAPH, (message) => message.g !== undefined],
  [Kind.FLOATS, (message) => message.floats.length > 0],
  [Kind.INTS, (message) => message.ints.length > 0],
  [Kind.STRINGS, (message) => message.strings.length > 0],
];

function readOpaqueAttribute(message: AttributeProto): Attribute {
  const graphs = message.g === undefined ? message.graphs : [message.g, ...message.graphs];
  const references = [...new Set(graphs.flatMap((graph) => [...outerReferences(graph)]))];
  return withOrigin(message, (origin) => ({
    kind: 'opaque' as const,
    type: Kind[kindOf(message)] ?? 'UNDEFINED',
    references,
    origin,
  }));
}

/** Names that a subgraph reads and does not define itself. */
function outerReferences(graph: GraphProto): Set<string> {
  const own = new Set([
    ...graph.input.map((input) => input.name),
    ...graph.initializer.map((tensor) => tensor.name),
    ...graph.sparseInitializer.map((tensor) => tensor.values?.name ?? ''),
    ...graph.node.flatMap((node) => node.output),
  ]);
  const used = new Set([...graph.node.flatMap((node) => node.input), ...graph.output.map((output) => output.name)]);
  for (const node of graph.node)
    for (const attribute of node.attribute)
      for (const inner of attribute.g === undefined ? attribute.graphs : [attribute.g, ...attribute.graphs])
        for (const name of outerReferences(inner)) used.add(name);
  return new Set([...used].filter((name) => name !== '' && !own.has(name)));
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined; // not text: the attribute is carried as it is
  }
}

function readValueInfo(message: ValueInfoProto): ValueInfo {
  return withOrigin(message, (origin) => ({ name: message.name, ...readType(message.type), origin }));
}

function readType(type: TypeProto | undefined): Pick<ValueInfo, 'dataType' | 'shape'> {
  if (type?.value.case !== 'tensorType') return { dataType: 'other', shape: undefined };
  return { dataType: dataTypeOfCode(type.value.value.elemType), shape: readShape(type.value.value.shape?.dim) };
}

type DimensionMessage = NonNullable<
  Extract<TypeProto['value'], { case: 'tensorType' }>['value']['shape']
>['dim'][number];

function readShape(dims: readonly DimensionMessage[] | undefined): Shape {
  return dims?.map((dim): Dimension => {
    if (dim.value.case === 'dimParam') return dim.value.value === '' ? undefined : dim.value.value;
    if (dim.value.case !== 'dimValue') return undefined;
    const value = Number(dim.value.value);
    return value >= 0 ? value : undefined; // some exporters write -1 for "unknown"
  });
}

function unreadable(what: string, subject: string, received: unknown) {
  return expected('ERR_MODEL_UNREADABLE', what, subject, received, { remedy: 'Give a complete, valid .onnx file.' });
}
