import { float32Tensor } from '../../../../src/onnx/tensor';
import type { ModelBuilder } from '../../../support/modelBuilder';
import { expectExactCut, groupOf, network, nodeOf, valuesOf } from '../exactCut';

/** x [N, 6, 8, 8] normalised over rows and columns with parameters of its own channels. */
const columns = (m: ModelBuilder, values: number[]) =>
  m.initializer(float32Tensor(`c${values.join()}`, [6, 1, 1], values));

describe('GroupNormalization', () => {
  test.each([
    [18, 3],
    [20, 3],
    [21, 6],
    [22, 6],
  ])('operator set %i: scale and bias hold %i values; groups go as wholes', async (opset, parameters) => {
    const model = network(
      (m, x) => {
        const operands = [x, m.weights([parameters]), m.weights([parameters])];
        return [m.node('GroupNormalization', operands, { num_groups: 3 }, { name: 'norm' }), 6];
      },
      { opset },
    );
    expect(groupOf(model)).toMatchObject({ size: 3, prunable: true });
    expect(groupOf(model)?.members[0]?.slots).toEqual([0, 0, 1, 1, 2, 2]);
    const cut = await expectExactCut(model, { x: [2] });
    expect(nodeOf(cut, 'norm')?.attributes.get('num_groups')).toEqual({ kind: 'int', value: 2 });
    expect(valuesOf(cut, nodeOf(cut, 'norm')?.inputs[1])).toHaveLength((parameters / 3) * 2);
  });

  test.each([2, 3])('as PyTorch writes it before operator set 18, in %i groups', async (groups) => {
    const model = network(
      (m, x) => {
        const apart = m.node('Reshape', [x, m.ints([0, groups, -1])]);
        const ones = m.weights([groups], new Float32Array(groups).fill(1));
        const zeros = m.weights([groups], new Float32Array(groups));
        const normal = m.node('InstanceNormalization', [apart, ones, zeros], {}, { name: 'norm' });
        const back = m.node('Reshape', [normal, m.node('Shape', [x])]);
        return [
          m.node('Add', [m.node('Mul', [back, columns(m, [1, 2, 3, 4, 5, 6])]), columns(m, [6, 5, 4, 3, 2, 1])]),
          6,
        ];
      },
      { batch: 2 },
    );
    expect(groupOf(model)).toMatchObject({ size: groups, prunable: true });
    const cut = await expectExactCut(model, { x: [0] });
    expect(valuesOf(cut, nodeOf(cut, 'norm')?.inputs[1])).toHaveLength(groups - 1);
  });
});

test('Lp normalisation over the channels is a sum, to which removed ones add nothing', async () => {
  for (const p of [1, 2]) {
    const model = network((m, x) => [m.node('LpNormalization', [x], { axis: 1, p }), 6]);
    await expectExactCut(model, { x: [0, 5] });
  }
});

test('layer normalisation over rows and columns, with the statistics it returns', async () => {
  const model = network(
    (m, x) => {
      const outputs = ['normal', 'mean', 'spread'];
      m.node('LayerNormalization', [x, m.weights([8, 8]), m.weights([8, 8])], { axis: 2 }, { outputs });
      return [m.node('Sum', outputs), 6];
    },
    { opset: 17 },
  );
  await expectExactCut(model, { x: [1, 2] });
});

test('Softmax and normalisation of mean and variance along other axes', async () => {
  const model = network((m, x) => {
    const rows = m.node('LogSoftmax', [m.node('Softmax', [x], { axis: 2 })], { axis: -1 });
    return [m.node('MeanVarianceNormalization', [rows], { axes: [0, 2, 3] }), 6];
  });
  await expectExactCut(model, { x: [3] });
});

test('an unfused batch normalisation', async () => {
  const model = network((m, x) => {
    const centred = m.node('Sub', [x, columns(m, [1, 0, 2, 0, 1, 3])]);
    const deviation = m.node('Sqrt', [m.node('Add', [columns(m, [1, 2, 3, 1, 2, 3]), m.weights([], [1e-5])])]);
    const scaled = m.node('Mul', [m.node('Div', [centred, deviation]), columns(m, [1, 1, 2, 2, 3, 3])]);
    return [m.node('Add', [scaled, columns(m, [3, 2, 1, 0, -1, -2])]), 6];
  });
  const cut = await expectExactCut(model, { x: [0, 1, 2] });
  // The deviation was computed from constants alone: a constant takes the place of the three nodes.
  expect(cut.graph.nodes.some((node) => node.opType === 'Sqrt')).toBe(false);
});

test('batch normalisation of a matrix of features', async () => {
  const model = network((m, x) => {
    const features = m.node('Flatten', [m.node('GlobalAveragePool', [x])]);
    return [m.node('Unsqueeze', [m.batchNorm(features, 6), m.ints([2, 3])]), 6];
  });
  await expectExactCut(model, { x: [5] });
});
