import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { create, fromBinary, toBinary, type Message } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';

import type { Model, Node } from '../../../src/onnx/ir';
import { parseModel } from '../../../src/onnx/load';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType,
  FunctionProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  SparseTensorProtoSchema,
  StringStringEntryProtoSchema,
  TensorAnnotationSchema,
  TensorProtoSchema,
  type ModelProto,
} from '../../../src/onnx/proto/generated/onnx_pb';
import { serializeModel } from '../../../src/onnx/save';
import { float32Tensor, tensorToFloat32 } from '../../../src/onnx/tensor';
import { ModelBuilder } from '../../support/modelBuilder';
import { hasPython, onnxProblems } from '../../support/python';
import { runModel, sampleInput } from '../../support/runtime';

const MODELS = resolve(__dirname, '../../../../shared/models');

function realModels(): string[] {
  if (existsSync(MODELS)) return readdirSync(MODELS).filter((name) => name.endsWith('.onnx'));
  console.warn(`not run on real models: ${MODELS} is missing`);
  return [];
}

/** A small valid classifier: Conv → Relu → GlobalAveragePool → Flatten → Gemm. */
function classifier(options: ConstructorParameters<typeof ModelBuilder>[0] = {}): ModelBuilder {
  const builder = new ModelBuilder(options);
  const x = builder.input('input', ['N', 3, 8, 8]);
  const features = builder.node('Relu', [builder.conv(x, 3, 4, 3, { pads: [1, 1, 1, 1] }, { name: 'conv' })]);
  const flat = builder.node('Flatten', [builder.node('GlobalAveragePool', [features])]);
  builder.output(builder.gemm(flat, 4, 5, { name: 'fc', outputs: ['logits'] }), ['N', 5]);
  return builder;
}

/** Things the package does not model, at every level of the file. */
function decorate(bytes: Uint8Array): Uint8Array {
  const message = fromBinary(ModelProtoSchema, bytes);
  const graph = message.graph;
  const [node] = graph?.node ?? [];
  const [tensor] = graph?.initializer ?? [];
  const [input] = graph?.input ?? [];
  if (graph === undefined || node === undefined || tensor === undefined || input === undefined)
    throw new Error('empty');
  for (const [number, part] of [message, graph, node, tensor, input, node.attribute[0]].entries())
    if (part !== undefined) addUnknownField(part, 900 + number);
  message.docString = 'a model';
  message.modelVersion = 7n;
  message.metadataProps.push(create(StringStringEntryProtoSchema, { key: 'author', value: 'somebody' }));
  message.functions.push(create(FunctionProtoSchema, { name: 'unused', domain: 'local', overload: 'v2' }));
  graph.docString = 'a graph';
  graph.quantizationAnnotation.push(create(TensorAnnotationSchema, { tensorName: 'logits' }));
  graph.metadataProps.push(create(StringStringEntryProtoSchema, { key: 'stage', value: 'final' }));
  graph.sparseInitializer.push(
    create(SparseTensorProtoSchema, {
      values: create(TensorProtoSchema, { name: 'sparse', dims: [1n], dataType: 1, floatData: [2] }),
      indices: create(TensorProtoSchema, { name: 'at', dims: [1n], dataType: 7, int64Data: [3n] }),
      dims: [8n],
    }),
  );
  node.docString = 'a node';
  node.overload = 'special';
  node.metadataProps.push(create(StringStringEntryProtoSchema, { key: 'origin', value: 'line 12' }));
  tensor.docString = 'weights';
  input.docString = 'pixels';
  return toBinary(ModelProtoSchema, message);
}

function addUnknownField(message: Message, number: number): void {
  message.$unknown = [{ no: number, wireType: WireType.Varint, data: new Uint8Array([number & 0x7f]) }];
}

function decode(model: Model): ModelProto {
  return fromBinary(ModelProtoSchema, serializeModel(model));
}

function renameMetadata(model: Model): Model {
  return { ...model, metadata: new Map([...model.metadata, ['touched', 'yes']]) };
}

function mapNodes(model: Model, change: (node: Node) => Node): Model {
  return { ...model, graph: { ...model.graph, nodes: model.graph.nodes.map(change) } };
}

describe('a model nobody changed', () => {
  test('real models come back as the same array, and re-encoded as the same bytes', () => {
    for (const name of realModels()) {
      const bytes = readFileSync(join(MODELS, name));
      const model = parseModel(bytes);
      expect(model.graph.nodes.length).toBeGreaterThan(5);
      expect(serializeModel(model)).toBe(bytes);
      const copy = { ...model, metadata: new Map(model.metadata) };
      expect(Buffer.compare(serializeModel(copy), bytes)).toBe(0);
    }
  });

  test('synthetic models with unknown fields do so too, also when the IR values were copied', () => {
    const bytes = decorate(classifier().bytes());
    const model = parseModel(bytes);
    expect(serializeModel(model)).toBe(bytes);
    const copied = mapNodes(model, (node) => ({ ...node, inputs: [...node.inputs] }));
    expect(serializeModel(copied)).toBe(bytes);
    expect(
      serializeModel({ ...model, graph: { ...model.graph, initializers: new Map(model.graph.initializers) } }),
    ).toBe(bytes);
  });
});

