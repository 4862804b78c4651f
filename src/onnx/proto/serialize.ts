import { create } from '@bufbuild/protobuf';

import type { Graph, Model, Node, Tensor, ValueInfo } from '../ir';
import { buildAttribute } from './buildAttribute';
import { buildInitializer, buildTensor, type TensorPlacement } from './buildTensor';
import { buildValueInfo } from './buildValueInfo';
import { encodedLength, encodeInChunks, encodeModel } from './encode';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  StringStringEntryProtoSchema,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './generated/onnx_pb';
import { shallowCopy, sourceOf } from './origin';
import { sourceBytesOf } from './parse';

/** What this package calls itself in models it makes from nothing. Changed models keep their producer. */
const PRODUCER_NAME = 'onnx-sieve';

/**
 * Serialises a model. Where nothing differs from what was parsed, the source bytes themselves come back
 * (same array). `placement` decides where the data of initializers goes; by default it stays where it is.
 */
export function serializeModelProto(model: Model, placement?: TensorPlacement): Uint8Array {
  const message = buildModel(model, placement);
  return sourceBytesOf(message) ?? encodeModel(message);
}

/**
 * The same bytes one after the other, for a file: nearly nothing is held beside the model. A chunk only holds until the
 * next one is asked for.
 */
export function serializeInChunks(model: Model, placement?: TensorPlacement): Iterable<Uint8Array> {
  const message = buildModel(model, placement);
  const source = sourceBytesOf(message);
  return source === undefined ? encodeInChunks(message) : [source];
}

/** Length of what `serializeModelProto` gives, for little more than the time it takes to walk the graph. */
export function serializedLength(model: Model): number {
  const message = buildModel(model, undefined);
  return sourceBytesOf(message)?.length ?? encodedLength(message);
}

function buildModel(model: Model, placement: TensorPlacement | undefined): ModelProto {
  const source = sourceOf<ModelProto, Model>(model.origin);
  const graph = buildGraph(model.graph, model.irVersion, (tensor) => buildInitializer(tensor, placement));
  const same = (key: 'irVersion' | 'opsets' | 'metadata') => source?.snapshot[key] === model[key];
  if (source?.message.graph === graph && same('irVersion') && same('opsets') && same('metadata')) return source.message;

  const message = source ? shallowCopy(source.message) : create(ModelProtoSchema, { producerName: PRODUCER_NAME });
  message.graph = graph;
  if (!same('irVersion')) message.irVersion = BigInt(model.irVersion);
  if (!same('opsets')) {
    message.opsetImport = [...model.opsets].map(([domain, version]) => {
      const kept = source?.message.opsetImport.find(
        (entry) => (entry.domain === 'ai.onnx' ? '' : entry.domain) === domain,
      );
      if (kept !== undefined && Number(kept.version) === version) return kept;
      const entry = kept ? shallowCopy(kept) : create(OperatorSetIdProtoSchema, { domain });
      entry.version = BigInt(version);
      return entry;
    });
  }
  if (!same('metadata')) {
    message.metadataProps = [...model.metadata].map(
      ([key, value]) =>
        source?.message.metadataProps.find((entry) => entry.key === key && entry.value === value) ??
        create(StringStringEntryProtoSchema, { key, value }),
    );
  }
  return message;
}

function buildGraph(graph: Graph, irVersion: number, buildWeight: (tensor: Tensor) => TensorProto): GraphProto {
  const source = sourceOf<GraphProto, Graph>(graph.origin);
  const before = source?.message;
  const buildSubgraph = (subgraph: Graph): GraphProto => buildGraph(subgraph, irVersion, buildTensor);
  const node = reuse(
    before?.node,
    graph.nodes.map((entry) => buildNode(entry, buildSubgraph)),
  );
  const initializer = reuse(before?.initializer, [...graph.initializers.values()].map(buildWeight));
  const input = reuse(before?.input, buildInputs(graph, irVersion, before));
  const output = reuse(before?.output, graph.outputs.map(buildValueInfo));
  const valueInfo = reuse(before?.valueInfo, [...graph.valueInfo.values()].map(buildValueInfo));
  const nameKept = source?.snapshot.name === graph.name;
  if (
    before !== undefined &&
    nameKept &&
    before.node === node &&
    before.initializer === initializer &&
    before.input === input &&
    before.output === output &&
    before.valueInfo === valueInfo
  )
    return before;

  const message = before ? shallowCopy(before) : create(GraphProtoSchema);
  if (!nameKept) message.name = graph.name;
  return Object.assign(message, { node, initializer, input, output, valueInfo });
}

