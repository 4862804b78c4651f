import { create, fromBinary, toBinary } from '@bufbuild/protobuf';

import { parseModel } from '../../../src/onnx/load';
import { cutChannels } from '../../../src/onnx/passes/cutChannels';
import { maskChannels } from '../../../src/onnx/passes/maskChannels';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from '../../../src/onnx/proto/generated/onnx_pb';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import { float32Tensor } from '../../../src/onnx/tensor';
import { ModelBuilder } from '../../support/modelBuilder';
import { expectExactCut, groupOf, INPUT_DIMS, network, nodeOf, valuesOf } from './exactCut';
import { analyze } from './support';

describe('grouped convolutions', () => {
  test('with few groups lose the same positions in each', async () => {
    const model = network((m, x) => [m.conv(x, 6, 8, 1, { group: 2 }, { name: 'grouped', outputs: ['g'] }), 8]);
    expect(groupOf(model)).toMatchObject({ size: 3, consumers: ['grouped'], producers: ['first'] });
    expect(groupOf(model, 'g')).toMatchObject({ size: 4, consumers: ['last'], producers: ['grouped'] });
    expect(groupOf(model, 'g')?.members[0]?.slots).toEqual([0, 1, 2, 3, 0, 1, 2, 3]);
    const cut = await expectExactCut(model, { x: [1], g: [0, 3] });
    expect(cut.graph.initializers.get(nodeOf(cut, 'grouped')?.inputs[1] ?? '')?.dims).toEqual([4, 2, 1, 1]);
  });

  test('with many groups lose whole groups, inputs and outputs together', async () => {
    const model = network((m, x) => [m.conv(x, 6, 9, 1, { group: 3 }, { name: 'grouped', outputs: ['g'] }), 9]);
    expect(groupOf(model)).toMatchObject({ size: 3, consumers: ['last'], producers: ['first', 'grouped'] });
    expect(groupOf(model)?.members.map((member) => member.slots)).toEqual([
      [0, 0, 1, 1, 2, 2],
      [0, 0, 0, 1, 1, 1, 2, 2, 2],
    ]);
    const cut = await expectExactCut(model, { g: [4] });
    expect(nodeOf(cut, 'grouped')?.attributes.get('group')).toEqual({ kind: 'int', value: 2 });
    expect(inferShapes(cut).get('x')?.[1]).toBe(4);
  });

  test('depthwise with a multiplier', async () => {
    const model = network((m, x) => [m.conv(x, 6, 12, 3, { group: 6 }, { name: 'deep' }), 12]);
    const cut = await expectExactCut(model, { x: [0, 5] });
    expect(cut.graph.initializers.get(nodeOf(cut, 'deep')?.inputs[1] ?? '')?.dims).toEqual([8, 1, 3, 3]);
  });

  test.each([
    ['plain', 1, [6, 5, 2, 2], 5],
    ['in two groups', 2, [6, 2, 2, 2], 4],
    ['depthwise', 6, [6, 2, 2, 2], 12],
  ])('transposed, %s', async (_, group, dims, channels) => {
    const model = network((m, x) => {
      const operands = [x, m.weights(dims), m.weights([channels])];
      return [m.node('ConvTranspose', operands, { group, strides: [2, 2] }, { name: 'up', outputs: ['up'] }), channels];
    });
    await expectExactCut(model, group === 6 ? { x: [0, 3] } : { x: group === 2 ? [0, 3] : [2], up: [0] });
  });
});

