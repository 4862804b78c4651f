import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

import type { Model } from '../../../src/onnx/ir';
import { parseModel, readModel } from '../../../src/onnx/load';
import { applyLinearEdits } from '../../../src/onnx/passes/applyLinearEdits';
import { describeLinearLayer, describeLinearLayers } from '../../../src/onnx/passes/linearLayers';
import { addOutputs } from '../../../src/onnx/passes/outputs';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import { float32Tensor } from '../../../src/onnx/tensor';
import type { LinearLayer } from '../../../src/types';
import { codeOf } from '../../support/errors';
import { ModelBuilder } from '../../support/modelBuilder';
import { hasPython, onnxProblems } from '../../support/python';
import { largestDifference, runModel, sampleInput, type RuntimeTensor } from '../../support/runtime';

/** What the description says the layer computes, in float64 by the definition. */
function compute(layer: LinearLayer, input: RuntimeTensor): Float64Array {
  return layer.kind === 'dense' ? computeDense(layer, input) : computeConv(layer, input);
}

function computeDense(layer: LinearLayer, { data }: RuntimeTensor): Float64Array {
  const rows = data.length / layer.inputsPerGroup;
  return Float64Array.from({ length: rows * layer.outputs }, (_, index) => {
    const output = index % layer.outputs;
    const row = (index - output) / layer.outputs;
    let sum = layer.bias?.[output] ?? 0;
    for (let k = 0; k < layer.inputsPerGroup; k += 1)
      sum += (data[row * layer.inputsPerGroup + k] ?? 0) * (layer.weight[output * layer.inputsPerGroup + k] ?? 0);
    return sum;
  });
}

function computeConv(layer: LinearLayer, { dims, data }: RuntimeTensor): Float64Array {
  const [batch = 0, channels = 0, ...spatial] = dims;
  const [height = 1, width = 1] = spatial.length === 1 ? [1, spatial[0] ?? 1] : spatial;
  const { kernel, strides, dilations, pads, inputsPerGroup, outputs, groups } = layer;
  const size = (length: number, axis: 0 | 1) =>
    Math.floor(
      (length + pads[axis] + pads[axis === 0 ? 2 : 3] - (kernel[axis] - 1) * dilations[axis] - 1) / strides[axis],
    ) + 1;
  const [rows, columns] = [size(height, 0), size(width, 1)];
  const result = new Float64Array(batch * outputs * rows * columns);
  let at = 0;
  for (let n = 0; n < batch; n += 1)
    for (let m = 0; m < outputs; m += 1)
      for (let row = 0; row < rows; row += 1)
        for (let column = 0; column < columns; column += 1) {
          let sum = layer.bias?.[m] ?? 0;
          for (let c = 0; c < inputsPerGroup; c += 1)
            for (let i = 0; i < kernel[0]; i += 1)
              for (let j = 0; j < kernel[1]; j += 1) {
                const y = row * strides[0] + i * dilations[0] - pads[0];
                const x = column * strides[1] + j * dilations[1] - pads[1];
                if (y < 0 || x < 0 || y >= height || x >= width) continue;
                const channel = Math.floor(m / (outputs / groups)) * inputsPerGroup + c;
                const value = data[((n * channels + channel) * height + y) * width + x] ?? 0;
                sum += value * (layer.weight[((m * inputsPerGroup + c) * kernel[0] + i) * kernel[1] + j] ?? 0);
              }
          result[at] = sum;
          at += 1;
        }
  return result;
}

type Build = (b: ModelBuilder, x: string) => string;
const CASES: [name: string, input: (number | string)[], build: Build][] = [
  ['Conv', ['N', 4, 7, 6], (b, x) => b.conv(x, 4, 6, 3, { pads: [1, 0, 2, 1], strides: [2, 1] })],
  ['Conv, grouped and dilated', ['N', 4, 7, 6], (b, x) => b.conv(x, 4, 6, 2, { group: 2, dilations: [2, 1] })],
  ['Conv, auto_pad', ['N', 4, 7, 6], (b, x) => b.conv(x, 4, 3, 3, { auto_pad: 'SAME_LOWER', strides: [2, 2] })],
  ['Conv without bias', ['N', 4, 7, 6], (b, x) => b.node('Conv', [x, b.weights([5, 4, 1, 1])])],
  [
    'Conv 1-D',
    ['N', 4, 9],
    (b, x) => b.node('Conv', [x, b.weights([3, 4, 3]), b.weights([3])], { strides: [2], pads: [1, 0] }),
  ],
  [
    'Conv from Constant nodes',
    ['N', 2, 5, 5],
    (b, x) => {
      const weight = b.constant(float32Tensor('w', [3, 2, 1, 1], [1, 2, 3, 4, 5, 6]));
      return b.node('Conv', [x, b.node('Identity', [weight]), b.constant(float32Tensor('bias', [3], [1, 0, -1]))]);
    },
  ],
  ['Gemm, transB', ['N', 6], (b, x) => b.gemm(x, 6, 5)],
  ['Gemm', ['N', 6], (b, x) => b.node('Gemm', [x, b.weights([6, 5]), b.weights([1, 5])])],
  [
    'Gemm with alpha and beta',
    ['N', 6],
    (b, x) => b.node('Gemm', [x, b.weights([6, 5]), b.weights([5])], { alpha: 0.5, beta: 2 }),
  ],
  ['Gemm with a scalar bias', ['N', 6], (b, x) => b.node('Gemm', [x, b.weights([6, 5]), b.weights([1])])],
  ['Gemm without bias', ['N', 6], (b, x) => b.node('Gemm', [x, b.weights([6, 5])])],
  [
    'Gemm, weight transposed by a node',
    ['N', 6],
    (b, x) => b.node('Gemm', [x, b.node('Transpose', [b.weights([5, 6])], { perm: [1, 0] })]),
  ],
  ['MatMul', ['N', 6], (b, x) => b.node('MatMul', [x, b.weights([6, 5])])],
  ['MatMul on rows', ['N', 3, 6], (b, x) => b.node('MatMul', [x, b.weights([6, 5])])],
  ['MatMul and Add', ['N', 6], (b, x) => b.node('Add', [b.node('MatMul', [x, b.weights([6, 5])]), b.weights([5])])],
  [
    'Add and MatMul, other order',
    ['N', 3, 6],
    (b, x) => b.node('Add', [b.weights([1, 5]), b.node('MatMul', [x, b.weights([6, 5])])]),
  ],
  [
    'MatMul, weight reshaped by a node',
    ['N', 6],
    (b, x) => b.node('MatMul', [x, b.node('Reshape', [b.weights([30]), b.ints([6, 5])])]),
  ],
];