describe('a model that was changed', () => {
  test('keeps everything else at every level', () => {
    const model = parseModel(decorate(classifier().bytes()));
    const changed = renameMetadata({
      ...model,
      graph: {
        ...model.graph,
        inputs: model.graph.inputs.map((input) => ({ ...input, shape: ['N', 3, 16, 16] })),
        initializers: new Map(
          [...model.graph.initializers].map(([name, tensor]) => [
            name,
            float32Tensor(
              name,
              tensor.dims,
              tensorToFloat32(tensor).map((value) => value + 1),
              tensor,
            ),
          ]),
        ),
        nodes: model.graph.nodes.map((node) => {
          if (node.key !== 'conv') return node;
          const attributes = new Map(node.attributes);
          attributes.set('kernel_shape', { kind: 'ints', value: [3, 3] });
          return { ...node, attributes, name: 'renamed' };
        }),
      },
    });
    const message = decode(changed);
    const { graph } = message;
    const node = graph?.node[0];
    expect(message).toMatchObject({ docString: 'a model', modelVersion: 7n, producerName: 'onnx-sieve' });
    expect(message.functions).toMatchObject([{ name: 'unused', domain: 'local', overload: 'v2' }]);
    expect(message.metadataProps).toMatchObject([{ key: 'author' }, { key: 'touched', value: 'yes' }]);
    expect(graph).toMatchObject({ docString: 'a graph' });
    expect(graph?.quantizationAnnotation).toHaveLength(1);
    expect(graph?.sparseInitializer[0]?.values?.floatData).toEqual([2]);
    expect(graph?.metadataProps).toMatchObject([{ key: 'stage', value: 'final' }]);
    expect(node).toMatchObject({ name: 'renamed', docString: 'a node', overload: 'special' });
    expect(node?.metadataProps).toMatchObject([{ key: 'origin', value: 'line 12' }]);
    expect(graph?.initializer[0]).toMatchObject({ docString: 'weights' });
    expect(graph?.input[0]).toMatchObject({ docString: 'pixels' });
    const unknown = [message, graph, node, graph?.initializer[0], graph?.input[0], node?.attribute[0]].map(
      (part) => part?.$unknown?.[0]?.no,
    );
    expect(unknown).toEqual([900, 901, 902, 903, 904, 905]);
    expect(message.graph?.input[0]?.type?.value.value).toMatchObject({
      shape: { dim: [{ value: { value: 'N' } }, { value: { value: 3n } }, { value: { value: 16n } }, {}] },
    });
  });

  test('passes the ONNX checker and computes what was asked for', async () => {
    const model = parseModel(classifier().bytes());
    const doubled = {
      ...model,
      graph: {
        ...model.graph,
        initializers: new Map(
          [...model.graph.initializers].map(([name, tensor]) => [
            name,
            name === model.graph.nodes.at(-1)?.inputs[1] || name === model.graph.nodes.at(-1)?.inputs[2]
              ? float32Tensor(
                  name,
                  tensor.dims,
                  tensorToFloat32(tensor).map((value) => value * 2),
                  tensor,
                )
              : tensor,
          ]),
        ),
      },
    };
    const input = sampleInput([2, 3, 8, 8]);
    const before = (await runModel(model, { input })).get('logits');
    const after = (await runModel(doubled, { input })).get('logits');
    expect(after?.dims).toEqual([2, 5]);
    Array.from(after?.data ?? []).forEach((value, index) =>
      expect(value).toBeCloseTo(2 * Number(before?.data[index]), 4),
    );
    if (hasPython('onnx')) expect(onnxProblems({ 'doubled.onnx': serializeModel(doubled) })).toEqual({});
  });

  test('drops a node together with nothing else', () => {
    const model = parseModel(decorate(classifier().bytes()));
    const relu = model.graph.nodes.find((node) => node.opType === 'Relu');
    const nodes = model.graph.nodes
      .filter((node) => node !== relu)
      .map((node) => ({
        ...node,
        inputs: node.inputs.map((name) => (name === relu?.outputs[0] ? (relu?.inputs[0] ?? '') : name)),
      }));
    const message = decode({ ...model, graph: { ...model.graph, nodes } });
    expect(message.graph?.node.map((node) => node.opType)).toEqual(['Conv', 'GlobalAveragePool', 'Flatten', 'Gemm']);
    expect(message.graph?.node[0]).toMatchObject({ docString: 'a node' });
  });
});