describe('constants', () => {
  test('that are shared are copied only where the cuts differ', async () => {
    const model = network((m, x) => {
      const weight = m.weights([4, 6, 1, 1], undefined, 'shared');
      const a = m.node('Conv', [x, weight], {}, { outputs: ['a'] });
      const b = m.node('Conv', [m.node('Relu', [x]), weight], {}, { outputs: ['b'] });
      return [m.node('Concat', [a, b], { axis: 1 }), 8];
    });
    const alike = await expectExactCut(model, { x: [3] });
    expect([...alike.graph.initializers.keys()]).toEqual(expect.arrayContaining(['shared']));
    expect(alike.graph.initializers.size).toBe(model.graph.initializers.size);
    const apart = await expectExactCut(model, { x: [3], a: [0] });
    expect(apart.graph.initializers.size).toBe(model.graph.initializers.size + 1);
    expect(apart.graph.initializers.get('shared')?.dims).toEqual([3, 5, 1, 1]);
  });

  test('keep their names where nobody reads the original any more', async () => {
    const model = network((m, x) => [m.batchNorm(x, 6), 6]);
    const cut = await expectExactCut(model, { x: [0] });
    expect([...cut.graph.initializers.keys()].sort()).toEqual([...model.graph.initializers.keys()].sort());
    expect(cut.graph.nodes.map((node) => node.inputs)).toEqual(model.graph.nodes.map((node) => node.inputs));
  });

  test('in Constant nodes, as tensors or as lists of numbers', async () => {
    const model = network((m, x) => {
      const scale = m.constant(float32Tensor('scale', [1, 6, 1, 1], [1, 2, 3, 4, 5, 6]));
      const scaled = m.node('Mul', [x, scale]);
      const list = m.node('Constant', [], { value_floats: { kind: 'floats', value: [6, 5, 4, 3, 2, 1] } });
      const last = m.node('Transpose', [scaled], { perm: [0, 2, 3, 1] });
      return [m.node('Transpose', [m.node('Add', [last, list])], { perm: [0, 3, 1, 2] }), 6];
    });
    const cut = await expectExactCut(model, { x: [1, 2] });
    expect(valuesOf(cut, 'scale')).toEqual([1, 4, 5, 6]);
    expect(cut.graph.nodes.some((node) => node.opType === 'Constant')).toBe(false);
  });

  test('computed from constants', async () => {
    const model = network((m, x) => {
      const scale = m.node('Add', [m.weights([6], [1, 2, 3, 4, 5, 6]), m.weights([], [10])]);
      const column = m.node('Unsqueeze', [scale, m.ints([1, 2])], {}, { outputs: ['column'] });
      return [m.node('Mul', [column, x]), 6];
    });
    const cut = await expectExactCut(model, { x: [0, 5] });
    expect(valuesOf(cut, 'column')).toEqual([12, 13, 14, 15]);
  });

  test('of half precision', () => {
    const model = new ModelBuilder();
    const half = (dims: number[]) => {
      const like = { ...float32Tensor('', [0], []), dataType: 'float16' as const };
      const name = model.weights(dims);
      const count = dims.reduce((product, dim) => product * dim, 1);
      return model.initializer(float32Tensor(`${name}_half`, dims, new Float32Array(count).fill(0.5), like));
    };
    const input = model.input('input', ['N', 3, 8, 8], 'float16');
    const x = model.node('Conv', [input, half([4, 3, 1, 1])], {}, { outputs: ['x'] });
    model.output(model.node('Conv', [x, half([2, 4, 1, 1])], {}, { outputs: ['y'] }), ['N', 2, 8, 8], 'float16');
    const built = model.build();
    const masked = maskChannels(built, analyze(built), { x: [1] });
    expect(masked.graph.initializers.get('x_zero')).toMatchObject({ dataType: 'float16', byteLength: 2 });
    const cut = cutChannels(built, analyze(built), { x: [1] });
    expect(cut.graph.initializers.get(cut.graph.nodes[0]?.inputs[1] ?? '')).toMatchObject({
      dims: [3, 3, 1, 1],
      byteLength: 18,
    });
  });
});

