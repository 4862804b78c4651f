import { clip, dropout, enlarge, pad, reduce, slice, split, squeeze, unsqueeze, type Dialect } from './dialect';
import { expectExactCut, groupOf, network } from './exactCut';

const OPSETS = Array.from({ length: 16 }, (_, index) => 7 + index);

/** Everything whose form changed between the operator sets, in one network. */
function allParts(opset: number) {
  return network(
    (m, x) => {
      const dialect: Dialect = { model: m, opset };
      const part = slice(dialect, m.batchNorm(x, 6), { starts: [1], ends: [6], axes: [1] });
      const padded = pad(dialect, part, { axis: 1, before: 2, after: 1 });
      const sum = m.node('Add', [padded, m.conv(x, 6, 8, 1, {}, { outputs: ['sum'] })]);
      split(dialect, sum, [4, 4], opset >= 18, ['unused', 'half']);
      const half = clip(dialect, dropout(dialect, 'half'), -1, 1);
      const scale = unsqueeze(dialect, reduce(dialect, 'ReduceMean', half, [2, 3], 0), [2, 3]);
      const gated = m.node('Mul', [enlarge(dialect, half), m.node('Sigmoid', [scale])]);
      const rows = m.node('Softmax', [gated], { axis: 3 });
      const flat = m.node('GlobalMaxPool', [m.node('Add', [rows, reduce(dialect, 'ReduceSum', gated, [3], 1)])]);
      const back = m.node('PRelu', [squeeze(dialect, flat, [2]), m.weights([4, 1])]);
      return [m.node('Reshape', [back, m.ints([-1, 4, 1, 1])]), 4];
    },
    { opset, irVersion: opset < 9 ? 3 : opset < 20 ? 8 : 10 },
  );
}

test.each(OPSETS)('operator set %i', async (opset) => {
  const model = allParts(opset);
  const group = groupOf(model);
  expect(group).toMatchObject({ prunable: true });
  const position = (tensor: string, slot: number) =>
    group?.members.find((member) => member.tensor === tensor)?.slots.indexOf(slot) ?? -1;
  // Channel 5 of x is the sixth of the sum, which is in the half that stays.
  const slot = group?.members.find((member) => member.tensor === 'x')?.slots[5] ?? -1;
  expect(position('sum', slot)).toBe(6);
  await expectExactCut(model, { x: [0, 5] });
  await expectExactCut(model, { sum: [1, 4, 7] });
});

test.each([
  [14, 'HardSwish', {}],
  [18, 'Mish', {}],
  [20, 'Gelu', { approximate: 'tanh' }],
] as const)('from operator set %i on there is %s', async (opset, opType, attributes) => {
  await expectExactCut(
    network((m, x) => [m.node(opType, [x], attributes), 6], { opset }),
    { x: [3] },
  );
});
