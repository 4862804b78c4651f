import { ModelBuilder, type BuilderOptions } from '../../support/modelBuilder';
import { checkGradients } from './gradientCheck';

type Attributes = Readonly<Record<string, number>>;

function batchNorm(dims: readonly number[], attributes: Attributes = {}, options: BuilderOptions = {}) {
  const b = new ModelBuilder(options);
  const channels = dims[1]!;
  const positive = Float32Array.from({ length: channels }, () => 0.5 + Math.abs(b.random()));
  const operands = [
    b.weights([channels]),
    b.weights([channels]),
    b.weights([channels]),
    b.weights([channels], positive),
  ];
  b.output(b.node('BatchNormalization', [b.input('x', dims), ...operands], attributes));
  return b.build();
}

const BATCH_NORMALIZATIONS: [string, readonly number[], Attributes, BuilderOptions][] = [
  ['images', [4, 3, 5, 2], {}, {}],
  ['vectors', [6, 3], { epsilon: 1e-2 }, { opset: 9 }],
  ['sequences, momentum 0.6', [3, 2, 7], { momentum: 0.6 }, { opset: 7 }],
  ['volumes', [2, 2, 3, 2, 3], {}, { opset: 15 }],
  ['one sample', [1, 3, 4, 4], {}, { opset: 14 }],
];

describe.each(['batch', 'frozen'] as const)('batch normalization, %s', (mode) => {
  test.each(BATCH_NORMALIZATIONS)('%s', async (_, dims, attributes, options) => {
    for (const device of ['cpu', 'webgpu'] as const) {
      const { errors } = await checkGradients(batchNorm(dims, attributes, options), { batchNorm: mode, device });
      const statistics = [...errors.keys()].filter((what) => what.startsWith('statistic'));
      expect(statistics).toHaveLength(mode === 'batch' ? 2 : 0);
    }
  });
});

test('layers in a row, one input normalised twice, and a mean far from zero keep their own statistics', async () => {
  const b = new ModelBuilder();
  const x = b.node('Add', [b.input('x', [8, 4, 3, 3]), b.weights([1], [30], 'far')]);
  const first = b.batchNorm(x, 4);
  const second = b.batchNorm(x, 4);
  const third = b.batchNorm(b.node('Relu', [first]), 4);
  b.output(b.node('Add', [third, second]));
  const { errors } = await checkGradients(b.build(), { batchNorm: 'batch', tolerance: 1e-3, constants: ['far'] });
  expect([...errors.keys()].filter((what) => what.startsWith('statistic'))).toHaveLength(6);
});

test('statistics of one value a channel are refused', async () => {
  await expect(checkGradients(batchNorm([1, 3, 1, 1]), { batchNorm: 'batch' })).rejects.toMatchObject({
    code: 'ERR_MODEL_UNSUPPORTED',
    message: expect.stringContaining('at least two values a channel') as string,
  });
});

function normalization(
  operator: string,
  dims: readonly number[],
  parameters: readonly (readonly number[])[],
  attributes: Attributes,
  options: BuilderOptions = {},
) {
  const b = new ModelBuilder(options);
  const operands = parameters.map((shape) => b.weights(shape));
  b.output(b.node(operator, [b.input('x', dims), ...operands], attributes));
  return b.build();
}

const OTHERS: [string, Parameters<typeof normalization>][] = [
  ['instances', ['InstanceNormalization', [2, 3, 4, 5], [[3], [3]], { epsilon: 1e-3 }]],
  ['instances of sequences', ['InstanceNormalization', [2, 3, 7], [[3], [3]], {}, { opset: 7 }]],
  ['groups, a gain each', ['GroupNormalization', [2, 6, 3, 4], [[3], [3]], { num_groups: 3 }, { opset: 18 }]],
  ['groups, a gain a channel', ['GroupNormalization', [2, 6, 3, 4], [[6], [6]], { num_groups: 2 }, { opset: 21 }]],
  ['layers', ['LayerNormalization', [2, 3, 8], [[8], [8]], {}]],
  [
    'layers over two axes',
    [
      'LayerNormalization',
      [2, 3, 4, 5],
      [
        [4, 5],
        [4, 5],
      ],
      { axis: 2, epsilon: 1e-2 },
    ],
  ],
  ['layers without bias', ['LayerNormalization', [4, 2, 6], [[2, 6]], { axis: -2 }]],
  ['neighbours', ['LRN', [2, 7, 3, 2], [], { size: 5, alpha: 0.7, beta: 0.6, bias: 1.5 }]],
];

test.each(OTHERS)('normalization of %s', async (_, model) => {
  // ONNX Runtime computes the newer GroupNormalization in float32 inside, whatever its type.
  const finiteDifferences = model[4]?.opset !== 21;
  await checkGradients(normalization(...model), { finiteDifferences });
});
