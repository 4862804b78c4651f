import type { Model } from '../../../src/onnx/ir';
import { float32Tensor, int64Tensor } from '../../../src/onnx/tensor';
import type { Random } from '../../../src/random';
import { createRandom } from '../../../src/random';
import { ModelBuilder } from '../../support/modelBuilder';

/** A tensor [N, channels, size, size] of the graph being built. */
interface FeatureMap {
  readonly name: string;
  readonly channels: number;
  readonly size: number;
}

interface Workshop {
  readonly model: ModelBuilder;
  readonly random: Random;
  readonly maps: FeatureMap[];
  readonly opset: number;
}

export interface RandomGraph {
  readonly model: Model;
  readonly inputDims: readonly number[];
  /** Grouped convolutions and channel shuffles are tied where most slots are left, which a cut may change. */
  readonly mayRegroup: boolean;
}

const BATCH = 2;
const INPUT_SIZE = 8;

/** A small CNN classifier drawn from a grammar; the same for the same seed. */
export function randomGraph(seed: number): RandomGraph {
  const random = createRandom(seed);
  const opset = pick(random, [11, 13, 17, 18]);
  const model = new ModelBuilder({ opset, seed: seed + 1 });
  const batch = random.uniform() < 0.5 ? 'N' : BATCH;
  const input = model.input('input', [batch, 3, INPUT_SIZE, INPUT_SIZE]);
  const workshop: Workshop = { model, random, opset, maps: [{ name: input, channels: 3, size: INPUT_SIZE }] };
  let mayRegroup = false;

  convolution(workshop);
  const steps = 5 + random.integer(9);
  for (let step = 0; step < steps; step++) {
    const production = pick(random, PRODUCTIONS);
    if (production === groupedConvolution || production === channelShuffle) mayRegroup = true;
    production(workshop);
  }
  const last = latest(workshop);
  if (random.uniform() < 0.15) {
    const early = anyMap(workshop);
    if (early.name !== 'input') model.output(early.name, [batch, early.channels, early.size, early.size]);
  }
  model.output(head(workshop, last), [batch, CLASSES]);
  return { model: model.build(), inputDims: [BATCH, 3, INPUT_SIZE, INPUT_SIZE], mayRegroup };
}

const CLASSES = 5;

function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[random.integer(choices.length)] as T;
}

function latest({ maps }: Workshop): FeatureMap {
  const last = maps.at(-1);
  if (last === undefined) throw new Error('the graph has its input at least');
  return last;
}

/** Mostly the last tensor, so that graphs grow deep. */
function anyMap(workshop: Workshop): FeatureMap {
  return workshop.random.uniform() < 0.75 ? latest(workshop) : pick(workshop.random, workshop.maps);
}

function push(workshop: Workshop, name: string, channels: number, size: number): FeatureMap {
  const map = { name, channels, size };
  workshop.maps.push(map);
  return map;
}

/** Weights come as initializers, as Constant nodes, or behind an Identity or a Transpose. */
function weight({ model, random }: Workshop, dims: readonly number[]): string {
  const name = model.weights(dims);
  const kind = random.uniform();
  if (kind < 0.6) return name;
  if (kind < 0.7) return model.node('Identity', [name]);
  const count = dims.reduce((product, dim) => product * dim, 1);
  const values = Float32Array.from({ length: count }, () => random.normal() / Math.sqrt(count / (dims[0] ?? 1)));
  if (kind < 0.9 || dims.length < 2) return model.constant(float32Tensor(`${name}_node`, dims, values));
  const turned = model.weights([...dims].reverse(), values);
  return model.node('Transpose', [turned]);
}

function ints({ model, random }: Workshop, values: readonly number[]): string {
  const name = model.ints(values);
  return random.uniform() < 0.5 ? name : model.constant(int64Tensor(`${name}_node`, [values.length], values));
}

