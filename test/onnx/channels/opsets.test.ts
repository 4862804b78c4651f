import type { ModelBuilder } from '../../support/modelBuilder';
import { expectExactCut, groupOf, network } from './exactCut';

const OPSETS = Array.from({ length: 16 }, (_, index) => 7 + index);

/** Arguments that later operator sets take as inputs, in the form that this one knows. */
interface Dialect {
  readonly m: ModelBuilder;
  readonly opset: number;
}

type Part = (dialect: Dialect, x: string) => string;

const slice: Part = ({ m, opset }, x) => {
  if (opset < 10) return m.node('Slice', [x], { starts: [1], ends: [6], axes: [1] });
  return m.node('Slice', [x, m.ints([1]), m.ints([6]), m.ints([1])]);
};

const pad: Part = ({ m, opset }, x) => {
  const pads = [0, 2, 0, 0, 0, 1, 0, 0];
  if (opset < 11) return m.node('Pad', [x], { pads });
  if (opset < 18) return m.node('Pad', [x, m.ints(pads)]);
  return m.node('Pad', [x, m.ints([2, 1]), '', m.ints([1])]);
};

/** The last four of eight channels. */
const split: Part = ({ m, opset }, x) => {
  const outputs = ['unused', 'half'];
  if (opset < 13) m.node('Split', [x], { axis: 1, split: [4, 4] }, { outputs });
  else if (opset < 18) m.node('Split', [x, m.ints([4, 4])], { axis: 1 }, { outputs });
  else m.node('Split', [x], { axis: 1, num_outputs: 2 }, { outputs });
  return 'half';
};

const clip: Part = ({ m, opset }, x) => {
  if (opset < 11) return m.node('Clip', [x], { min: -1, max: 1 });
  return m.node('Clip', [x, m.weights([], [-1]), m.weights([], [1])]);
};

const dropout: Part = ({ m, opset }, x) => {
  if (opset < 12) return m.node('Dropout', [x], { ratio: 0.3 });
  return m.node('Dropout', [x, m.weights([], [0.3])]);
};

const enlarge: Part = ({ m, opset }, x) => {
  const scales = [1, 1, 2, 2];
  if (opset < 9) return m.node('Upsample', [x], { mode: 'nearest', scales });
  if (opset < 11) return m.node(opset < 10 ? 'Upsample' : 'Resize', [x, m.weights([4], scales)], { mode: 'nearest' });
  return m.node('Resize', [x, opset < 13 ? m.weights([0], []) : '', m.weights([4], scales)], { mode: 'nearest' });
};

const mean: Part = ({ m, opset }, x) => {
  if (opset < 18) return m.node('ReduceMean', [x], { axes: [2, -1], keepdims: 0 });
  return m.node('ReduceMean', [x, m.ints([2, -1])], { keepdims: 0 });
};

const sum: Part = ({ m, opset }, x) => {
  if (opset < 13) return m.node('ReduceSum', [x], { axes: [3], keepdims: 1 });
  return m.node('ReduceSum', [x, m.ints([3])], { keepdims: 1 });
};

const unsqueeze: Part = ({ m, opset }, x) => {
  if (opset < 13) return m.node('Unsqueeze', [x], { axes: [2, 3] });
  return m.node('Unsqueeze', [x, m.ints([2, -1])]);
};

const squeeze: Part = ({ m, opset }, x) => {
  if (opset < 13) return m.node('Squeeze', [x], { axes: [2] });
  return m.node('Squeeze', [x, m.ints([-2])]);
};

const softmax: Part = ({ m }, x) => m.node('Softmax', [x], { axis: 3 });

/** Everything whose form changed between the operator sets, in one network. */
function allParts(opset: number) {
  return network(
    (m, x) => {
      const dialect = { m, opset };
      const normal = m.batchNorm(x, 6);
      const padded = m.node('Add', [
        pad(dialect, slice(dialect, normal)),
        m.conv(x, 6, 8, 1, {}, { outputs: ['sum'] }),
      ]);
      const half = clip(dialect, dropout(dialect, split(dialect, padded)));
      const scale = unsqueeze(dialect, mean(dialect, half));
      const gated = m.node('Mul', [enlarge(dialect, half), m.node('Sigmoid', [scale])]);
      const flat = m.node('GlobalMaxPool', [m.node('Add', [softmax(dialect, gated), sum(dialect, gated)])]);
      const back = m.node('PRelu', [squeeze(dialect, flat), m.weights([4, 1])]);
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
