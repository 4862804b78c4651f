import type { DataType, Model } from '../../../src/onnx/ir';
import { codeOfElementType } from '../../../src/onnx/elementTypes';
import { float32Tensor, rawTensor } from '../../../src/onnx/tensor';
import type { TrainingDevice } from '../../../src/onnx/training/rule';
import { ModelBuilder } from '../../support/modelBuilder';
import { checkGradients } from './gradientCheck';
import { missingOnWebGpu } from './webgpuKernels';

type Attributes = Parameters<ModelBuilder['node']>[2];

/** Spread over both sides of every bend, and off it. */
const SPREAD = Array.from({ length: 48 }, (_, index) => ((index * 29) % 48) / 4 - 5.93);
const POSITIVE = SPREAD.map((value) => 0.3 + Math.abs(value));

function unaryModel(operator: string, opset: number, attributes?: Attributes): Model {
  const b = new ModelBuilder({ opset });
  b.output(b.node(operator, [b.input('x', [2, 3, 2, 4])], attributes));
  return b.build();
}

const UNARY: readonly (readonly [string, number, Attributes?, (readonly number[])?])[] = [
  ['Relu', 7],
  ['Relu', 17],
  ['LeakyRelu', 9],
  ['LeakyRelu', 16, { alpha: 0.3 }],
  ['Elu', 7],
  ['Elu', 17, { alpha: 0.7 }],
  ['Selu', 7],
  ['Selu', 17, { alpha: 1.2, gamma: 0.9 }],
  ['Celu', 12],
  ['Celu', 17, { alpha: 2.5 }],
  ['ThresholdedRelu', 10],
  ['ThresholdedRelu', 17, { alpha: 0.4 }],
  ['Sigmoid', 7],
  ['Sigmoid', 17],
  ['HardSigmoid', 7],
  ['HardSigmoid', 17, { alpha: 1 / 6 }],
  ['HardSigmoid', 17, { alpha: -0.3, beta: 0.25 }],
  ['HardSwish', 14],
  ['Tanh', 17],
  ['Softplus', 7],
  ['Softsign', 17],
  ['Gelu', 20],
  ['Gelu', 20, { approximate: 'tanh' }],
  ['Mish', 18],
  ['Erf', 9],
  ['Erf', 13],
  ['Exp', 7],
  ['Log', 13, undefined, POSITIVE],
  ['Sqrt', 13, undefined, POSITIVE],
  ['Reciprocal', 13, undefined, POSITIVE],
  ['Abs', 7],
  ['Neg', 13],
  ['Identity', 14],
  ['Floor', 13],
  ['Dropout', 7, { ratio: 0.4 }],
  ['Dropout', 13],
  ['Clip', 7, { min: -1.1, max: 2.2 }],
  ['Clip', 9, { max: 1.3 }],
  ['Clip', 10, { min: 0.1 }],
  ['Clip', 7],
  ['Clip', 13],
];

const CASES = UNARY.map(([operator, opset, attributes = {}, values = SPREAD]) => ({
  operator,
  opset,
  attributes,
  values,
}));

describe.each(['cpu', 'webgpu'] as const)('on %s, the gradient of', (device: TrainingDevice) => {
  test.each(CASES)('$operator, opset $opset, $attributes', async ({ operator, opset, attributes, values }) => {
    const check = await checkGradients(unaryModel(operator, opset, attributes), { device, values: { x: values } });
    expect(check.errors.size).toBeGreaterThanOrEqual(3);
    if (device === 'webgpu') expect(missingOnWebGpu(check.operators)).toEqual([]);
  });
});

test.each([0, 1, 2, 3, 0.5, -1.5])('Pow with the exponent %d', async (exponent) => {
  const b = new ModelBuilder();
  b.initializer(float32Tensor('p', [], [exponent]));
  b.output(b.node('Pow', [b.input('x', [2, 3, 2, 4]), 'p']));
  const values = Number.isInteger(exponent) ? SPREAD : POSITIVE;
  await checkGradients(b.build(), { constants: ['p'], values: { x: values } });
});

test('Pow with integer exponents that broadcast', async () => {
  const b = new ModelBuilder();
  b.output(b.node('Pow', [b.input('x', [4, 1]), b.ints([0, 1, 2, 3])]));
  await checkGradients(b.build());
});

test('Pow at 0 has a slope of 0 where it is constant', async () => {
  const b = new ModelBuilder();
  b.output(b.node('Pow', [b.input('x', [2, 1]), b.ints([0, 1, 2])]));
  await checkGradients(b.build(), { values: { x: [0, 1.5] } });
});

test('an exponent cannot be trained', async () => {
  const b = new ModelBuilder();
  b.initializer(float32Tensor('p', [], [2]));
  b.output(b.node('Pow', [b.input('x', [3]), 'p'], {}, { name: 'power' }));
  await expect(checkGradients(b.build())).rejects.toThrow('Pow node "power" in training');
});

