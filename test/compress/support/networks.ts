import type { Model } from '../../../src/onnx/ir';
import { describeBatchNorms } from '../../../src/onnx/passes/batchNorm';
import { float32Tensor, rawTensor, tensorToFloat32 } from '../../../src/onnx/tensor';
import { ModelBuilder } from '../../support/modelBuilder';
import { runModel } from '../../support/runtime';
import { CLASSES, SAMPLE_DIMS, SIDE, toyImages, type ToyImages } from './toyData';

const SAME = { pads: [1, 1, 1, 1] };

interface Shape {
  readonly batch?: number;
  readonly opset?: number;
}

/** Adds a network up to its features; gives their tensor and how many they are. */
type Trunk = (builder: ModelBuilder, input: string) => { readonly features: string; readonly width: number };

function convBnRelu(b: ModelBuilder, x: string, inputs: number, outputs: number, stride = 1): string {
  return b.node('Relu', [convBn(b, x, inputs, outputs, 3, stride)]);
}

/** A convolution without bias, as it stands before a batch normalisation. */
function convBn(b: ModelBuilder, x: string, inputs: number, outputs: number, kernel: number, stride = 1): string {
  const pads = kernel === 3 ? SAME : {};
  const weight = b.weights([outputs, inputs, kernel, kernel]);
  const attributes = { kernel_shape: [kernel, kernel], strides: [stride, stride], ...pads };
  return b.batchNorm(b.node('Conv', [x, weight], attributes), outputs);
}

function pooled(b: ModelBuilder, x: string, width: number): { features: string; width: number } {
  return { features: b.node('Flatten', [b.node('GlobalAveragePool', [x])]), width };
}

const residual: Trunk = (b, x) => {
  const stem = convBnRelu(b, x, 3, 16);
  const inner = convBn(b, convBnRelu(b, stem, 16, 16), 16, 16, 3);
  const first = b.node('Relu', [b.node('Add', [inner, stem])]);
  const down = convBn(b, convBnRelu(b, first, 16, 24, 2), 24, 24, 3);
  const shortcut = convBn(b, first, 16, 24, 1, 2);
  return pooled(b, b.node('Relu', [b.node('Add', [down, shortcut])]), 24);
};

const folded: Trunk = (b, x) => {
  const conv = (from: string, inputs: number, outputs: number): string => b.conv(from, inputs, outputs, 3, SAME);
  const stem = b.node('Relu', [conv(x, 3, 16)]);
  const inner = conv(b.node('Relu', [conv(stem, 16, 20)]), 20, 16);
  const joined = b.node('Relu', [b.node('Add', [inner, stem])]);
  return pooled(b, b.node('Relu', [conv(joined, 16, 24)]), 24);
};

const vgg: Trunk = (b, x) => {
  const pool = (from: string): string => b.node('MaxPool', [from], { kernel_shape: [2, 2], strides: [2, 2] });
  const first = pool(b.node('Relu', [b.conv(x, 3, 12, 3, SAME)]));
  const second = pool(b.node('Relu', [b.conv(first, 12, 16, 3, SAME)]));
  const flat = b.node('Flatten', [second]);
  return { features: b.node('Relu', [b.gemm(flat, 16 * 4, 32)]), width: 32 };
};

const concat: Trunk = (b, x) => {
  const stem = b.node('Relu', [b.conv(x, 3, 12, 3, SAME)]);
  const wide = b.node('Relu', [b.conv(stem, 12, 10, 3, SAME)]);
  const narrow = b.node('Relu', [b.conv(stem, 12, 6, 1)]);
  const joined = b.node('Concat', [wide, narrow, stem], { axis: 1 });
  return pooled(b, b.node('Relu', [b.conv(joined, 28, 20, 3, SAME)]), 20);
};

const depthwise: Trunk = (b, x) => {
  const stem = convBnRelu(b, x, 3, 16);
  const expanded = b.node('Relu', [convBn(b, stem, 16, 24, 1)]);
  const filtered = b.node('Relu', [b.conv(expanded, 24, 24, 3, { ...SAME, group: 24 })]);
  return pooled(b, b.node('Relu', [convBn(b, filtered, 24, 20, 1)]), 20);
};

export const TRUNKS = { residual, folded, vgg, concat, depthwise } as const;
export type NetworkName = keyof typeof TRUNKS;

/** The network with random features and a head that was fitted to them by least squares: a real, imperfect classifier. */
export async function toyNetwork(name: NetworkName, shape: Shape = {}): Promise<Model> {
  const trunk = TRUNKS[name];
  const fitting = toyImages(800, 1);
  const build = (finish: (b: ModelBuilder, features: string, width: number) => void, batch?: number): Model => {
    const b = new ModelBuilder({ seed: 5, opset: shape.opset });
    const { features, width } = trunk(b, b.input('input', [batch ?? 'N', ...SAMPLE_DIMS]));
    finish(b, features, width);
    return b.build();
  };
  const bare = await calibrateBatchNorms(
    build((b, features, width) => void b.output(features, ['N', width])),
    fitting,
  );
  const head = await fitHead(bare, fitting);
  const whole = build((b, features, width) => {
    const weight = b.weights([CLASSES, width], head.weight);
    const logits = b.node('Gemm', [features, weight, b.weights([CLASSES], head.bias)], { transB: 1 }, HEAD);
    b.output(logits, [shape.batch ?? 'N', CLASSES]);
  }, shape.batch);
  const initializers = new Map([...whole.graph.initializers, ...bare.graph.initializers]);
  return { ...whole, graph: { ...whole.graph, initializers } };
}