describe('older operator sets', () => {
  const withAttributes = (m: ModelBuilder, x: string): readonly [string, number] => {
    const part = m.node('Slice', [x], { starts: [1], ends: [-1], axes: [1] }, { name: 'slice', outputs: ['part'] });
    const padded = m.node('Pad', [part], { pads: [0, 2, 0, 0, 0, 1, 0, 0] }, { name: 'pad', outputs: ['padded'] });
    const sum = m.node('Add', [padded, m.conv(part, 4, 7, 1)]);
    m.node('Split', [sum], { axis: 1, split: [3, 4] }, { name: 'split', outputs: ['left', 'right'] });
    const flat = m.node('Flatten', [m.node('GlobalAveragePool', ['right'])]);
    const back = m.node('Unsqueeze', [flat], { axes: [2, 3] });
    const kept = m.node('Squeeze', [m.node('Unsqueeze', [back], { axes: [0] })], { axes: [0] });
    return [kept, 4];
  };

  test.each([8, 9])('opset %i: sizes in attributes; the mask is padding before Where takes any type', async (opset) => {
    const model = network(withAttributes, { opset, irVersion: 3 });
    const { groups } = analyze(model);
    expect(groups.filter((group) => group.prunable).map((group) => [group.id, group.size])).toEqual([['x', 9]]);
    const mask = { x: [2, 3], padded: [0, 3, 4, 6] };
    const cut = await expectExactCut(model, mask);
    expect(nodeOf(cut, 'slice')?.attributes.get('ends')).toEqual({ kind: 'ints', value: [3] });
    expect(nodeOf(cut, 'pad')?.attributes.get('pads')).toEqual({ kind: 'ints', value: [0, 1, 0, 0, 0, 0, 0, 0] });
    expect(nodeOf(cut, 'split')?.attributes.get('split')).toEqual({ kind: 'ints', value: [2, 1] });
    const masked = maskChannels(model, analyze(model), mask);
    expect(masked.graph.nodes.some((node) => node.opType === (opset < 9 ? 'Gather' : 'Where'))).toBe(true);
  });

  test.each([7, 8, 9])(
    'opset %i: what becomes infinite in a removed channel does not reach the others',
    async (opset) => {
      const model = network(
        (m, x) => {
          const positive = m.node('Add', [m.node('Abs', [x]), m.weights([6, 1, 1], [1, 2, 1, 2, 1, 2])]);
          return [m.node('Add', [m.node('Log', [positive]), m.node('Reciprocal', [positive])]), 6];
        },
        { opset, irVersion: 3 },
      );
      await expectExactCut(model, { x: [0, 3] });
    },
  );

  test('IR version 3 lists every initializer as an input', async () => {
    const read = parseModel(serializeModel(network(withAttributes, { opset: 9, irVersion: 3 })));
    const cut = await expectExactCut(read, { x: [2] });
    expect(inferShapes(parseModel(serializeModel(cut))).get('x')?.[1]).toBe(5);
  });
});

