import { ModelBuilder, type BuilderOptions } from '../../support/modelBuilder';
import { checkGradients } from './gradientCheck';

function batchNorm(dims: readonly number[], attributes: Record<string, number> = {}, options: BuilderOptions = {}) {
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

describe.each(['batch', 'frozen'] as const)('batch normalization, %s', (mode) => {
  test.each([
    ['images', [4, 3, 5, 2], {}, {}],
    ['vectors', [6, 3], { epsilon: 1e-2 }, { opset: 9 }],
    ['sequences, momentum 0.6', [3, 2, 7], { momentum: 0.6 }, { opset: 7 }],
    ['volumes', [2, 2, 3, 2, 3], {}, { opset: 15 }],
  ])('%s', async (_, dims, attributes, options) => {
    const { errors } = await checkGradients(batchNorm(dims, attributes, options), { batchNorm: mode });
    const statistics = [...errors.keys()].filter((what) => what.startsWith('statistic'));
    expect(statistics).toHaveLength(mode === 'batch' ? 2 : 0);
  });
});
