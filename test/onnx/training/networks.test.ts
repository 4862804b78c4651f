import type * as OnnxRuntime from 'onnxruntime-node';

import type { Model } from '../../../src/onnx/ir';
import { toModelBytes } from '../../../src/onnx/save';
import { writeForward } from '../../../src/onnx/training/differentiate';
import { createGraphBuilder } from '../../../src/onnx/training/graphBuilder';
import { GRADIENT_RULES } from '../../../src/onnx/training/rules';
import { createRandom } from '../../../src/random';
import { ModelBuilder } from '../../support/modelBuilder';
import { checkGradients } from './gradientCheck';

// eslint-disable-next-line @typescript-eslint/no-require-imports -- the native module is CommonJS
const ort = require('onnxruntime-node') as typeof OnnxRuntime;

const SAME = { pads: [1, 1, 1, 1] };

/** A block that halves the images and doubles the channels, past which a shortcut without parameters goes. */
function residual(): Model {
  const b = new ModelBuilder({ opset: 13 });
  const stem = b.node('Relu', [b.batchNorm(b.conv(b.input('x', [6, 3, 8, 8]), 3, 4, 3, SAME), 4)]);
  const inner = b.node('Relu', [b.batchNorm(b.conv(stem, 4, 8, 3, { ...SAME, strides: [2, 2] }), 8)]);
  const outer = b.batchNorm(b.conv(inner, 8, 8, 3, SAME), 8);
  const every = b.node('Slice', [stem, b.ints([0, 0]), b.ints([99, 99]), b.ints([2, 3]), b.ints([2, 2])]);
  const shortcut = b.node('Pad', [every, b.ints([0, 2, 0, 0, 0, 2, 0, 0])]);
  const joined = b.node('Relu', [b.node('Add', [outer, shortcut])]);
  b.output(b.gemm(b.node('Flatten', [b.node('GlobalAveragePool', [joined])]), 8, 5));
  return b.build();
}

function plain(): Model {
  const b = new ModelBuilder({ opset: 11 });
  const first = b.node('Relu', [b.batchNorm(b.conv(b.input('x', [6, 3, 8, 8]), 3, 4, 3, SAME), 4)]);
  const second = b.conv(b.node('MaxPool', [first], { kernel_shape: [2, 2], strides: [2, 2] }), 4, 6, 3, SAME);
  const pooled = b.node('MaxPool', [b.node('Relu', [b.batchNorm(second, 6)])], {
    kernel_shape: [2, 2],
    strides: [2, 2],
  });
  b.output(b.gemm(b.node('Reshape', [pooled, b.ints([-1, 24])]), 24, 5));
  return b.build();
}

function dense(): Model {
  const b = new ModelBuilder();
  let features = b.conv(b.input('x', [6, 3, 8, 8]), 3, 4, 3, SAME);
  for (const channels of [4, 7, 10]) {
    const normalized = b.node('Relu', [b.batchNorm(features, channels)]);
    features = b.node('Concat', [features, b.conv(normalized, channels, 3, 3, SAME)], { axis: 1 });
  }
  const squeezed = b.conv(b.node('Relu', [b.batchNorm(features, 13)]), 13, 6, 1);
  const halved = b.node('AveragePool', [squeezed], { kernel_shape: [2, 2], strides: [2, 2] });
  b.output(b.gemm(b.node('ReduceMean', [b.node('Relu', [halved])], { axes: [2, 3], keepdims: 0 }), 6, 5));
  return b.build();
}

const NETWORKS: [string, Model][] = [
  ['residual', residual()],
  ['plain', plain()],
  ['dense', dense()],
];

describe.each(NETWORKS)('a small %s network', (_, model) => {
  // A bias in front of a normalization by batch statistics has the gradient zero, which nothing is relative to.
  const names = [...model.graph.nodes].flatMap(({ opType, inputs }) => (opType === 'Conv' ? [inputs[2] ?? ''] : []));

  test.each(['batch', 'frozen'] as const)('%s statistics', async (batchNorm) => {
    for (const device of ['cpu', 'webgpu'] as const)
      await checkGradients(model, { batchNorm, device, constants: names, finiteDifferences: false });
  });

  test('a step that runs again gives the same, to the bit', async () => {
    const build = createGraphBuilder();
    const x = build.input('x', model.graph.inputs[0]!.shape as readonly number[]);
    const settings = { batchNorm: 'batch', device: 'cpu' } as const;
    const stored = [...model.graph.initializers.values()].filter(({ dataType }) => dataType === 'float32');
    const parameters = stored.map(({ name, dims }) => [name, build.input(name, dims)] as const);
    const values = new Map([['x', x], ...parameters]);
    const trained = new Set(parameters.map(([name]) => name));
    const output = model.graph.outputs[0]!.name;
    const forward = writeForward(build, model, { values, trained }, [output], GRADIENT_RULES, settings);
    const gradients = forward.backward(new Map([[output, forward.valueOf(output)]]));
    for (const [name, value] of [...gradients, ...forward.statistics]) build.output(`new ${name}`, value);
    const { bytes } = toModelBytes(build.build('step'));
    const session = await ort.InferenceSession.create(bytes, { intraOpNumThreads: 2, graphOptimizationLevel: 'all' });
    const random = createRandom(1);
    const wanted = [...values].filter(([name]) => session.inputNames.includes(name));
    const before = wanted.map(([name, { dims }]) => {
      const count = dims.reduce((product, size) => product * size, 1);
      return [name, dims, Float32Array.from({ length: count }, () => random.uniform())] as const;
    });
    const feeds = Object.fromEntries(
      before.map(([name, dims, data]) => [name, new ort.Tensor('float32', data.slice(), dims)]),
    );
    const [first, second] = [await session.run(feeds), await session.run(feeds)];
    await session.release();
    expect(Object.keys(first).length).toBeGreaterThan(10);
    for (const name of Object.keys(first)) expect([name, second[name]!.data]).toEqual([name, first[name]!.data]);
    for (const [name, , data] of before) expect([name, feeds[name]!.data]).toEqual([name, data]);
  });
});