describe('shapes', () => {
  test('a target computed from the batch size becomes a constant only where it has to', async () => {
    const flatten = (literal: boolean) =>
      network((m, x) => {
        const batch = m.node('Gather', [m.node('Shape', [x]), m.ints([0])]);
        const rest = literal ? m.ints([384]) : m.ints([-1]);
        const flat = m.node('Reshape', [x, m.node('Concat', [batch, rest], { axis: 0 })], {}, { name: 'flat' });
        const hidden = m.gemm(flat, 384, 5);
        return [m.node('Reshape', [hidden, m.ints([-1, 5, 1, 1])], {}, { name: 'back' }), 5];
      });
    for (const literal of [true, false]) {
      const cut = await expectExactCut(flatten(literal), { x: [0, 2] });
      expect(valuesOf(cut, nodeOf(cut, 'flat')?.inputs[1])).toEqual([0, 256]);
      expect(cut.graph.nodes.some((node) => node.opType === 'Shape')).toBe(false);
    }
  });

  test('zeros copy from the input, where the channels are not what they copy', async () => {
    const model = network((m, x) => {
      const swapped = m.node('Reshape', [x, m.ints([0, 0, 64])], {}, { name: 'kept' });
      const turned = m.node('Transpose', [swapped], { perm: [0, 2, 1] });
      const moved = m.node('Reshape', [turned, m.ints([0, 8, 8, 6])], {}, { name: 'named' });
      return [m.node('Transpose', [moved], { perm: [0, 3, 1, 2] }), 6];
    });
    const cut = await expectExactCut(model, { x: [1] });
    expect(valuesOf(cut, nodeOf(cut, 'kept')?.inputs[1])).toEqual([0, 0, 64]);
    expect(valuesOf(cut, nodeOf(cut, 'named')?.inputs[1])).toEqual([0, 8, 8, 5]);
  });

  test('a zero that copies another dimension of the same size; axes that vanish before the channels', async () => {
    const model = new ModelBuilder({ opset: 13 });
    const x = model.conv(model.input('input', ['N', 3, 8, 8]), 3, 8, 1, {}, { outputs: ['x'] });
    const row = model.node('MaxPool', [x], { kernel_shape: [8, 1] });
    const turned = model.node('Transpose', [row], { perm: [0, 2, 3, 1] });
    // [N, 1, 8, 8 channels] becomes [N, 8, 8 channels, 1].
    const moved = model.node('Reshape', [turned, model.ints([0, 8, 0, 1])], {}, { name: 'moved' });
    const flat = model.node('ReduceMean', [moved], { axes: [1, -1], keepdims: 0 });
    model.output(model.gemm(flat, 8, 4));
    const cut = await expectExactCut(model.build(), { x: [0, 6] });
    expect(valuesOf(cut, nodeOf(cut, 'moved')?.inputs[1])).toEqual([0, 8, 6, 1]);
  });

  test('Expand, Squeeze without axes, Tile along the rows', async () => {
    const model = new ModelBuilder({ opset: 13 });
    const input = model.input('input', INPUT_DIMS);
    const x = model.conv(input, 3, 6, 1, {}, { outputs: ['x'] });
    const small = model.node('GlobalAveragePool', [x]);
    const wide = model.node('Expand', [small, model.ints([2, 6, 1, 4])]);
    const tiled = model.node('Tile', [wide, model.ints([1, 1, 3, 1])]);
    const reduced = model.node('ReduceMax', [tiled], { axes: [-2, -1] });
    const vector = model.node('Squeeze', [reduced], {}, { name: 'squeeze' });
    model.output(model.gemm(vector, 6, 4, { outputs: ['y'] }));
    const cut = await expectExactCut(model.build(), { x: [0, 1, 2, 3, 5] });
    expect(inferShapes(cut).get('y')).toEqual([2, 4]);
  });

  test('stored shape notes follow the cut', async () => {
    const model = network((m, x) => [m.node('Relu', [x], {}, { outputs: ['relu'] }), 6]);
    const valueInfo = new Map([
      ['x', { name: 'x', dataType: 'float32' as const, shape: ['N', 6, 8, 8] }],
      ['relu', { name: 'relu', dataType: 'float32' as const, shape: ['N', 6, 8, 8] }],
    ]);
    const noted = { ...model, graph: { ...model.graph, valueInfo } };
    const cut = await expectExactCut(noted, { relu: [0, 1] });
    expect([...cut.graph.valueInfo.values()].map((info) => info.shape)).toEqual([
      ['N', 4, 8, 8],
      ['N', 4, 8, 8],
    ]);
  });
});

test('padding that meets no channel stays', () => {
  const model = network((m, x) => [
    m.node('Pad', [x, m.ints([0, 1, 0, 0, 0, 2, 0, 0])], {}, { outputs: ['padded'] }),
    9,
  ]);
  const member = groupOf(model)?.members.find((candidate) => candidate.tensor === 'padded');
  expect(member?.slots).toEqual([-1, 0, 1, 2, 3, 4, 5, -1, -1]);
});

