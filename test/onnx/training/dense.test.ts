import { ModelBuilder } from '../../support/modelBuilder';
import { checkGradients } from './gradientCheck';

const TRANSPOSES = [0, 1].flatMap((transA) => [0, 1].map((transB) => ({ transA, transB })));
const BIASES: readonly (readonly number[] | undefined)[] = [undefined, [], [1], [4], [3, 1], [1, 4], [3, 4]];

describe.each(TRANSPOSES)('Gemm, %j', ({ transA, transB }) => {
  test.each(BIASES.map((dims) => ({ dims })))('with a bias of $dims', async ({ dims }) => {
    const b = new ModelBuilder({ opset: dims === undefined ? 11 : 7 });
    const operands = [b.input('x', transA === 1 ? [5, 3] : [3, 5]), b.weights(transB === 1 ? [4, 5] : [5, 4])];
    if (dims !== undefined) operands.push(b.weights(dims));
    b.output(b.node('Gemm', operands, { transA, transB, alpha: 0.7, beta: -1.3 }));
    const { references } = await checkGradients(b.build());
    expect(references).toContain('finite differences');
  });
});

test('Gemm of a tensor with itself', async () => {
  const b = new ModelBuilder();
  const x = b.input('x', [3, 3]);
  b.output(b.node('Gemm', [x, x, x], { transB: 1 }));
  await checkGradients(b.build());
});

const PRODUCTS: readonly (readonly [readonly number[], readonly number[]])[] = [
  [
    [2, 3],
    [3, 4],
  ],
  [
    [2, 5, 3],
    [3, 4],
  ],
  [
    [2, 2, 5, 3],
    [3, 4],
  ],
  [
    [5, 3],
    [2, 3, 4],
  ],
  [
    [2, 5, 3],
    [2, 3, 4],
  ],
  [
    [2, 1, 5, 3],
    [4, 3, 2],
  ],
  [
    [1, 5, 3],
    [2, 3, 4],
  ],
  [[3], [3]],
  [[3], [3, 4]],
  [[2, 3], [3]],
  [[2, 5, 3], [3]],
  [[3], [2, 3, 4]],
];

test.each(PRODUCTS)('MatMul of %j and %j', async (left, right) => {
  const b = new ModelBuilder({ opset: 9 });
  b.output(b.node('MatMul', [b.input('x', left), b.weights(right)]));
  const { references, errors } = await checkGradients(b.build());
  expect(references).toContain('finite differences');
  expect(errors.size).toBeGreaterThanOrEqual(5);
});

test('a product in between takes part', async () => {
  const b = new ModelBuilder();
  const scores = b.node('MatMul', [b.input('q', [2, 4, 3]), b.input('k', [2, 3, 4])]);
  b.output(b.node('MatMul', [b.node('Softmax', [scores]), b.input('v', [2, 4, 5])]));
  await checkGradients(b.build());
});
