import type { ModelBuilder } from '../../../support/modelBuilder';
import { analyze } from '../support';
import { expectExactCut, groupOf, network, nodeOf } from '../exactCut';

const toChannelsLast = (model: ModelBuilder, x: string) => model.node('Transpose', [x], { perm: [0, 2, 3, 1] });
const toChannelsFirst = (model: ModelBuilder, x: string) => model.node('Transpose', [x], { perm: [0, 3, 1, 2] });
const pooled = (model: ModelBuilder, x: string) => model.node('Flatten', [model.node('GlobalAveragePool', [x])]);
const toMap = (model: ModelBuilder, x: string, channels: number) =>
  model.node('Reshape', [x, model.ints([-1, channels, 1, 1])]);

function weightDims(cut: Awaited<ReturnType<typeof expectExactCut>>, name: string, input: number) {
  return cut.graph.initializers.get(nodeOf(cut, name)?.inputs[input] ?? '')?.dims;
}

/** Every way to write the dense layer h = features · W + b with Gemm, features [2, 6] and h [2, 5]. */
describe('Gemm, all transposes', () => {
  const cases = [0, 1].flatMap((transA) =>
    [0, 1].flatMap((transB) => [0, 1].map((weightInput) => ({ transA, transB, weightInput }))),
  );

  test.each(cases)('transA $transA, transB $transB, weight is input $weightInput', async (layout) => {
    const { transA, transB, weightInput } = layout;
    const model = network((m, x) => {
      const features = pooled(m, x);
      const turned = (tensor: string) => m.node('Transpose', [tensor], { perm: [1, 0] });
      const attributes = { transA, transB };
      const options = { name: 'dense', outputs: ['h'] };
      if (weightInput === 1) {
        const operands = [transA === 1 ? turned(features) : features, m.weights(transB === 1 ? [5, 6] : [6, 5])];
        return [toMap(m, m.node('Gemm', [...operands, m.weights([5])], attributes, options), 5), 5];
      }
      // The product transposed: [5, 2] = W' · features'.
      const operands = [m.weights(transA === 1 ? [6, 5] : [5, 6]), transB === 1 ? features : turned(features)];
      const product = m.node('Gemm', [...operands, m.weights([5, 1])], attributes, options);
      return [toMap(m, turned(product), 5), 5];
    });
    expect(groupOf(model)).toMatchObject({ size: 6, prunable: true, producers: ['first'], consumers: ['dense'] });
    expect(groupOf(model, 'h')).toMatchObject({ size: 5, prunable: true, producers: ['dense'], consumers: ['last'] });
    expect(analyze(model).notCut.map(({ name }) => name)).toEqual(['last']);
    const cut = await expectExactCut(model, { x: [0, 4], h: [2] });
    expect([...(weightDims(cut, 'dense', weightInput) ?? [])].sort()).toEqual([4, 4]);
    expect(cut.graph.initializers.get(nodeOf(cut, 'dense')?.inputs[2] ?? '')?.dims[0]).toBe(4);
  });

  test('a computed addend is tied to the outputs', async () => {
    const model = network((m, x) => {
      const features = pooled(m, x);
      const addend = m.node('MatMul', [features, m.weights([6, 5])], {}, { outputs: ['addend'] });
      const sum = m.node('Gemm', [features, m.weights([6, 5]), addend], {}, { outputs: ['sum'] });
      return [toMap(m, sum, 5), 5];
    });
    expect(groupOf(model, 'addend')).toMatchObject({ size: 5, prunable: true });
    await expectExactCut(model, { x: [1], sum: [0, 4] });
  });

  test('channels that lie along the rows pass through', async () => {
    const model = network(
      (m, x) => {
        // [6, N · 8 · 8 = 128] · [128, 4]: every channel is a row.
        const rows = m.node('Reshape', [m.node('Transpose', [x], { perm: [1, 0, 2, 3] }), m.ints([6, 128])]);
        const product = m.node('Gemm', [rows, m.weights([128, 4]), m.weights([6, 1])], {}, { outputs: ['rows'] });
        const column = m.node('Transpose', [product], { perm: [1, 0] });
        return [toMap(m, column, 6), 6];
      },
      { batch: 2 },
    );
    const cut = await expectExactCut(model, { x: [0, 5] });
    expect(
      cut.graph.initializers.get(cut.graph.nodes.find((node) => node.opType === 'Gemm')?.inputs[2] ?? '')?.dims,
    ).toEqual([4, 1]);
  });
});