function build(shape: readonly (number | string)[], make: Build): { model: Model; input: RuntimeTensor } {
  const b = new ModelBuilder({ opset: 13 });
  const before = b.node('Relu', [b.input('input', shape)], {}, { outputs: ['relu'] });
  b.output(b.node('Identity', [make(b, before)], {}, { outputs: ['result'] }));
  const bare = b.build();
  const shapes = inferShapes(bare);
  const outputs = bare.graph.outputs.map((info) => ({ ...info, shape: shapes.get(info.name) }));
  const bytes = serializeModel({ ...bare, graph: { ...bare.graph, outputs } });
  const input = sampleInput(shape.map((size) => (typeof size === 'number' ? size : 2)));
  return { model: parseModel(bytes), input };
}

/** Checked all at once at the end: starting Python takes longer than checking. */
const editedModels: Record<string, Uint8Array> = {};

describe.each(CASES)('%s', (name, shape, make) => {
  const { model, input } = build(shape, make);
  const shapes = inferShapes(model);
  const [layer] = describeLinearLayers(model, shapes);

  test('the description computes what the runtime computes', async () => {
    if (layer === undefined) throw new Error('not described');
    const tapped = addOutputs(model, [layer.output], shapes);
    const relu = { ...input, data: input.data.map((value) => Math.max(0, value)) };
    const actual = (await runModel(tapped, { input })).get(layer.output);
    expect(largestDifference(actual?.data ?? [], compute(layer, relu))).toBeLessThan(1e-5);
  });

  test('edits with and without bias arrive, and the result is a valid model', async () => {
    if (layer === undefined) throw new Error('not described');
    const weight = layer.weight.map((value, index) => value * 2 - index / 100);
    const biases = [Float32Array.from({ length: layer.outputs }, (__, index) => index - 1.5), undefined];
    const relu = { ...input, data: input.data.map((value) => Math.max(0, value)) };
    for (const bias of biases) {
      const edited = applyLinearEdits(model, [{ node: layer.node, weight, bias }]);
      const again = describeLinearLayer(edited, layer.node, inferShapes(edited));
      expect(largestDifference(again?.weight ?? [], weight)).toBeLessThan(1e-6);
      const actual = (await runModel(edited, { input })).get('result');
      expect(largestDifference(actual?.data ?? [], compute({ ...layer, weight, bias }, relu))).toBeLessThan(1e-5);
      editedModels[`${name.replaceAll(/\W+/g, '_')}_${String(bias !== undefined)}.onnx`] = serializeModel(edited);
    }
  });
});

test('every edited model passes the ONNX checker', () => {
  expect(Object.keys(editedModels)).toHaveLength(2 * CASES.length);
  if (hasPython('onnx')) expect(onnxProblems(editedModels)).toEqual({});
});

