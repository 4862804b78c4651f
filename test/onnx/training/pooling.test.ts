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
  ['SAME_LOWER', { kernel_shape: [2, 3], strides: [2, 1], auto_pad: 'SAME_LOWER' }, {}],
];

describe.each(['MaxPool', 'AveragePool'])('%s', (operator) => {
  test.each(CASES)('%s', async (_, attributes, options) => {
    await checkGradients(pool(operator, [2, 3, 8, 6], attributes, options));
    await checkGradients(pool(operator, [2, 2, 7, 9], attributes, options));
  });
});

test('average over a window counts pads where it says so', async () => {
  const attributes = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 };
  await checkGradients(pool('AveragePool', [2, 2, 7, 8], attributes));
});

test('global average', async () => {
  await checkGradients(pool('GlobalAveragePool', [2, 3, 4, 5], {}));
});
