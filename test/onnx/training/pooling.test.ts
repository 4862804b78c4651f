import { ModelBuilder, type BuilderOptions } from '../../support/modelBuilder';
import { checkGradients } from './gradientCheck';

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;

function pool(operator: string, dims: readonly number[], attributes: Attributes, options: BuilderOptions = {}) {
  const b = new ModelBuilder(options);
  b.output(b.node(operator, [b.input('x', dims)], attributes));
  return b.build();
}

const CASES: [string, Attributes, BuilderOptions][] = [
  ['2×2 every 2', { kernel_shape: [2, 2], strides: [2, 2] }, {}],
  ['overlapping, with pads', { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }, {}],
  ['asymmetric', { kernel_shape: [3, 2], strides: [1, 2], pads: [1, 0, 2, 1] }, {}],
  ['rounded up', { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }, { opset: 11 }],
  ['SAME_UPPER', { kernel_shape: [3, 4], strides: [2, 2], auto_pad: 'SAME_UPPER' }, { opset: 11 }],
  ['2×2 every 2, rounded up', { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }, { opset: 11 }],
  ['2×3 every 2 and 3', { kernel_shape: [2, 3], strides: [2, 3] }, { opset: 8 }],
  ['at every site', { kernel_shape: [3, 2], pads: [1, 0, 0, 1] }, { opset: 12 }],
  ['apart', { kernel_shape: [1, 2], strides: [2, 3] }, { opset: 7 }],
  ['dilated', { kernel_shape: [3, 2], strides: [1, 2], dilations: [2, 3], pads: [1, 0, 0, 1] }, { opset: 19 }],
  ['SAME_LOWER', { kernel_shape: [2, 3], strides: [2, 1], auto_pad: 'SAME_LOWER' }, {}],
];

describe.each(['MaxPool', 'AveragePool'])('%s', (operator) => {
  test.each(CASES)('%s', async (_, attributes, options) => {
    for (const device of ['cpu', 'webgpu'] as const) {
      await checkGradients(pool(operator, [2, 3, 8, 6], attributes, options), { device });
      const { operators } = await checkGradients(pool(operator, [2, 2, 7, 9], attributes, options), { device });
      if (device === 'webgpu') expect(operators).not.toContain('ScatterElements');
    }
  });

  test('over sequences and volumes', async () => {
    await checkGradients(pool(operator, [2, 3, 9], { kernel_shape: [3], strides: [2], pads: [1, 1] }));
    await checkGradients(pool(operator, [1, 2, 4, 5, 4], { kernel_shape: [2, 2, 2], strides: [2, 2, 2] }));
    await checkGradients(pool(operator, [1, 2, 4, 5, 4], { kernel_shape: [2, 3, 2], strides: [1, 2, 2] }));
  });
});

const COUNTED_PADS: [string, Attributes, BuilderOptions][] = [
  ['', { pads: [1, 1, 1, 1] }, {}],
  [' at every site', { pads: [1, 0, 2, 1], strides: [1, 1] }, { opset: 11 }],
  [', rounded up', { pads: [1, 1, 1, 1], ceil_mode: 1 }, { opset: 19 }],
  [', asymmetric, dilated', { pads: [2, 0, 1, 2], dilations: [2, 1] }, { opset: 19 }],
];

test.each(COUNTED_PADS)('average over windows that counts pads%s', async (_, attributes, options) => {
  const own = { kernel_shape: [3, 3], strides: [2, 2], count_include_pad: 1, ...attributes };
  await checkGradients(pool('AveragePool', [2, 2, 7, 8], own, options));
});

test('MaxPool with positions that count columns first', async () => {
  const attributes = { kernel_shape: [3, 3], strides: [2, 2], storage_order: 1 };
  const b = new ModelBuilder();
  b.output(b.node('MaxPool', [b.input('x', [2, 2, 7, 6])], attributes, { outputs: ['y', 'positions'] }));
  await checkGradients(b.build());
});

test.each(['GlobalAveragePool', 'GlobalMaxPool'])('%s', async (operator) => {
  await checkGradients(pool(operator, [2, 3, 4, 5], {}));
  await checkGradients(pool(operator, [2, 3, 7], {}));
});

/** Positive, for logarithms. */
function reduction(operator: string, axes: readonly number[] | undefined, attributes: Attributes, opset: number) {
  const b = new ModelBuilder({ opset });
  const asInput = opset >= (operator === 'ReduceSum' ? 13 : 18);
  const x = b.node('Abs', [b.input('x', [2, 3, 4, 5])]);
  const operands = asInput && axes !== undefined ? [x, b.ints(axes)] : [x];
  b.output(b.node(operator, operands, { ...attributes, ...(asInput || axes === undefined ? {} : { axes }) }));
  return b.build();
}

describe.each([
  'ReduceSum',
  'ReduceMean',
  'ReduceMax',
  'ReduceMin',
  'ReduceL1',
  'ReduceL2',
  'ReduceSumSquare',
  'ReduceLogSum',
  'ReduceLogSumExp',
])('%s', (operator) => {
  const cases: [string, readonly number[] | undefined, Attributes, number][] = [
    ['spatial axes', [2, 3], { keepdims: 0 }, 7],
    ['axes from behind', [-1, 1], {}, 13],
    ['all axes', undefined, { keepdims: 0 }, 11],
    ['axes as an input', [-2, 0], { keepdims: 0 }, 18],
    ['all axes, none given', undefined, {}, 18],
  ];
  test.each(cases)('%s', async (_, axes, attributes, opset) => {
    await checkGradients(reduction(operator, axes, attributes, opset));
  });
});

test('a reduction over no axes hands its input on', async () => {
  await checkGradients(reduction('ReduceMean', undefined, { noop_with_empty_axes: 1 }, 18));
  await checkGradients(reduction('ReduceSum', undefined, { noop_with_empty_axes: 1 }, 13));
});

test('ties: the largest elements of a window or of a reduction share the gradient', async () => {
  const tied = { values: { x: [1, 1, 0, 1] }, finiteDifferences: false };
  const tile = pool('MaxPool', [1, 1, 2, 2], { kernel_shape: [2, 2], strides: [2, 2] });
  await checkGradients(tile, tied);
  const overlapping = pool('MaxPool', [1, 1, 2, 2], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
  await checkGradients(overlapping, { ...tied, device: 'webgpu' });
  const partial = pool('MaxPool', [1, 1, 3, 3], { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 });
  await checkGradients(partial, { values: { x: [1, 1, 2, 0, 1, 2, 3, 3, 3] }, finiteDifferences: false });
  await checkGradients(pool('GlobalMaxPool', [1, 1, 2, 2], {}), tied);
});