const HEAD = { name: 'head', outputs: ['logits'] };

/** The same network for images with channels last. */
export function channelsLast(model: Model): Model {
  const input = { ...model.graph.inputs[0]!, name: 'pixels', shape: ['N', SIDE, SIDE, 3] };
  const transpose = {
    name: 'to_channels_first',
    key: 'to_channels_first',
    opType: 'Transpose',
    domain: '',
    inputs: ['pixels'],
    outputs: ['input'],
    attributes: new Map([['perm', { kind: 'ints' as const, value: [0, 3, 1, 2] }]]),
  };
  return { ...model, graph: { ...model.graph, inputs: [input], nodes: [transpose, ...model.graph.nodes] } };
}

/** The same network in float16, input and output too. */
export function halfPrecision(model: Model): Model {
  const { graph } = model;
  const dataType = 'float16' as const;
  const like = rawTensor('like', [0], dataType, new Uint8Array(0));
  const initializers = [...graph.initializers].map(
    ([name, tensor]) => [name, float32Tensor(name, tensor.dims, tensorToFloat32(tensor), like)] as const,
  );
  const inputs = graph.inputs.map((input) => ({ ...input, dataType }));
  const outputs = graph.outputs.map((output) => ({ ...output, dataType }));
  return { ...model, graph: { ...graph, inputs, outputs, initializers: new Map(initializers) } };
}

/** Float32 input and output around a network of another float type, for runtimes that want such. */
export function withFloat32Ends({ graph, ...model }: Model): Model {
  const [input, output] = [graph.inputs[0]!, graph.outputs[0]!];
  if (input.dataType === 'float32') return { ...model, graph };
  const cast = (from: string, to: string, code: number) => ({
    name: `cast_to_${to}`,
    key: `cast_to_${to}`,
    opType: 'Cast',
    domain: '',
    inputs: [from],
    outputs: [to],
    attributes: new Map([['to', { kind: 'int' as const, value: code }]]),
  });
  const rename = (name: string): string =>
    name === input.name ? 'input_half' : name === output.name ? 'output_half' : name;
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
  }));
  const FLOAT = 1;
  const FLOAT16 = 10;
  return {
    ...model,
    graph: {
      ...graph,
      inputs: [{ ...input, dataType: 'float32' }],
      outputs: [{ ...output, dataType: 'float32' }, ...graph.outputs.slice(1)],
      nodes: [cast(input.name, 'input_half', FLOAT16), ...nodes, cast('output_half', output.name, FLOAT)],
    },
  };
}

/** Gives every batch normalisation the statistics it would have after training. */
async function calibrateBatchNorms(model: Model, data: ToyImages): Promise<Model> {
  let current = model;
  for (const { node, input, channels } of describeBatchNorms(model)) {
    const values = await tensorOf(current, input, data);
    const map = values.length / (data.count * channels);
    const mean = new Float64Array(channels);
    const square = new Float64Array(channels);
    values.forEach((value, index) => {
      const channel = Math.floor(index / map) % channels;
      mean[channel]! += value / (data.count * map);
      square[channel]! += value ** 2 / (data.count * map);
    });
    const variance = square.map((value, channel) => value - mean[channel]! ** 2);
    const inputs = current.graph.nodes.find(({ key }) => key === node)!.inputs;
    const initializers = new Map(current.graph.initializers);
    initializers.set(inputs[3]!, float32Tensor(inputs[3]!, [channels], mean));
    initializers.set(inputs[4]!, float32Tensor(inputs[4]!, [channels], variance));
    current = { ...current, graph: { ...current.graph, initializers } };
  }
  return current;
}

async function tensorOf(model: Model, name: string, { count, images }: ToyImages): Promise<Float32Array> {
  const outputs = [{ name, dataType: 'float32' as const, shape: undefined }];
  const tapped = { ...model, graph: { ...model.graph, outputs } };
  const results = await runModel(tapped, { input: { dims: [count, ...SAMPLE_DIMS], data: images } });
  return results.get(name)!.data as Float32Array;
}

/** Least squares of one-hot targets on the features, with a small ridge; normal equations in float64. */
async function fitHead(model: Model, data: ToyImages): Promise<{ weight: Float32Array; bias: Float32Array }> {
  const features = await tensorOf(model, model.graph.outputs[0]!.name, data);
  const width = features.length / data.count;
  const size = width + 1;
  const system = Array.from({ length: size }, () => new Float64Array(size + CLASSES));
  for (let sample = 0; sample < data.count; sample++) {
    const x = [...features.subarray(sample * width, (sample + 1) * width), 1];
    x.forEach((left, row) => {
      x.forEach((right, column) => (system[row]![column]! += left * right));
      system[row]![size + data.labels[sample]!]! += left;
    });
  }
  for (let row = 0; row < width; row++) system[row]![row]! += 1e-2 * data.count;
  eliminate(system);
  const solution = (row: number, label: number): number => 10 * system[row]![size + label]!;
  return {
    weight: Float32Array.from({ length: CLASSES * width }, (_, at) => solution(at % width, Math.floor(at / width))),
    bias: Float32Array.from({ length: CLASSES }, (_, label) => solution(width, label)),
  };
}

/** Gauss and Jordan; the system is positive definite, so its pivots need no search. */
function eliminate(system: readonly Float64Array[]): void {
  system.forEach((pivot, position) => {
    const scale = pivot[position]!;
    pivot.forEach((value, column) => (pivot[column] = value / scale));
    for (const row of system) {
      const factor = row[position]!;
      if (row !== pivot && factor !== 0) pivot.forEach((value, column) => (row[column]! -= factor * value));
    }
  });
}
