import type { ModelBuilder } from '../../../support/modelBuilder';
import { inferShapes } from '../../../../src/onnx/shapes';
import { expectExactCut, groupOf, network, nodeOf, valuesOf } from '../exactCut';

/** x [N, 6, 8, 8] in `groups` groups, the groups interleaved. */
function shuffle(m: ModelBuilder, x: string, groups: number): string {
  const apart = m.node('Reshape', [x, m.ints([-1, groups, 6 / groups, 8, 8])], {}, { name: 'apart' });
  const turned = m.node('Transpose', [apart], { perm: [0, 2, 1, 3, 4] }, { name: 'turned' });
  const options = { name: 'together', outputs: ['shuffled'] };
  return m.node('Reshape', [turned, m.ints([-1, 6, 8, 8])], {}, options);
}

test.each([
  [1, [0, 1, 2, 3, 4, 5]],
  [6, [0, 1, 2, 3, 4, 5]],
  [2, [0, 3, 1, 4, 2, 5]],
  [3, [0, 2, 4, 1, 3, 5]],
])('a channel shuffle in %i groups ties nothing; cut, it is a list of channels', async (groups, order) => {
  const model = network((m, x) => [shuffle(m, x, groups), 6]);
  expect(groupOf(model)).toMatchObject({ size: 6, prunable: true });
  expect(groupOf(model)?.members.map(({ tensor, slots }) => [tensor, slots])).toEqual([
    ['x', [0, 1, 2, 3, 4, 5]],
    ['shuffled', order],
  ]);
  const cut = await expectExactCut(model, { x: [1] });
  expect(nodeOf(cut, 'together')?.opType).toBe('Gather');
  const left = [0, 2, 3, 4, 5];
  const indices = order.filter((position) => position !== 1).map((position) => left.indexOf(position));
  expect(valuesOf(cut, nodeOf(cut, 'together')?.inputs[1])).toEqual(indices);
  expect(nodeOf(cut, 'apart')).toBeUndefined();
  expect(nodeOf(cut, 'turned')).toBeUndefined();
});

test('shapes that the exporter computes from the shuffled tensor', async () => {
  const model = network((m, x) => {
    const shape = m.node('Shape', [x]);
    const pick = (index: number) => m.node('Gather', [shape, m.ints([index])]);
    const half = m.node('Div', [pick(1), m.ints([2])]);
    const apart = m.node('Reshape', [x, m.node('Concat', [pick(0), m.ints([2]), half, pick(2), pick(3)], { axis: 0 })]);
    const turned = m.node('Transpose', [apart], { perm: [0, 2, 1, 3, 4] });
    const target = m.node('Concat', [pick(0), m.node('Mul', [half, m.ints([2])]), pick(2), pick(3)], { axis: 0 });
    return [m.node('Reshape', [turned, target], {}, { outputs: ['shuffled'] }), 6];
  });
  const cut = await expectExactCut(model, { x: [5] });
  expect(inferShapes(cut).get('shuffled')?.[1]).toBe(5);
  expect(cut.graph.nodes.map(({ opType }) => opType)).toEqual(['Conv', 'Gather', 'Conv']);
});

test('a shape computed from other channels keeps these whole', async () => {
  const model = network((m, x) => {
    const other = m.conv(x, 6, 6, 1, {}, { name: 'other', outputs: ['other'] });
    const half = m.node('Div', [m.node('Gather', [m.node('Shape', [other]), m.ints([1])]), m.ints([2])]);
    const target = m.node('Concat', [m.ints([-1, 2]), half, m.ints([8, 8])], { axis: 0 });
    const apart = m.node('Reshape', [x, target], {}, { name: 'culprit' });
    const turned = m.node('Transpose', [apart], { perm: [0, 2, 1, 3, 4] });
    const back = m.node('Reshape', [turned, m.ints([-1, 6, 8, 8])]);
    return [m.node('Concat', [back, other], { axis: 1 }), 12];
  });
  expect(groupOf(model, 'other')).toMatchObject({
    prunable: false,
    reason: 'Reshape "culprit" computes with their number',
  });
  await expectExactCut(model, { x: [0] });
});

test('what is read between its nodes is no shuffle', async () => {
  const tapped = network((m, x) => {
    const apart = m.node('Reshape', [x, m.ints([-1, 2, 3, 8, 8])]);
    const turned = m.node('Transpose', [apart], { perm: [0, 2, 1, 3, 4] });
    const shuffled = m.node('Reshape', [turned, m.ints([-1, 6, 8, 8])]);
    const between = m.node('ReduceMax', [apart], { axes: [1], keepdims: 0 });
    return [m.node('Concat', [shuffled, between], { axis: 1 }), 9];
  });
  expect(groupOf(tapped)).toMatchObject({ size: 3, prunable: true });
  await expectExactCut(tapped, { x: [1] });
});

test('a shuffle that no output needs is cut as it stands', async () => {
  const model = network((m, x) => {
    shuffle(m, x, 2);
    return [x, 6];
  });
  expect(groupOf(model)).toMatchObject({ size: 3, prunable: true });
  const cut = await expectExactCut(model, { x: [0] });
  expect(nodeOf(cut, 'together')?.opType).toBe('Reshape');
});