test('a depthwise layer over joined channels cuts those that are free', async () => {
  const model = network((m, x) => {
    const joined = m.node('Concat', ['input', x], { axis: 1 });
    return [m.conv(joined, 9, 9, 3, { group: 9 }, { outputs: ['deep'] }), 9];
  });
  expect(groupOf(model)).toMatchObject({ size: 6, prunable: true });
  expect(groupOf(model)?.members.find((member) => member.tensor === 'deep')?.slots).toEqual([
    -1, -1, -1, 0, 1, 2, 3, 4, 5,
  ]);
  const cut = await expectExactCut(model, { deep: [3, 8] });
  expect(inferShapes(cut).get('deep')?.[1]).toBe(7);
});

test('instance normalisation and quotients of removed channels', async () => {
  const model = network((m, x) => {
    const normal = m.node('InstanceNormalization', [x, m.weights([6]), m.weights([6])]);
    return [m.node('Div', [m.node('Exp', [normal]), m.node('Exp', [x])]), 6];
  });
  await expectExactCut(model, { x: [0, 3] });
});

test('what a subgraph reads stays whole and survives; the rest is cut', async () => {
  const model = network((m, x) => {
    const other = m.conv(x, 6, 4, 1, {}, { outputs: ['other'] });
    const extra = m.node('Identity', [m.weights([1, 4, 1, 1], [1, 2, 3, 4])], {}, { outputs: ['extra'] });
    return [m.node('Add', [other, extra]), 4];
  });
  const read = parseModel(withBranch(serializeModel(model), 'other', 'extra'));
  expect(groupOf(read, 'other')).toMatchObject({
    prunable: false,
    reason: 'If "branch" reads "other" inside a subgraph',
  });
  const cut = await expectExactCut(read, { x: [4] });
  expect(inferShapes(cut).get('x')?.[1]).toBe(5);
  expect(nodeOf(cut, 'branch')).toBeDefined();
});

/** Adds `If(condition) then left + right else left` with both tensors read from the outer graph. */
function withBranch(bytes: Uint8Array, left: string, right: string): Uint8Array {
  const message = fromBinary(ModelProtoSchema, bytes);
  const branch = (name: string, inputs: string[]) =>
    create(AttributeProtoSchema, {
      name,
      type: AttributeProto_AttributeType.GRAPH,
      g: create(GraphProtoSchema, {
        name,
        node: [create(NodeProtoSchema, { opType: 'Sum', input: inputs, output: [`${name}_result`] })],
        output: [create(ValueInfoProtoSchema, { name: `${name}_result` })],
      }),
    });
  const condition = create(TensorProtoSchema, {
    name: 'condition',
    dataType: TensorProto_DataType.BOOL,
    rawData: Uint8Array.of(1),
  });
  const node = create(NodeProtoSchema, {
    name: 'branch',
    opType: 'If',
    input: ['condition'],
    output: ['chosen'],
    attribute: [branch('then_branch', [left, right]), branch('else_branch', [left])],
  });
  const { graph } = message;
  if (graph === undefined) throw new Error('the model has no graph');
  graph.initializer.push(condition);
  graph.node.push(node);
  const shape = (dim: number) =>
    create(TensorShapeProto_DimensionSchema, { value: { case: 'dimValue', value: BigInt(dim) } });
  graph.output.push(
    create(ValueInfoProtoSchema, {
      name: 'chosen',
      type: create(TypeProtoSchema, {
        value: {
          case: 'tensorType',
          value: create(TypeProto_TensorSchema, {
            elemType: TensorProto_DataType.FLOAT,
            shape: create(TensorShapeProtoSchema, { dim: [2, 4, 8, 8].map(shape) }),
          }),
        },
      }),
    }),
  );
  return toBinary(ModelProtoSchema, message);
}

test('the masked network leaves names of outputs and the other channels alone', () => {
  const model = network((m, x) => [m.node('Relu', [x]), 6]);
  const masked = maskChannels(model, analyze(model), { x: [0] });
  expect(masked.graph.outputs).toEqual(model.graph.outputs);
  expect(valuesOf(masked, 'x_kept')).toEqual([0, 1, 1, 1, 1, 1]);
  expect(maskChannels(model, analyze(model), {})).toBe(model);
});