describe('IR version 3, where initializers are inputs as well', () => {
  test('shows only true inputs, keeps the listing, and follows changed shapes and new initializers', async () => {
    const model = parseModel(classifier({ irVersion: 3, opset: 8 }).bytes());
    expect(model.graph.inputs.map((input) => input.name)).toEqual(['input']);
    expect(decode(model).graph?.input).toHaveLength(1 + model.graph.initializers.size);
    const name = model.graph.nodes[0]?.inputs[1] ?? '';
    const smaller = new Map(model.graph.initializers);
    smaller.set(name, float32Tensor(name, [2, 3, 3, 3], new Float32Array(54), smaller.get(name)));
    smaller.set('extra', float32Tensor('extra', [1], [1]));
    const inputs = decode({ ...model, graph: { ...model.graph, initializers: smaller } }).graph?.input ?? [];
    const dimsOf = (wanted: string) => {
      const type = inputs.find((input) => input.name === wanted)?.type?.value;
      return type?.case === 'tensorType' ? type.value.shape?.dim.map((dim) => dim.value.value) : undefined;
    };
    expect(dimsOf(name)).toEqual([2n, 3n, 3n, 3n]);
    expect(dimsOf('extra')).toEqual([1n]);
    expect((await runModel(model, { input: sampleInput([1, 3, 8, 8]) })).get('logits')?.dims).toEqual([1, 5]);
    if (hasPython('onnx')) expect(onnxProblems({ 'three.onnx': serializeModel(model) })).toEqual({});
  });
});

describe('attributes', () => {
  const withAttributes = (attributes: ReturnType<typeof create<typeof AttributeProtoSchema>>[]): Model => {
    const message = fromBinary(ModelProtoSchema, classifier().bytes());
    message.graph?.node[1]?.attribute.push(...attributes);
    return parseModel(toBinary(ModelProtoSchema, message));
  };

  test('INT64_MAX survives, read as a number beyond every size', () => {
    const limit = 2n ** 63n - 1n;
    const model = withAttributes([
      create(AttributeProtoSchema, {
        name: 'ends',
        type: AttributeProto_AttributeType.INTS,
        ints: [limit, -limit - 1n],
      }),
    ]);
    const attribute = model.graph.nodes[1]?.attributes.get('ends');
    expect(attribute).toEqual({ kind: 'ints', value: [2 ** 63, -(2 ** 63)] });
    const rewritten = mapNodes(model, (node) => ({
      ...node,
      attributes: new Map(
        [...node.attributes].map(([name, entry]) => [name, entry.kind === 'ints' ? { ...entry } : entry]),
      ),
    }));
    expect(decode(rewritten).graph?.node[1]?.attribute[0]?.ints).toEqual([limit, -limit - 1n]);
  });

  test('subgraphs, bytes that are no text and references are carried untouched', () => {
    const model = withAttributes([
      create(AttributeProtoSchema, {
        name: 'body',
        type: AttributeProto_AttributeType.GRAPH,
        g: {
          node: [create(NodeProtoSchema, { opType: 'Relu', input: ['input', 'own'], output: ['inner'] })],
          input: [{ name: 'own' }],
        },
      }),
      create(AttributeProtoSchema, {
        name: 'blob',
        type: AttributeProto_AttributeType.STRING,
        s: new Uint8Array([255, 254]),
      }),
    ]);
    const body = model.graph.nodes[1]?.attributes.get('body');
    expect(body).toMatchObject({ kind: 'opaque', type: 'GRAPH', references: ['input'] });
    const message = decode(mapNodes(model, (node) => ({ ...node, name: `${node.name}_` })));
    const [written, blob] = message.graph?.node[1]?.attribute ?? [];
    expect(written?.g?.node[0]?.opType).toBe('Relu');
    expect(blob?.s).toEqual(new Uint8Array([255, 254]));
  });

  test('without a stated type (IR version 1) the field that is set tells it', () => {
    const model = withAttributes([
      create(AttributeProtoSchema, { name: 'a', i: 3n }),
      create(AttributeProtoSchema, { name: 'b', floats: [0.5] }),
    ]);
    expect(model.graph.nodes[1]?.attributes.get('a')).toEqual({ kind: 'int', value: 3 });
    expect(model.graph.nodes[1]?.attributes.get('b')).toEqual({ kind: 'floats', value: [0.5] });
  });
});

test('nodes without a name, or with the same one, get distinct keys that stay', () => {
  const builder = new ModelBuilder();
  const x = builder.input('input', [1, 3]);
  const a = builder.node('Relu', [x], {}, { name: '' });
  const b = builder.node('Relu', [a], {}, { name: 'same' });
  builder.output(builder.node('Relu', [b], {}, { name: 'same' }));
  const model = parseModel(builder.bytes());
  const keys = model.graph.nodes.map((node) => node.key);
  expect(keys).toEqual([a, 'same', model.graph.nodes[2]?.outputs[0]]);
  expect(model.graph.nodes.map((node) => node.name)).toEqual(['', 'same', 'same']);
});