test.each([
  ['both', -1.1, 2.2],
  ['upper', undefined, 1.4],
  ['lower', 0.1, undefined],
])('Clip with operands as bounds: %s', async (_, low, high) => {
  const b = new ModelBuilder({ opset: 12 });
  const bound = (name: string, value: number | undefined) =>
    value === undefined ? '' : b.initializer(float32Tensor(name, [], [value]));
  b.output(b.node('Clip', [b.input('x', [2, 3, 2, 4]), bound('low', low), bound('high', high)]));
  await checkGradients(b.build(), { constants: ['low', 'high'], values: { x: SPREAD } });
});

test('Clip with bounds from Constant nodes', async () => {
  const b = new ModelBuilder({ opset: 11 });
  const bounds = [0, 6].map((value) => b.constant(float32Tensor(`bound ${value}`, [], [value])));
  b.output(b.node('Clip', [b.input('x', [2, 3, 2, 4]), ...bounds]));
  await checkGradients(b.build(), { values: { x: SPREAD } });
});

test.each([
  ['one for each channel', [3, 1, 1]],
  ['one for all', [1]],
  ['one for each element', [2, 3, 2, 4]],
])('PRelu with slopes, %s', async (_, slopes) => {
  const b = new ModelBuilder({ opset: 9 });
  b.output(b.node('PRelu', [b.input('x', [2, 3, 2, 4]), b.weights(slopes)]));
  const { operators } = await checkGradients(b.build(), { device: 'webgpu', values: { x: SPREAD } });
  expect(operators).not.toContain('PRelu');
});

const BROADCASTS: readonly (readonly (readonly number[])[])[] = [
  [
    [2, 3, 4],
    [2, 3, 4],
  ],
  [[2, 3, 4], [4]],
  [
    [3, 1],
    [2, 1, 4],
  ],
  [[1], [2, 3]],
  [[], [2, 3]],
  [
    [2, 1, 1],
    [2, 3, 4],
  ],
  [
    [1, 1],
    [1, 3],
  ],
];

describe.each(['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Sum', 'Mean'])('%s of', (operator) => {
  test.each(BROADCASTS)('%j and %j', async (left, right) => {
    const b = new ModelBuilder({ opset: 8 });
    b.output(b.node(operator, [b.input('x', left), b.input('y', right)]));
    const { operators } = await checkGradients(b.build(), { device: 'webgpu', seed: 3 });
    expect(missingOnWebGpu(operators)).toEqual([]);
  });
});

test.each(['Max', 'Min', 'Sum', 'Mean'])('%s of four that broadcast, and of one', async (operator) => {
  const b = new ModelBuilder();
  const names = [[3], [2, 1, 1], [1], [4, 3]].map((dims, index) => b.input(`x${index}`, dims));
  b.output(b.node(operator, [b.node(operator, names), b.node(operator, [b.weights([3])])]));
  await checkGradients(b.build());
});

test('operands that are one tensor add their gradients', async () => {
  const b = new ModelBuilder();
  const x = b.input('x', [2, 3]);
  b.output(b.node('Div', [b.node('Mul', [x, x]), b.node('Add', [b.node('Exp', [x]), b.node('Sub', [x, x])])]));
  await checkGradients(b.build());
});

test('Where with a constant condition that broadcasts', async () => {
  const b = new ModelBuilder({ opset: 9 });
  b.initializer(rawTensor('condition', [3, 1], 'bool', Uint8Array.from([1, 0, 1])));
  b.output(b.node('Where', ['condition', b.input('x', [4]), b.input('y', [2, 1, 1])]));
  await checkGradients(b.build());
});

test('an activation written with a comparison', async () => {
  const b = new ModelBuilder();
  const x = b.input('x', [2, 3, 2, 4]);
  const isInside = b.node('And', [
    b.node('Less', [x, b.initializer(float32Tensor('high', [], [1.5]))]),
    b.node('Not', [b.node('Less', [x, b.initializer(float32Tensor('low', [], [-2.5]))])]),
  ]);
  b.output(b.node('Where', [isInside, b.node('Mul', [x, x]), b.node('Neg', [x])]));
  await checkGradients(b.build(), { constants: ['high', 'low'], values: { x: SPREAD } });
});

test('Cast between floats lets everything pass; to integers nothing', async () => {
  const b = new ModelBuilder();
  const x = b.input('x', [2, 3]);
  const to = (type: DataType, input: string) => b.node('Cast', [input], { to: codeOfElementType(type) });
  const wide = to('float32', b.node('Exp', [to('float64', x)]));
  b.output(b.node('Add', [wide, to('float32', to('int64', x))]));
  await checkGradients(b.build());
});

describe.each(['Softmax', 'LogSoftmax'])('%s', (operator) => {
  test.each([
    [7, undefined],
    [9, 2],
    [11, 0],
    [11, -2],
    [12, 3],
    [13, undefined],
    [13, 1],
    [17, -3],
    [17, 0],
  ])('opset %i, axis %p', async (opset, axis) => {
    const model = unaryModel(operator, opset, axis === undefined ? {} : { axis });
    const { operators } = await checkGradients(model, { values: { x: SPREAD } });
    expect(operators).not.toContain('LogSoftmax');
  });
});