function convolve(
  workshop: Workshop,
  from: FeatureMap,
  outputs: number,
  kernel: number,
  group = 1,
  stride = 1,
): FeatureMap {
  const { model, random } = workshop;
  const operands = [from.name, weight(workshop, [outputs, from.channels / group, kernel, kernel])];
  if (random.uniform() < 0.7) operands.push(weight(workshop, [outputs]));
  const pad = (kernel - 1) / 2;
  const attributes = { kernel_shape: [kernel, kernel], pads: [pad, pad, pad, pad], strides: [stride, stride], group };
  return push(workshop, model.node('Conv', operands, attributes), outputs, Math.ceil(from.size / stride));
}

function convolution(workshop: Workshop): void {
  const from = anyMap(workshop);
  const { random } = workshop;
  const stride = from.size >= 4 && random.uniform() < 0.2 ? 2 : 1;
  convolve(workshop, from, pick(random, [4, 6, 8, 12]), pick(random, [1, 3]), 1, stride);
}

function depthwise(workshop: Workshop): void {
  const from = anyMap(workshop);
  convolve(workshop, from, from.channels * pick(workshop.random, [1, 1, 2]), 3, from.channels);
}

function groupedConvolution(workshop: Workshop): void {
  const from = anyMap(workshop);
  const groups = [2, 3, 4].filter((count) => from.channels % count === 0 && from.channels > count);
  if (groups.length === 0) return convolution(workshop);
  const group = pick(workshop.random, groups);
  convolve(workshop, from, group * pick(workshop.random, [2, 3]), 3, group);
}

function sharedWeights(workshop: Workshop): void {
  const { model } = workshop;
  const from = anyMap(workshop);
  const shared = weight(workshop, [4, from.channels, 1, 1]);
  const other = workshop.maps.find((map) => map.channels === from.channels && map.size === from.size) ?? from;
  const first = model.node('Conv', [from.name, shared]);
  const second = model.node('Conv', [other.name, shared, weight(workshop, [4])]);
  push(workshop, model.node('Concat', [first, second], { axis: 1 }), 8, from.size);
}

function batchNorm(workshop: Workshop): void {
  const from = anyMap(workshop);
  push(workshop, workshop.model.batchNorm(from.name, from.channels), from.channels, from.size);
}

function activation(workshop: Workshop): void {
  const { model, random, opset } = workshop;
  const from = anyMap(workshop);
  const kinds = ['Relu', 'Sigmoid', 'LeakyRelu', 'Tanh', 'HardSigmoid', 'Softplus', 'Elu', 'Clip', 'PRelu'];
  const kind = pick(random, opset >= 14 ? [...kinds, 'HardSwish'] : kinds);
  if (kind === 'Clip') {
    const bounds = [-1, 1].map((bound) => model.weights([], [bound]));
    push(workshop, model.node('Clip', [from.name, ...bounds]), from.channels, from.size);
  } else if (kind === 'PRelu') {
    const slope = weight(workshop, [from.channels, 1, 1]);
    push(workshop, model.node('PRelu', [from.name, slope]), from.channels, from.size);
  } else push(workshop, model.node(kind, [from.name]), from.channels, from.size);
}

function combination(workshop: Workshop): void {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const partners = workshop.maps.filter((map) => map.channels === from.channels && map.size === from.size);
  const other =
    partners.length > 1 && random.uniform() < 0.8 ? pick(random, partners) : convolve(workshop, from, from.channels, 1);
  push(
    workshop,
    model.node(pick(random, ['Add', 'Add', 'Sub', 'Mul', 'Max']), [from.name, other.name]),
    from.channels,
    from.size,
  );
}

/** x / (|y| + 0.5): a removed channel divides zero by zero in the masked reference. */
function division(workshop: Workshop): void {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const partners = workshop.maps.filter((map) => map.channels === from.channels && map.size === from.size);
  const positive = model.node('Add', [model.node('Abs', [pick(random, partners).name]), model.weights([], [0.5])]);
  push(workshop, model.node('Div', [from.name, positive]), from.channels, from.size);
}

