import type { Shape } from '../../../src/onnx/ir';
import { float32Tensor, int64Tensor } from '../../../src/onnx/tensor';
import type { ModelBuilder } from '../../support/modelBuilder';

/** An operator in a small graph, in the operator sets where its form changed. */
export interface ShapeCase {
  readonly name: string;
  readonly opsets: readonly number[];
  /** Input shape; 'N' is the batch. */
  readonly input?: Shape;
  /** Adds nodes and gives the tensors to compare. */
  readonly build: (b: ModelBuilder, x: string, opset: number) => string | readonly string[];
  /** The batch can not be told while it is symbolic (a product with it, for instance). */
  readonly needsBatch?: boolean;
}

interface AttributeCase {
  readonly name: string;
  readonly attributes: Readonly<Record<string, number | string | readonly number[]>>;
}

export const IMAGE: Shape = ['N', 4, 9, 7];
const ALL = [7, 9, 11, 13, 17, 18, 21, 22];
const from = (first: number) => ALL.filter((opset) => opset >= first);
const below = (limit: number) => ALL.filter((opset) => opset < limit);

const windowCases: ShapeCase[] = [
  ...(
    [
      { name: 'plain', attributes: {} },
      { name: 'padded', attributes: { pads: [1, 0, 2, 1] } },
      { name: 'strided', attributes: { strides: [2, 3], pads: [1, 1, 1, 1] } },
      { name: 'dilated', attributes: { dilations: [2, 2], pads: [2, 2, 2, 2] } },
      { name: 'same upper', attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] } },
      { name: 'same lower', attributes: { auto_pad: 'SAME_LOWER', strides: [2, 2] } },
      { name: 'valid', attributes: { auto_pad: 'VALID', strides: [2, 2] } },
      { name: 'grouped', attributes: { group: 2 } },
    ] as readonly AttributeCase[]
  ).map(({ name, attributes }: AttributeCase) => ({
    name: `Conv ${name}`,
    opsets: ALL,
    build: (b: ModelBuilder, x: string) => b.conv(x, 4, 6, 3, attributes),
  })),
  {
    name: 'Conv 1-D',
    opsets: [13],
    input: ['N', 4, 11],
    build: (b, x) => b.node('Conv', [x, b.weights([3, 4, 3])], { strides: [2] }),
  },
  {
    name: 'Conv 3-D',
    opsets: [13],
    input: ['N', 2, 5, 6, 7],
    build: (b, x) => b.node('Conv', [x, b.weights([3, 2, 2, 3, 1])], {}),
  },
  ...(
    [
      { name: 'plain', attributes: { strides: [2, 2] } },
      { name: 'padded', attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] } },
      { name: 'grouped', attributes: { group: 2, dilations: [2, 1] } },
      { name: 'same', attributes: { strides: [2, 2], auto_pad: 'SAME_UPPER' } },
      { name: 'output shape', attributes: { strides: [2, 2], output_shape: [18, 14] } },
    ] as readonly AttributeCase[]
  ).map(({ name, attributes }: AttributeCase) => ({
    name: `ConvTranspose ${name}`,
    opsets: [11, 22],
    build: (b: ModelBuilder, x: string) =>
      b.node('ConvTranspose', [x, b.weights([4, 3, 3, 3])], { kernel_shape: [3, 3], ...attributes }),
  })),
  ...['MaxPool', 'AveragePool'].flatMap((op) => [
    { name: `${op} plain`, opsets: ALL, build: pool(op, { kernel_shape: [2, 3], strides: [2, 2] }) },
    {
      name: `${op} padded`,
      opsets: ALL,
      build: pool(op, { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
    },
    {
      name: `${op} same`,
      opsets: ALL,
      build: pool(op, { kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'SAME_LOWER' }),
    },
    { name: `${op} ceil`, opsets: from(11), build: pool(op, { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }) },
    {
      name: `${op} ceil, last window in the padding`,
      opsets: from(11),
      build: pool(op, { kernel_shape: [1, 2], strides: [3, 2], pads: [0, 1, 0, 1], ceil_mode: 1 }),
    },
    {
      name: `${op} ceil, strides beyond the kernel`,
      opsets: from(11),
      build: pool(op, { kernel_shape: [1, 1], strides: [4, 4], pads: [0, 0, 0, 0], ceil_mode: 1 }),
    },
  ]),
  { name: 'MaxPool dilated', opsets: from(11), build: pool('MaxPool', { kernel_shape: [3, 2], dilations: [2, 3] }) },
  {
    name: 'MaxPool with indices',
    opsets: [11],
    build: (b, x) => {
      const outputs = ['values', 'indices'];
      b.node('MaxPool', [x], { kernel_shape: [2, 2] }, { outputs });
      return outputs;
    },
  },
  ...['GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'].map((op) => ({
    name: op,
    opsets: [7, 13, 21],
    build: pool(op, {}),
  })),
];

function pool(op: string, attributes: Record<string, number | string | readonly number[]>) {
  return (b: ModelBuilder, x: string) => b.node(op, [x], attributes);
}

const elementwiseCases: ShapeCase[] = [
  ...[
    'Relu',
    'Sigmoid',
    'Tanh',
    'Softmax',
    'LogSoftmax',
    'Elu',
    'Selu',
    'LeakyRelu',
    'Softplus',
    'Abs',
    'Exp',
    'Neg',
  ].map((op) => ({ name: op, opsets: [7, 13, 22], build: (b: ModelBuilder, x: string) => b.node(op, [x]) })),
  { name: 'HardSwish', opsets: from(17), build: (b, x) => b.node('HardSwish', [x]) },
  { name: 'Clip', opsets: from(11), build: (b, x) => b.node('Clip', [x, b.weights([], [0]), b.weights([], [6])]) },
  { name: 'Identity and Dropout', opsets: [11, 13], build: (b, x) => b.node('Dropout', [b.node('Identity', [x])]) },
  { name: 'Cast', opsets: [9, 13], build: (b, x) => b.node('Cast', [x], { to: 7 }) },
  { name: 'LRN', opsets: [13], build: (b, x) => b.node('LRN', [x], { size: 3 }) },
  { name: 'BatchNormalization', opsets: [9, 13, 15, 22], build: (b, x) => b.batchNorm(x, 4) },
  {
    name: 'InstanceNormalization',
    opsets: [7, 22],
    build: (b, x) => b.node('InstanceNormalization', [x, b.weights([4]), b.weights([4])]),
  },
  {
    name: 'LayerNormalization',
    opsets: from(17),
    build: (b, x) => b.node('LayerNormalization', [x, b.weights([9, 7])], { axis: 2 }),
  },
  { name: 'PRelu', opsets: [9, 16], build: (b, x) => b.node('PRelu', [x, b.weights([4, 1, 1])]) },
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min', 'Sum'].map((op) => ({
    name: `${op} broadcast`,
    opsets: [8, 13],
    build: (b: ModelBuilder, x: string) => b.node(op, [b.weights([5, 1, 4, 1, 1]), x]),
  })),
  {
    name: 'Greater and Where',
    opsets: [9, 16],
    build: (b, x) => b.node('Where', [b.node('Greater', [x, b.weights([1])]), x, b.weights([4, 1, 1])]),
  },
  {
    name: 'Squeeze-and-excite gate',
    opsets: [13],
    build: (b, x) => b.node('Mul', [x, b.node('GlobalAveragePool', [x])]),
  },
];

