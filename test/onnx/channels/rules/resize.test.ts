import { expectExactCut, network, nodeOf, valuesOf } from '../exactCut';

const NEAREST = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };

test.each([
  ['operator set 7: an attribute', 7, 'Upsample'],
  ['operator set 9: input 1', 9, 'Upsample'],
  ['operator set 10: input 1 of Resize', 10, 'Resize'],
  ['operator set 11: input 2', 11, 'Resize'],
])('factors in %s', async (_, opset, opType) => {
  const model = network(
    (m, x) => {
      const scales = [1, 1, 2, 2];
      if (opset === 7) return [m.node('Upsample', [x], { mode: 'nearest', scales }), 6];
      const factors = m.weights([4], scales);
      if (opset < 11) return [m.node(opType, [x, factors], { mode: 'nearest' }), 6];
      return [m.node('Resize', [x, m.weights([0], []), factors], NEAREST), 6];
    },
    { opset, irVersion: opset < 9 ? 3 : 8 },
  );
  await expectExactCut(model, { x: [1, 4] });
});

test('sizes that the runtime puts together from the shape stay right as they are', async () => {
  const model = network((m, x) => {
    const shape = m.node('Cast', [m.node('Shape', [x])], { to: 7 });
    const head = m.node('Slice', [shape, m.ints([0]), m.ints([2]), m.ints([0])]);
    const sizes = m.node('Concat', [head, m.ints([16, 12])], { axis: 0 });
    return [m.node('Resize', [x, '', '', sizes], NEAREST, { name: 'resize' }), 6];
  });
  const cut = await expectExactCut(model, { x: [1, 4] });
  expect(nodeOf(cut, 'resize')?.inputs[3]).toBe(nodeOf(model, 'resize')?.inputs[3]);
});

test('sizes picked one by one', async () => {
  const model = network((m, x) => {
    const shape = m.node('Shape', [x]);
    const pick = (index: number) => m.node('Unsqueeze', [m.node('Gather', [shape, m.ints(index)]), m.ints([0])]);
    const sizes = m.node('Concat', [pick(0), pick(1), m.ints([16]), pick(3)], { axis: 0 });
    return [m.node('Resize', [x, '', '', sizes], NEAREST), 6];
  });
  await expectExactCut(model, { x: [0] });
});

test('sizes that are known when the batch is become constants', async () => {
  const model = network(
    (m, x) => {
      const sizes = m.node('Mul', [m.node('Shape', [x]), m.ints([1, 1, 2, 2])]);
      return [m.node('Resize', [x, '', '', sizes], NEAREST, { name: 'resize' }), 6];
    },
    { batch: 2 },
  );
  const cut = await expectExactCut(model, { x: [1, 4] });
  expect(valuesOf(cut, nodeOf(cut, 'resize')?.inputs[3])).toEqual([2, 4, 16, 16]);
});

test('operator set 18: sizes of rows and columns alone', async () => {
  const model = network(
    (m, x) => {
      const attributes = { ...NEAREST, axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' };
      return [m.node('Resize', [x, '', '', m.ints([16, 20])], attributes), 6];
    },
    { opset: 18 },
  );
  await expectExactCut(model, { x: [2] });
});