function channelConstant(workshop: Workshop): void {
  const { random, model } = workshop;
  const from = anyMap(workshop);
  const dims = pick(random, [
    [from.channels, 1, 1],
    [1, from.channels, 1, 1],
    [],
    [1],
    [from.size],
    [1, 1, from.size, 1],
  ]);
  const operands = [from.name, weight(workshop, dims)];
  if (random.uniform() < 0.3) operands.reverse();
  push(workshop, model.node(pick(random, ['Add', 'Mul', 'Sub']), operands), from.channels, from.size);
}

function concatenation(workshop: Workshop): void {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const partners = workshop.maps.filter((map) => map.size === from.size);
  const others = Array.from({ length: 1 + random.integer(2) }, () => pick(random, partners));
  const all = [from, ...others];
  const channels = all.reduce((sum, map) => sum + map.channels, 0);
  if (channels > 48) return convolution(workshop);
  const names = all.map((map) => map.name);
  push(workshop, model.node('Concat', names, { axis: random.uniform() < 0.5 ? 1 : -3 }), channels, from.size);
}

function split(workshop: Workshop): void {
  const { model, random, opset } = workshop;
  const from = anyMap(workshop);
  if (from.channels < 4) return convolution(workshop);
  const first = 1 + random.integer(from.channels - 1);
  const sizes =
    from.channels % 2 === 0 && random.uniform() < 0.5
      ? [from.channels / 2, from.channels / 2]
      : [first, from.channels - first];
  const equal = sizes[0] === sizes[1] && random.uniform() < 0.5;
  const attributes = {
    axis: 1,
    ...(opset < 13 && !equal ? { split: sizes } : {}),
    ...(opset >= 18 && equal ? { num_outputs: 2 } : {}),
  };
  const operands = opset >= 13 && !equal ? [from.name, ints(workshop, sizes)] : [from.name];
  const outputs = sizes.map((_, index) => `${from.name}_part${index}_${workshop.maps.length}`);
  model.node('Split', operands, attributes, { outputs });
  outputs.forEach((name, index) => push(workshop, name, sizes[index] ?? 0, from.size));
}

function slice(workshop: Workshop): void {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const kind = random.uniform();
  const operand = (value: number) => ints(workshop, [value]);
  if (kind < 0.5 && from.channels > 1) {
    const start = random.integer(from.channels - 1);
    const end = start + 1 + random.integer(from.channels - start);
    const ends =
      end === from.channels ? pick(random, [end, Number.MAX_SAFE_INTEGER]) : pick(random, [end, end - from.channels]);
    const name = model.node('Slice', [from.name, operand(start), operand(ends), operand(1)]);
    push(workshop, name, Math.min(end, from.channels) - start, from.size);
  } else if (from.size >= 4) {
    const operands = [
      [0, 0],
      [100, 100],
      [2, 3],
      [2, 2],
    ].map((values) => ints(workshop, values));
    push(workshop, model.node('Slice', [from.name, ...operands]), from.channels, Math.ceil(from.size / 2));
  }
}

function padding(workshop: Workshop): void {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  if (random.uniform() < 0.3) {
    const mode = pick(random, ['constant', 'reflect', 'edge']);
    const pads = ints(workshop, [0, 0, 1, 1, 0, 0, 1, 1]);
    if (from.size > 1) push(workshop, model.node('Pad', [from.name, pads], { mode }), from.channels, from.size + 2);
    return;
  }
  const before = random.integer(3);
  const after = random.integer(4);
  const operands = [from.name, ints(workshop, [0, before, 0, 0, 0, after, 0, 0])];
  if (random.uniform() < 0.3) operands.push(model.weights([], [0.7]));
  const padded = push(workshop, model.node('Pad', operands), from.channels + before + after, from.size);
  if (random.uniform() < 0.6) {
    const other = convolve(workshop, from, padded.channels, 1);
    push(workshop, model.node('Add', [padded.name, other.name]), padded.channels, padded.size);
  }
}

function pool(workshop: Workshop): void {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  if (from.size < 2) return;
  const kind = pick(random, ['MaxPool', 'AveragePool']);
  if (random.uniform() < 0.5) {
    const attributes = { kernel_shape: [2, 2], strides: [2, 2] };
    push(workshop, model.node(kind, [from.name], attributes), from.channels, Math.floor(from.size / 2));
  } else {
    const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
    push(workshop, model.node(kind, [from.name], attributes), from.channels, from.size);
  }
}