const linearCases: ShapeCase[] = [
  { name: 'Gemm', opsets: [7, 9, 11, 13], input: ['N', 6], build: (b, x) => b.gemm(x, 6, 5) },
  { name: 'Gemm plain', opsets: [11], input: ['N', 6], build: (b, x) => b.node('Gemm', [x, b.weights([6, 5])]) },
  {
    name: 'Gemm transA',
    opsets: [11],
    input: [6, 3],
    build: (b, x) => b.node('Gemm', [x, b.weights([6, 5])], { transA: 1 }),
  },
  { name: 'MatMul', opsets: [9, 13], input: ['N', 6], build: (b, x) => b.node('MatMul', [x, b.weights([6, 5])]) },
  {
    name: 'MatMul batched',
    opsets: [13],
    input: ['N', 3, 6],
    build: (b, x) => b.node('MatMul', [x, b.weights([6, 5])]),
  },
  {
    name: 'MatMul with a vector',
    opsets: [13],
    input: ['N', 3, 6],
    build: (b, x) => b.node('MatMul', [x, b.weights([6])]),
  },
  {
    name: 'MatMul of activations',
    opsets: [13],
    input: ['N', 3, 6],
    build: (b, x) => b.node('MatMul', [x, b.node('Transpose', [x], { perm: [0, 2, 1] })]),
  },
  {
    name: 'Einsum',
    opsets: [13],
    input: ['N', 3, 6],
    build: (b, x) => b.node('Einsum', [x, b.weights([6, 5])], { equation: 'nij,jk->nki' }),
  },
];