/** The original list where every entry is the original one: so that "nothing changed" can be told by identity. */
function reuse<T>(before: T[] | undefined, now: T[]): T[] {
  const unchanged = before?.length === now.length && before.every((entry, index) => entry === now[index]);
  return unchanged ? before : now;
}

/**
 * IR version 3 lists initializers among the inputs as well (later versions may). The listing keeps its order;
 * shapes follow the initializer, and before IR version 4 new initializers have to be listed too.
 */
function buildInputs(graph: Graph, irVersion: number, before: GraphProto | undefined): ValueInfoProto[] {
  const trueInputs = new Map(graph.inputs.map((info) => [info.name, info]));
  const written = new Set<string>();
  const list: ValueInfoProto[] = [];
  for (const entry of before?.input ?? []) {
    const info = trueInputs.get(entry.name);
    const tensor = graph.initializers.get(entry.name);
    if (info !== undefined) list.push(buildValueInfo(info));
    else if (tensor !== undefined) list.push(initializerAsInput(entry, tensor));
    else continue;
    written.add(entry.name);
  }
  for (const info of graph.inputs) if (!written.has(info.name)) list.push(buildValueInfo(info));
  if (irVersion < 4)
    for (const tensor of graph.initializers.values())
      if (!written.has(tensor.name))
        list.push(buildValueInfo({ name: tensor.name, dataType: tensor.dataType, shape: tensor.dims }));
  return list;
}

function initializerAsInput(entry: ValueInfoProto, tensor: Tensor): ValueInfoProto {
  const type = entry.type?.value;
  const dims = type?.case === 'tensorType' ? type.value.shape?.dim : undefined;
  const agrees =
    dims === undefined ||
    (dims.length === tensor.dims.length &&
      dims.every((dim, axis) => dim.value.case !== 'dimValue' || Number(dim.value.value) === tensor.dims[axis]));
  if (agrees) return entry;
  const info: ValueInfo = { name: tensor.name, dataType: tensor.dataType, shape: tensor.dims };
  const message = shallowCopy(entry);
  message.type = buildValueInfo(info).type;
  return message;
}

function buildNode(node: Node, buildSubgraph: (graph: Graph) => GraphProto): NodeProto {
  const source = sourceOf<NodeProto, Node>(node.origin);
  const before = source?.snapshot;
  if (source !== undefined && isSameNode(source.snapshot, node)) return source.message;

  const message = source ? shallowCopy(source.message) : create(NodeProtoSchema);
  if (before?.name !== node.name) message.name = node.name;
  if (before?.opType !== node.opType) message.opType = node.opType;
  if (before?.domain !== node.domain && (before !== undefined || node.domain !== '')) message.domain = node.domain;
  message.input = [...node.inputs];
  message.output = [...node.outputs];
  message.attribute = [...node.attributes].map(([name, attribute]) =>
    buildAttribute(
      name,
      attribute,
      source?.message.attribute.find((entry) => entry.name === name),
      buildSubgraph,
    ),
  );
  return message;
}

function isSameNode(before: Node, node: Node): boolean {
  return (
    before.name === node.name &&
    before.opType === node.opType &&
    before.domain === node.domain &&
    sameList(before.inputs, node.inputs) &&
    sameList(before.outputs, node.outputs) &&
    sameList([...before.attributes].flat(), [...node.attributes].flat())
  );
}

function sameList<T>(left: readonly T[], right: readonly T[]): boolean {
  return left.length === right.length && left.every((value, index) => value === right[index]);
}