/** The output size as factors, or as sizes where the batch is one of them. */
function resize(workshop: Workshop): void {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  if (from.size > 8) return;
  const scales = model.weights([4], [1, 1, 2, 2]);
  const inputs = [from.name, model.weights([0], []), scales];
  if (random.uniform() < 0.5) {
    inputs[2] = model.weights([0], []);
    inputs.push(ints(workshop, [BATCH, from.channels, from.size * 2, from.size * 2]));
  }
  const attributes = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  push(workshop, model.node('Resize', inputs, attributes), from.channels, from.size * 2);
}

/** Axes are an attribute before operator set 18 and an input from then on (ReduceSum aside). */
function reduce(
  { model, opset }: Workshop,
  kind: string,
  input: string,
  axes: readonly number[],
  keepdims: number,
): string {
  if (opset < 18) return model.node(kind, [input], { axes, keepdims });
  return model.node(kind, [input, model.ints(axes)], { keepdims });
}

function pooled(workshop: Workshop, from: FeatureMap, keepdims: boolean): string {
  const { model, random } = workshop;
  if (keepdims && random.uniform() < 0.5) return model.node('GlobalAveragePool', [from.name]);
  return reduce(workshop, 'ReduceMean', from.name, [2, -1], keepdims ? 1 : 0);
}

function gate(workshop: Workshop): void {
  const { model, random, opset } = workshop;
  const from = anyMap(workshop);
  const hidden = pick(random, [2, 4]);
  let scale: string;
  if (random.uniform() < 0.5) {
    const squeezed = { name: pooled(workshop, from, true), channels: from.channels, size: 1 };
    const inner = convolve(workshop, squeezed, hidden, 1);
    const outer = convolve(workshop, { ...inner, name: model.node('Relu', [inner.name]) }, from.channels, 1);
    workshop.maps.splice(workshop.maps.length - 2, 2);
    scale = model.node('Sigmoid', [outer.name]);
  } else {
    const inner = model.gemm(pooled(workshop, from, false), from.channels, hidden);
    const flat = model.node('Sigmoid', [model.gemm(model.node('Relu', [inner]), hidden, from.channels)]);
    if (random.uniform() < 0.5) scale = model.node('Reshape', [flat, ints(workshop, [-1, from.channels, 1, 1])]);
    else if (opset < 13) scale = model.node('Unsqueeze', [flat], { axes: [2, 3] });
    else scale = model.node('Unsqueeze', [flat, ints(workshop, [2, -1])]);
  }
  push(
    workshop,
    model.node('Mul', random.uniform() < 0.5 ? [from.name, scale] : [scale, from.name]),
    from.channels,
    from.size,
  );
}

/** One gate value for each place, from all channels: by a convolution, or by a mean that can not be cut. */
function spatialGate(workshop: Workshop): void {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const narrow =
    random.uniform() < 0.6
      ? model.conv(from.name, from.channels, 1, 1)
      : reduce(workshop, random.uniform() < 0.5 ? 'ReduceMax' : 'ReduceL2', from.name, [1], 1);
  push(workshop, model.node('Mul', [from.name, model.node('Sigmoid', [narrow])]), from.channels, from.size);
}

function channelShuffle(workshop: Workshop): void {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const groups = [2, 3, 4].filter((count) => from.channels % count === 0);
  if (groups.length === 0) return;
  if (random.uniform() < 0.4) {
    const order = random.shuffle(Array.from({ length: from.channels }, (_, index) => index));
    const name = model.node('Gather', [from.name, ints(workshop, order)], { axis: 1 });
    push(workshop, name, from.channels, from.size);
    return;
  }
  const count = pick(random, groups);
  const apart = model.node('Reshape', [
    from.name,
    ints(workshop, [0, count, from.channels / count, from.size, from.size]),
  ]);
  const turned = model.node('Transpose', [apart], { perm: [0, 2, 1, 3, 4] });
  const together = random.uniform() < 0.5 ? from.channels : -1;
  const name = model.node('Reshape', [
    turned,
    ints(workshop, [-1 * Number(together !== -1), together, from.size, from.size]),
  ]);
  push(workshop, name, from.channels, from.size);
}