const reductionCases: ShapeCase[] = [
  ...['ReduceMean', 'ReduceSum', 'ReduceMax', 'ReduceL2'].flatMap((op): ShapeCase[] => {
    const inputSince = op === 'ReduceSum' ? 13 : 18;
    const reduce = (b: ModelBuilder, x: string, opset: number, axes: number[], attributes: Record<string, number>) =>
      opset >= inputSince ? b.node(op, [x, b.ints(axes)], attributes) : b.node(op, [x], { axes, ...attributes });
    return [
      { name: `${op} kept`, opsets: ALL, build: (b, x, opset) => reduce(b, x, opset, [2, -1], {}) },
      { name: `${op} dropped`, opsets: ALL, build: (b, x, opset) => reduce(b, x, opset, [-1, 2], { keepdims: 0 }) },
      { name: `${op} everything`, opsets: ALL, build: (b, x) => b.node(op, [x], { keepdims: 0 }) },
    ];
  }),
  {
    name: 'ReduceMean of nothing',
    opsets: [18],
    build: (b, x) => b.node('ReduceMean', [x], { noop_with_empty_axes: 1 }),
  },
  {
    name: 'ArgMax',
    opsets: [7, 13],
    build: (b, x) => [b.node('ArgMax', [x], { axis: 1 }), b.node('ArgMax', [x], { axis: -1, keepdims: 0 })],
  },
  {
    name: 'TopK',
    opsets: [11],
    build: (b, x) => {
      const outputs = ['values', 'indices'];
      b.node('TopK', [x, b.ints([2])], { axis: 1 }, { outputs });
      return outputs;
    },
  },
];

