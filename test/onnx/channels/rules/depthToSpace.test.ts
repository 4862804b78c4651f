import { inferShapes } from '../../../../src/onnx/shapes';
import { expectExactCut, groupOf, network } from '../exactCut';

test.each([
  ['DCR', [0, 3, 6, 9]],
  ['CRD', [0, 1, 2, 3]],
])('DepthToSpace, mode %s: the channels of one block go together', async (mode, together) => {
  const model = network((m, x) => {
    const wide = m.conv(x, 6, 12, 1, {}, { outputs: ['wide'] });
    const spread = m.node('DepthToSpace', [wide], { blocksize: 2, mode }, { outputs: ['spread'] });
    return [spread, 3];
  });
  expect(groupOf(model, 'wide')).toMatchObject({ size: 3, prunable: true });
  const slots = groupOf(model, 'wide')?.members.find(({ tensor }) => tensor === 'wide')?.slots ?? [];
  expect(slots.flatMap((slot, at) => (slot === slots[0] ? [at] : []))).toEqual(together);
  const cut = await expectExactCut(model, { x: [1], spread: [0] });
  expect(inferShapes(cut).get('wide')?.[1]).toBe(8);
  expect(inferShapes(cut).get('spread')).toEqual(['N', 2, 16, 16]);
});

test('mode DCR is the default', async () => {
  const model = network((m, x) => {
    const wide = m.conv(x, 6, 12, 1, {}, { outputs: ['wide'] });
    return [m.node('DepthToSpace', [wide], { blocksize: 2 }, { outputs: ['spread'] }), 3];
  });
  await expectExactCut(model, { spread: [1] });
});

test('SpaceToDepth repeats every channel for each place of a block', async () => {
  const model = network((m, x) => {
    const deep = m.node('SpaceToDepth', [x], { blocksize: 2 }, { outputs: ['deep'] });
    return [m.node('DepthToSpace', [deep], { blocksize: 2 }), 6];
  });
  expect(groupOf(model)).toMatchObject({ size: 6, prunable: true });
  const cut = await expectExactCut(model, { x: [0, 3] });
  expect(inferShapes(cut).get('deep')).toEqual(['N', 16, 4, 4]);
});

test('PixelShuffle written as Reshape, Transpose, Reshape', async () => {
  const model = network((m, x) => {
    const wide = m.conv(x, 6, 12, 1, {}, { outputs: ['wide'] });
    const apart = m.node('Reshape', [wide, m.ints([-1, 3, 2, 2, 8, 8])]);
    const turned = m.node('Transpose', [apart], { perm: [0, 1, 4, 2, 5, 3] });
    return [m.node('Reshape', [turned, m.ints([-1, 3, 16, 16])], {}, { outputs: ['spread'] }), 3];
  });
  expect(groupOf(model, 'wide')).toMatchObject({ size: 3, prunable: true });
  await expectExactCut(model, { spread: [2] });
});

test('behind a PixelShuffle that is cut to one channel layers can still be cut', async () => {
  const model = network((m, x) => {
    const wide = m.conv(x, 6, 12, 1, {}, { outputs: ['wide'] });
    const apart = m.node('Reshape', [wide, m.ints([-1, 3, 2, 2, 8, 8])]);
    const turned = m.node('Transpose', [apart], { perm: [0, 1, 4, 2, 5, 3] });
    const spread = m.node('Reshape', [turned, m.ints([-1, 3, 16, 16])], {}, { outputs: ['spread'] });
    return [m.conv(spread, 3, 5, 1, {}, { outputs: ['behind'] }), 5];
  });
  const once = await expectExactCut(model, { spread: [0, 2] });
  expect(groupOf(once, 'behind')).toMatchObject({ size: 5, prunable: true });
  const twice = await expectExactCut(once, { behind: [1, 4] });
  expect(inferShapes(twice).get('behind')?.[1]).toBe(3);
});
