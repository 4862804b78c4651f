import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { measureCost } from '../../src/onnx/cost';
import { parseModel, readModel } from '../../src/onnx/load';
import { inferShapes } from '../../src/onnx/shapes';
import { float32Tensor, rawTensor } from '../../src/onnx/tensor';
import type { ModelCost } from '../../src/types';
import { ModelBuilder } from '../support/modelBuilder';
import { hasPython, runPython } from '../support/python';

const MODELS = resolve(__dirname, '../../../shared/models');

/** Parameters as torch counts them; arithmetic as the papers state it. */
const KNOWN: [file: string, parameters: number, macs: number][] = [
  ['resnet20.onnx', 269_722, 41e6],
  ['resnet56.onnx', 853_018, 126e6],
  ['vgg16.onnx', 14_987_722, 313.7e6],
];

test.each(KNOWN)('%s has %d parameters and about %d multiply-accumulates', async (file, parameters, macs) => {
  const path = join(MODELS, file);
  if (!existsSync(path)) {
    console.warn(`not run: ${path} is missing`);
    return;
  }
  const model = await readModel(path);
  const cost = measureCost(model, inferShapes(model));
  expect(cost.parameters).toBe(parameters);
  expect(Math.abs(cost.macs / macs - 1)).toBeLessThan(0.01);
  expect(cost.layers.reduce((sum, layer) => sum + layer.macs, 0)).toBe(cost.macs);
});

function cost(b: ModelBuilder, overrides?: Record<string, readonly number[]>): ModelCost {
  const model = parseModel(b.bytes());
  return measureCost(model, inferShapes(model, { overrides }));
}

/** The same network written as a torch module, and as a graph. */
test('agrees with torch on parameters and buffers of a network with every kind of layer', () => {
  const b = new ModelBuilder({ opset: 17 });
  const x = b.input('input', ['N', 3, 16, 16]);
  const normalized = b.node('Sub', [x, b.weights([1, 3, 1, 1])]);
  const stem = b.node('PRelu', [b.batchNorm(b.conv(normalized, 3, 8, 3), 8), b.weights([8, 1, 1])]);
  const depthwise = b.conv(stem, 8, 8, 3, { group: 8 });
  const up = b.node('ConvTranspose', [depthwise, b.weights([8, 6, 2, 2]), b.weights([6])], { strides: [2, 2] });
  const tokens = b.node('Reshape', [up, b.ints([0, 6, -1])]);
  const norm = b.node('LayerNormalization', [
    b.node('Transpose', [tokens], { perm: [0, 2, 1] }),
    b.weights([6]),
    b.weights([6]),
  ]);
  const dense = b.node('Add', [b.node('MatMul', [norm, b.weights([6, 5])]), b.weights([5])]);
  const halved = b.node('Mul', [dense, b.weights([], [0.5])]);
  const pooled = b.node('ReduceMean', [halved], { axes: [1], keepdims: 0 });
  b.output(b.gemm(pooled, 5, 4, { outputs: ['logits'] }), ['N', 4]);
  const own = cost(b);
  expect(own.runningStatistics).toBe(16);
  const rows = 24 * 24;
  const macs = 14 * 14 * 8 * 27 + 14 * 14 * 8 + 12 * 12 * 8 * 9 + 12 * 12 * 8 * 6 * 4 + rows * 6 * 5 + 5 * 4;
  expect(own.macs).toBe(macs);
  if (!hasPython('torch')) return;
  const script = `
import json, torch.nn as nn
net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.PReLU(8), nn.Conv2d(8, 8, 3, groups=8),
    nn.ConvTranspose2d(8, 6, 2, 2), nn.LayerNorm(6), nn.Linear(6, 5), nn.Linear(5, 4))
print(json.dumps({'parameters': sum(p.numel() for p in net.parameters()),
    'buffers': sum(p.numel() for p in net.buffers() if p.dim() > 0)}))`;
  expect({ parameters: own.parameters, buffers: own.runningStatistics }).toEqual(runPython(script));
});

test('a weight that two layers share counts once, Constant nodes count like initializers', () => {
  const b = new ModelBuilder({ opset: 13 });
  const x = b.input('input', ['N', 4]);
  const shared = b.constant(float32Tensor('shared', [4, 4], new Float32Array(16)));
  b.output(b.node('MatMul', [b.node('Relu', [b.node('MatMul', [x, shared])]), shared]));
  const result = cost(b);
  expect(result.layers.map((layer) => [layer.parameters, layer.macs])).toEqual([
    [16, 16],
    [0, 16],
  ]);
});

test('arithmetic is per sample, whether the batch is open, fixed, or folded into another axis', () => {
  const network = (batch: number | string) => {
    const b = new ModelBuilder({ opset: 13 });
    const x = b.input('input', [batch, 2, 4, 4]);
    const rows = b.node('Reshape', [b.node('Transpose', [x], { perm: [0, 2, 3, 1] }), b.ints([-1, 2])]);
    b.output(b.gemm(rows, 2, 3));
    return b;
  };
  for (const batch of ['N', 1, 8]) expect(cost(network(batch)).macs).toBe(16 * 2 * 3);
  expect(cost(network('N'), { input: [5, 2, 4, 4] }).macs).toBe(16 * 2 * 3);
});

test('an unknown image size gives NaN arithmetic, known parameters and open shapes', () => {
  const b = new ModelBuilder({ opset: 13 });
  b.output(b.conv(b.input('input', ['N', 3, 'H', undefined]), 3, 4, 3));
  const result = cost(b);
  expect(result.macs).toBeNaN();
  expect(result.parameters).toBe(4 * 27 + 4);
  expect(result.layers[0]?.outputShape).toEqual(['N', 4, '?', '?']);
});

test('quantised weights count by their number of values', () => {
  const b = new ModelBuilder({ opset: 13 });
  const x = b.input('input', ['N', 3, 8, 8]);
  const weight = b.initializer(rawTensor('w8', [4, 3, 3, 3], 'int8', new Uint8Array(108)));
  const point = b.initializer(rawTensor('zero', [], 'int8', new Uint8Array(1)));
  b.output(b.node('Conv', [x, b.node('DequantizeLinear', [weight, b.weights([], [0.1]), point])]));
  expect(cost(b)).toMatchObject({ parameters: 108, macs: 36 * 4 * 27 });
});