/** A dense layer on the channels of every place, in NHWC order. */
function channelsLast(workshop: Workshop): void {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const outputs = pick(random, [4, 8]);
  const turned = model.node('Transpose', [from.name], { perm: [0, 2, 3, 1] });
  const product = model.node('MatMul', [turned, weight(workshop, [from.channels, outputs])]);
  const biased = model.node('Add', [weight(workshop, [outputs]), product]);
  push(workshop, model.node('Transpose', [biased], { perm: [0, 3, 1, 2] }), outputs, from.size);
}

function acrossChannels(workshop: Workshop): void {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const kind = pick(random, ['Softmax', 'LRN', 'Places']);
  if (kind === 'LRN') push(workshop, model.node('LRN', [from.name], { size: 3 }), from.channels, from.size);
  else
    push(workshop, model.node('Softmax', [from.name], { axis: kind === 'Places' ? 3 : 1 }), from.channels, from.size);
}

/** Half of the channels, the number taken from the shape at run time. */
function computedHalf(workshop: Workshop): void {
  const { model } = workshop;
  const from = anyMap(workshop);
  if (from.channels % 2 !== 0) return;
  const channels = model.node('Gather', [model.node('Shape', [from.name]), model.ints([1])]);
  const half = model.node('Div', [channels, model.ints([2])]);
  const axis = model.ints([1]);
  const lower = model.node('Slice', [from.name, model.ints([0]), half, axis]);
  const upper = model.node('Slice', [from.name, half, channels, axis]);
  push(workshop, lower, from.channels / 2, from.size);
  push(workshop, upper, from.channels / 2, from.size);
}

const PRODUCTIONS: readonly ((workshop: Workshop) => void)[] = [
  ...[convolution, convolution, convolution, batchNorm, batchNorm, activation, activation, combination, combination],
  ...[depthwise, groupedConvolution, sharedWeights, channelConstant, concatenation, concatenation, split, slice],
  ...[padding, padding, pool, resize, gate, gate, spatialGate, channelShuffle, channelsLast, acrossChannels],
  ...[computedHalf, division],
];

/** Flattened to [N, features] in one of the ways in which exporters write it, then one or two dense layers. */
function head(workshop: Workshop, last: FeatureMap): string {
  const { model, random } = workshop;
  const isPooled = random.uniform() < 0.5;
  const from = isPooled ? { ...last, name: model.node('GlobalAveragePool', [last.name]), size: 1 } : last;
  const features = from.channels * from.size * from.size;
  let flat = flatten(workshop, from, features);
  let width = features;
  if (random.uniform() < 0.5) {
    flat = model.node('Relu', [dense(workshop, flat, width, 6)]);
    width = 6;
  }
  return dense(workshop, flat, width, CLASSES);
}

function flatten(workshop: Workshop, from: FeatureMap, features: number): string {
  const { model, random } = workshop;
  const kind = random.integer(5);
  if (kind === 0) return model.node('Flatten', [from.name], { axis: 1 });
  if (kind === 1) return model.node('Reshape', [from.name, ints(workshop, [0, -1])]);
  if (kind === 2) return model.node('Reshape', [from.name, ints(workshop, [-1, features])]);
  if (kind === 3) return model.node('Reshape', [from.name, ints(workshop, [BATCH, features])]);
  const batch = model.node('Gather', [model.node('Shape', [from.name]), model.ints([0])]);
  return model.node('Reshape', [from.name, model.node('Concat', [batch, model.ints([-1])], { axis: 0 })]);
}

function dense(workshop: Workshop, input: string, inputs: number, outputs: number): string {
  const { model, random } = workshop;
  if (random.uniform() < 0.5) return model.gemm(input, inputs, outputs);
  const product = model.node('MatMul', [input, weight(workshop, [inputs, outputs])]);
  return model.node('Add', [product, weight(workshop, [outputs])]);
}