describe('weights that two nodes share', () => {
  const b = new ModelBuilder({ opset: 13 });
  const x = b.input('input', ['N', 4]);
  const weight = b.weights([4, 4], undefined, 'shared');
  const first = b.node('MatMul', [x, weight], {}, { name: 'first', outputs: ['a'] });
  b.output(b.node('MatMul', [b.node('Relu', [first]), weight], {}, { name: 'second', outputs: ['b'] }), ['N', 4]);
  const model = parseModel(b.bytes());

  test('an edit of one leaves the other as it was', () => {
    const edited = applyLinearEdits(model, [{ node: 'second', weight: new Float32Array(16), bias: undefined }]);
    const shapes = inferShapes(edited);
    const before = describeLinearLayer(model, 'first', inferShapes(model));
    expect(describeLinearLayer(edited, 'first', shapes)?.weight).toEqual(before?.weight);
    expect(describeLinearLayer(edited, 'second', shapes)?.weight).toEqual(new Float32Array(16));
    expect([...edited.graph.initializers.keys()]).toEqual(['shared', 'second.weight']);
    expect(model.graph.initializers.size).toBe(1);
  });

  test('edits of both give each its own and leave nothing behind', () => {
    const weights = [new Float32Array(16).fill(1), new Float32Array(16).fill(2)] as const;
    const edited = applyLinearEdits(model, [
      { node: 'first', weight: weights[0], bias: undefined },
      { node: 'second', weight: weights[1], bias: undefined },
    ]);
    const shapes = inferShapes(edited);
    expect(describeLinearLayer(edited, 'first', shapes)?.weight).toEqual(weights[0]);
    expect(describeLinearLayer(edited, 'second', shapes)?.weight).toEqual(weights[1]);
    expect(edited.graph.initializers.size).toBe(2);
  });
});

test('a tied bias operand (the same initializer twice in one node) is not changed for the other role', () => {
  const b = new ModelBuilder({ opset: 13 });
  const x = b.input('input', ['N', 1, 4, 4]);
  const one = b.weights([1, 1, 1, 1], [3], 'one');
  const y = b.node('Conv', [x, one, b.node('Reshape', [one, b.ints([1])])], {}, { name: 'conv' });
  b.output(y);
  const model = parseModel(b.bytes());
  const edited = applyLinearEdits(model, [{ node: 'conv', weight: Float32Array.of(5), bias: Float32Array.of(7) }]);
  const layer = describeLinearLayer(edited, 'conv', inferShapes(edited));
  expect([layer?.weight[0], layer?.bias?.[0]]).toEqual([5, 7]);
});

test('half precision weights keep their type', () => {
  const b = new ModelBuilder({ opset: 13 });
  const x = b.input('input', ['N', 2], 'float16');
  const like = { ...float32Tensor('w', [2, 2], [1, 2, 3, 4]), dataType: 'float16' as const };
  const half = float32Tensor('w', [2, 2], [1, 2, 3, 4], like);
  b.output(b.node('Gemm', [x, b.initializer(half)], {}, { name: 'fc' }), ['N', 2], 'float16');
  const model = parseModel(b.bytes());
  const bias = Float32Array.of(0.5, -0.5);
  const edited = applyLinearEdits(model, [{ node: 'fc', weight: Float32Array.of(1, 3, 2.5, 4), bias }]);
  const types = [...edited.graph.initializers.values()].map((tensor) => tensor.dataType);
  expect(types).toEqual(['float16', 'float16']);
  expect(describeLinearLayer(edited, 'fc', inferShapes(edited))?.weight).toEqual(Float32Array.of(1, 3, 2.5, 4));
});

test('what is not linear, or not constant, is not described; wrong edits are refused', () => {
  const b = new ModelBuilder({ opset: 13 });
  const x = b.input('input', [3, 4]);
  const w = b.input('w', [4, 4]);
  b.node('MatMul', [x, w], {}, { name: 'variable' });
  b.node('MatMul', [b.weights([5, 3]), x], {}, { name: 'left' });
  b.node('Gemm', [x, b.weights([3, 4])], { transA: 1 }, { name: 'transposed' });
  b.node('Gemm', [x, b.weights([4, 2]), b.weights([3, 2])], {}, { name: 'rows' });
  b.node('Relu', [x], {}, { name: 'relu' });
  b.output(b.node('Gemm', [x, b.weights([4, 2])], {}, { name: 'fc' }));
  const model = b.build();
  const shapes = inferShapes(model);
  expect(describeLinearLayers(model, shapes).map((layer) => layer.node)).toEqual(['fc']);
  expect(describeLinearLayer(model, 'missing', shapes)).toBeUndefined();
  const edit = (node: string, weights: number, biases: number) => () =>
    applyLinearEdits(model, [{ node, weight: new Float32Array(weights), bias: new Float32Array(biases) }]);
  expect(codeOf(edit('relu', 8, 2))).toBe('ERR_OPTION');
  expect(codeOf(edit('fc', 7, 2))).toBe('ERR_SHAPE');
  expect(codeOf(edit('fc', 8, 3))).toBe('ERR_SHAPE');
});

test('re-writing every layer of a real network with its own weights changes nothing it computes', async () => {
  const path = resolve(__dirname, '../../../../shared/models/resnet20.onnx');
  if (!existsSync(path)) {
    console.warn(`not run: ${path} is missing`);
    return;
  }
  const model = await readModel(path);
  const layers = describeLinearLayers(model, inferShapes(model));
  expect(layers).toHaveLength(20);
  const edited = applyLinearEdits(model, layers);
  const input = sampleInput([2, 3, 32, 32]);
  const [before, after] = await Promise.all([runModel(model, { input }), runModel(edited, { input })]);
  expect(largestDifference(before.get('logits')?.data ?? [], after.get('logits')?.data ?? [])).toBe(0);
  if (hasPython('onnx')) expect(onnxProblems({ 'edited.onnx': serializeModel(edited) })).toEqual({});
});