describe('MatMul', () => {
  test.each([
    ['one matrix for all', [1, 1, 6, 4]],
    ['one for every row of the image', [8, 6, 4]],
    ['one for every row of every sample', [2, 8, 6, 4]],
  ])('a stack of weights: %s', async (_, dims) => {
    const model = network(
      (m, x) => {
        const options = { name: 'dense', outputs: ['h'] };
        const product = m.node('MatMul', [toChannelsLast(m, x), m.weights(dims)], {}, options);
        return [toChannelsFirst(m, product), 4];
      },
      { batch: 2 },
    );
    const cut = await expectExactCut(model, { x: [1, 3], h: [0] });
    expect(weightDims(cut, 'dense', 1)).toEqual([...dims.slice(0, -2), 4, 3]);
  });

  test('a weight that adds leading axes to the activation', async () => {
    const model = network((m, x) => {
      const vector = pooled(m, x);
      const stacked = m.node('MatMul', [vector, m.weights([3, 6, 4])], {}, { name: 'dense', outputs: ['h'] });
      const summed = m.node('ReduceMean', [stacked], { axes: [0], keepdims: 0 });
      return [toMap(m, summed, 4), 4];
    });
    const cut = await expectExactCut(model, { x: [2], h: [3] });
    expect(weightDims(cut, 'dense', 1)).toEqual([3, 5, 3]);
  });

  test('a weight for every channel is cut with the channels', async () => {
    const model = network((m, x) => {
      const product = m.node('MatMul', [x, m.weights([6, 8, 8])], {}, { name: 'dense', outputs: ['h'] });
      return [product, 6];
    });
    expect(groupOf(model)).toMatchObject({ size: 6, prunable: true, producers: ['first'], consumers: ['last'] });
    const cut = await expectExactCut(model, { x: [2, 5] });
    expect(weightDims(cut, 'dense', 1)).toEqual([4, 8, 8]);
  });

  test('a constant on the left, over the channels and over the columns', async () => {
    const model = network((m, x) => {
      const rows = m.node('Reshape', [x, m.ints([0, 6, 64])]);
      const mixed = m.node('MatMul', [m.weights([5, 6]), rows], {}, { name: 'mix', outputs: ['mixed'] });
      const map = m.node('Reshape', [mixed, m.ints([0, 5, 8, 8])]);
      return [m.node('MatMul', [m.weights([8, 8]), map], {}, { name: 'turn' }), 5];
    });
    expect(groupOf(model)).toMatchObject({ consumers: ['mix'], prunable: true });
    expect(groupOf(model, 'mixed')).toMatchObject({ consumers: ['last'], prunable: true });
    const cut = await expectExactCut(model, { x: [0], mixed: [1, 2] });
    expect(weightDims(cut, 'mix', 0)).toEqual([3, 5]);
    expect(weightDims(cut, 'turn', 0)).toEqual([8, 8]);
  });

  test.each([['right'], ['left']])('a vector on the %s', async (side) => {
    const model = network((m, x) => {
      const rows = m.node('Reshape', [x, m.ints([0, 6, 64])]);
      const weighted = m.node('Mul', [rows, m.weights([6, 1])], {}, { outputs: ['weighted'] });
      const vector = m.weights([side === 'right' ? 64 : 6]);
      const product = m.node('MatMul', side === 'right' ? [weighted, vector] : [vector, weighted], {}, { name: 'dot' });
      const channels = side === 'right' ? 6 : 64;
      return [toMap(m, product, channels), channels];
    });
    const cut = await expectExactCut(model, { x: [0, 1] });
    expect(weightDims(cut, 'dot', side === 'right' ? 1 : 0)).toEqual([side === 'right' ? 64 : 4]);
  });
});