const rearrangementCases: ShapeCase[] = [
  { name: 'Concat', opsets: [7, 13], build: (b, x) => b.node('Concat', [x, b.node('Relu', [x]), x], { axis: 1 }) },
  { name: 'Concat, negative axis', opsets: [11], build: (b, x) => b.node('Concat', [x, x], { axis: -1 }) },
  { name: 'Split equal', opsets: [11, 13], build: (b, x) => split(b, [x], { axis: 1 }, 2) },
  { name: 'Split stated', opsets: [11], build: (b, x) => split(b, [x], { axis: 1, split: [1, 3] }, 2) },
  {
    name: 'Split stated by input',
    opsets: [13, 18],
    build: (b, x) => split(b, [x, b.ints([1, 1, 2])], { axis: 1 }, 3),
  },
  { name: 'Split uneven', opsets: [18], build: (b, x) => split(b, [x], { axis: 3, num_outputs: 3 }, 3) },
  {
    name: 'Slice attributes',
    opsets: below(10),
    build: (b, x) => b.node('Slice', [x], { starts: [1, -4], ends: [3, 1000], axes: [1, 2] }),
  },
  {
    name: 'Slice inputs',
    opsets: from(10),
    build: (b, x) => b.node('Slice', [x, b.ints([0, 6]), b.ints([2 ** 53, -1000]), b.ints([2, 3]), b.ints([2, -2])]),
  },
  {
    name: 'Slice without axes',
    needsBatch: true,
    opsets: [13],
    build: (b, x) => b.node('Slice', [x, b.ints([0, 1]), b.ints([1, -1])]),
  },
  {
    name: 'Slice of the whole batch',
    opsets: [13],
    build: (b, x) => b.node('Slice', [x, b.ints([0]), b.ints([2 ** 53]), b.ints([0])]),
  },
  {
    name: 'Pad attributes',
    opsets: below(11),
    build: (b, x) => b.node('Pad', [x], { pads: [0, 0, 1, 2, 0, 0, 3, 0] }),
  },
  { name: 'Pad inputs', opsets: from(11), build: (b, x) => b.node('Pad', [x, b.ints([0, 1, 1, 2, 0, 1, -3, 0])]) },
  {
    name: 'Pad with axes',
    opsets: from(18),
    build: (b, x) => b.node('Pad', [x, b.ints([1, 2, 1, 0]), '', b.ints([1, -1])]),
  },
  { name: 'Reshape', opsets: [7, 13, 14], build: (b, x) => b.node('Reshape', [x, b.ints([0, -1])]) },
  { name: 'Reshape, batch from the rest', opsets: [13], build: (b, x) => b.node('Reshape', [x, b.ints([-1, 252])]) },
  {
    name: 'Reshape, batch multiplied',
    opsets: [13],
    needsBatch: true,
    build: (b, x) => b.node('Reshape', [x, b.ints([-1, 63])]),
  },
  {
    name: 'Channel shuffle',
    opsets: [13],
    build: (b, x) => {
      const grouped = b.node('Reshape', [x, b.ints([0, 2, 2, 9, 7])]);
      return b.node('Reshape', [b.node('Transpose', [grouped], { perm: [0, 2, 1, 3, 4] }), b.ints([0, -1, 9, 7])]);
    },
  },
  {
    name: 'Flatten',
    opsets: [7, 13],
    build: (b, x) => [b.node('Flatten', [x]), b.node('Flatten', [x], { axis: 3 })],
    needsBatch: true,
  },
  {
    name: 'Flatten, negative axis',
    opsets: [11],
    needsBatch: true,
    build: (b, x) => b.node('Flatten', [x], { axis: -1 }),
  },
  {
    name: 'Squeeze attributes',
    opsets: below(13),
    build: (b, x) => b.node('Squeeze', [b.node('GlobalAveragePool', [x])], { axes: [2, 3] }),
  },
  {
    name: 'Squeeze inputs',
    opsets: from(13),
    build: (b, x) => b.node('Squeeze', [b.node('GlobalAveragePool', [x]), b.ints([-1, 2])]),
  },
  {
    name: 'Squeeze everything',
    opsets: [13],
    needsBatch: true,
    build: (b, x) => b.node('Squeeze', [b.node('GlobalAveragePool', [x])]),
  },
  { name: 'Unsqueeze attributes', opsets: below(13), build: (b, x) => b.node('Unsqueeze', [x], { axes: [0, 3] }) },
  { name: 'Unsqueeze inputs', opsets: from(13), build: (b, x) => b.node('Unsqueeze', [x, b.ints([-1, 1])]) },
  {
    name: 'Transpose',
    opsets: [7, 13],
    build: (b, x) => [b.node('Transpose', [x], { perm: [0, 2, 3, 1] }), b.node('Transpose', [x])],
  },
  {
    name: 'Gather',
    opsets: [11, 13],
    build: (b, x) => [
      b.node('Gather', [x, b.ints([3, 0])], { axis: 1 }),
      b.node('Gather', [x, b.ints(2)], { axis: -1 }),
    ],
  },
  {
    name: 'Expand',
    opsets: [8, 13],
    build: (b, x) => b.node('Expand', [b.node('GlobalAveragePool', [x]), b.ints([1, 1, 3, 2])]),
  },
  { name: 'Tile', opsets: [13], build: (b, x) => b.node('Tile', [x, b.ints([1, 2, 1, 3])]) },
  { name: 'DepthToSpace', opsets: [11, 13], build: (b, x) => b.node('DepthToSpace', [x], { blocksize: 2 }) },
  {
    name: 'SpaceToDepth',
    opsets: [13],
    input: ['N', 2, 6, 4],
    build: (b, x) => b.node('SpaceToDepth', [x], { blocksize: 2 }),
  },
  { name: 'Upsample attributes', opsets: [7], build: (b, x) => b.node('Upsample', [x], { scales: [1, 1, 2, 2] }) },
  { name: 'Upsample input', opsets: [9], build: (b, x) => b.node('Upsample', [x, b.weights([4], [1, 1, 2, 1.5])]) },
  { name: 'Resize opset 10', opsets: [10], build: (b, x) => b.node('Resize', [x, b.weights([4], [1, 1, 0.5, 2])]) },
  {
    name: 'Resize scales',
    opsets: from(11),
    build: (b, x) => b.node('Resize', [x, b.weights([8], new Float32Array(8)), b.weights([4], [1, 1, 2, 0.6])]),
  },
  {
    name: 'Resize axes',
    opsets: from(18),
    build: (b, x) => b.node('Resize', [x, '', '', b.ints([5, 20])], { axes: [2, 3] }),
  },
  {
    name: 'Resize keeping the aspect',
    opsets: [18],
    build: (b, x) =>
      b.node('Resize', [x, '', '', b.ints([20, 20])], { axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' }),
  },
  {
    name: 'OneHot',
    opsets: [11],
    build: (b, x) =>
      b.node('OneHot', [b.node('ArgMax', [x], { axis: 1, keepdims: 0 }), b.ints([4]), b.weights([2], [0, 1])]),
  },
];

/** What exporters build out of Shape: flatten with the batch, target sizes, pads as PyTorch computes them. */
const arithmeticCases: ShapeCase[] = [
  {
    name: 'view(x.size(0), -1)',
    opsets: [9, 11, 13],
    build: (b, x, opset) => {
      const batch = b.node('Gather', [b.node('Shape', [x]), b.ints(0)]);
      const parts = [batch, b.ints(-1)].map((part) => unsqueeze(b, part, opset));
      return b.node('Reshape', [x, b.node('Concat', parts, { axis: 0 })]);
    },
  },
  {
    name: 'interpolate to twice the size',
    opsets: [11, 13],
    build: (b, x) => {
      const shape = b.node('Shape', [x]);
      const doubled = b.node('Mul', [b.node('Slice', [shape, b.ints([2]), b.ints([4]), b.ints([0])]), b.ints([2, 2])]);
      const kept = b.node('Slice', [shape, b.ints([0]), b.ints([2]), b.ints([0])]);
      const target = b.node('Concat', [kept, doubled], { axis: 0 });
      return b.node('Resize', [x, b.weights([0], []), b.weights([0], []), target]);
    },
  },
  {
    name: 'expand_as',
    opsets: [13],
    build: (b, x) => {
      const shape = b.node('Shape', [x]);
      const wanted = b.constant(int64Tensor('wanted', [4], [-1, -1, 1, 1]));
      const ones = b.node('ConstantOfShape', [b.ints([4])], { value: int64Tensor('', [1], [1]) });
      const target = b.node('Where', [b.node('Equal', [wanted, b.ints([-1])]), shape, ones]);
      return b.node('Expand', [b.node('GlobalAveragePool', [x]), target]);
    },
  },
  {
    name: 'pads as PyTorch writes them',
    opsets: [13],
    build: (b, x) => {
      const pairs = b.constant(int64Tensor('pairs', [4], [0, 0, 1, 2]));
      const missing = b.node('Sub', [b.ints(8), b.ints(4)]);
      const zeros = b.node('ConstantOfShape', [b.node('Unsqueeze', [missing, b.ints([0])])], {
        value: int64Tensor('', [1], [0]),
      });
      const matrix = b.node('Reshape', [b.node('Concat', [pairs, zeros], { axis: 0 }), b.ints([-1, 2])]);
      const reversed = b.node('Slice', [matrix, b.ints([-1]), b.ints([-(2 ** 53)]), b.ints([0]), b.ints([-1])]);
      const flat = b.node('Reshape', [b.node('Transpose', [reversed], { perm: [1, 0] }), b.ints([-1])]);
      return b.node('Pad', [x, b.node('Cast', [flat], { to: 7 }), b.constant(float32Tensor('zero', [], [0]))]);
    },
  },
  {
    name: 'half of the channels',
    opsets: [13],
    build: (b, x) => {
      const channels = b.node('Gather', [b.node('Shape', [x]), b.ints([1])]);
      const half = b.node('Div', [channels, b.ints([2])]);
      return b.node('Slice', [x, b.ints([0]), half, b.ints([1])]);
    },
  },
  {
    name: 'Shape with start and end',
    opsets: [15, 21],
    build: (b, x) => {
      const rest = b.node('ReduceProd', [b.node('Shape', [x], { start: 1, end: -1 })], { keepdims: 1 });
      const target = b.node('Concat', [b.ints([0]), rest, b.ints([-1])], { axis: 0 });
      return b.node('Reshape', [x, target]);
    },
  },
  {
    name: 'Range over the width',
    opsets: [13],
    build: (b, x) => {
      const width = b.node('Gather', [b.node('Shape', [x]), b.ints(3)]);
      const positions = b.node('Range', [b.ints(0), width, b.ints(1)]);
      return b.node('Add', [x, b.node('Cast', [positions], { to: 1 })]);
    },
  },
];

function split(
  b: ModelBuilder,
  inputs: readonly string[],
  attributes: Record<string, number | readonly number[]>,
  parts: number,
) {
  const outputs = Array.from({ length: parts }, (_, index) => `part_${index}`);
  b.node('Split', inputs, attributes, { outputs });
  return outputs;
}

function unsqueeze(b: ModelBuilder, x: string, opset: number): string {
  return opset >= 13 ? b.node('Unsqueeze', [x, b.ints([0])]) : b.node('Unsqueeze', [x], { axes: [0] });
}

export const CASES = [
  ...windowCases,
  ...elementwiseCases,
  ...linearCases,
  ...reductionCases,
  ...rearrangementCases,
  ...arithmeticCases,
].flatMap((entry) => entry.opsets.map((opset) => ({ ...entry, opset, title: `${entry.name} (opset ${opset})` })));
