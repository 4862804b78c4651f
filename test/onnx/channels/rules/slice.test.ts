import { inferShapes } from '../../../../src/onnx/shapes';
import { expectExactCut, groupOf, network, nodeOf, valuesOf } from '../exactCut';

test.each([
  ['every other channel', [0], [100], [2], [0, 2, 4]],
  ['every other channel from the second on', [1], [6], [2], [1, 3, 5]],
  ['the order reversed', [-1], [-100], [-1], [5, 4, 3, 2, 1, 0]],
  ['backwards in steps of two', [4], [0], [-2], [4, 2]],
])('%s becomes a list of channels', async (_, starts, ends, steps, taken) => {
  const model = network((m, x) => {
    const operands = [x, m.ints(starts), m.ints(ends), m.ints([1]), m.ints(steps)];
    return [m.node('Slice', operands, {}, { name: 'steps', outputs: ['part'] }), taken.length];
  });
  expect(groupOf(model)?.members.find(({ tensor }) => tensor === 'part')?.slots).toEqual(taken);
  const cut = await expectExactCut(model, { x: [0, 2] });
  const slice = nodeOf(cut, 'steps');
  expect(slice?.opType).toBe('Gather');
  const left = [1, 3, 4, 5];
  expect(valuesOf(cut, slice?.inputs[1])).toEqual(
    taken.filter((at) => left.includes(at)).map((at) => left.indexOf(at)),
  );
});

test('steps along the rows stay a Slice', async () => {
  const model = network((m, x) => {
    const operands = [
      [0, 0],
      [8, 8],
      [2, 3],
      [2, 2],
    ].map((values) => m.ints(values));
    return [m.node('Slice', [x, ...operands], {}, { name: 'steps' }), 6];
  });
  const cut = await expectExactCut(model, { x: [1] });
  expect(nodeOf(cut, 'steps')?.opType).toBe('Slice');
});

test('an untouched Slice in steps stays as it is', async () => {
  const model = network((m, x) => {
    const operands = [m.ints([0]), m.ints([6]), m.ints([1]), m.ints([2])];
    return [m.conv(m.node('Slice', [x, ...operands], {}, { name: 'steps' }), 3, 4, 1, {}, { outputs: ['h'] }), 4];
  });
  const cut = await expectExactCut(model, { h: [1] });
  expect(nodeOf(cut, 'steps')?.opType).toBe('Slice');
  expect(inferShapes(cut).get('h')?.[1]).toBe(3);
});
