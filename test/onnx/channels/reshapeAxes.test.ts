import { followAxis } from '../../../src/onnx/channels/reshapeAxes';
import type { Dimension } from '../../../src/onnx/ir';
import { createRandom } from '../../../src/random';

test.each([
  ['flattening repeats each channel', ['N', 2, 2, 2], ['N', 8], 1, 1, [[0], [0], [0], [0], [1], [1], [1], [1]]],
  ['a leading axis stays', ['N', 3, 4, 4], ['N', 3, 16], 1, 1, [[0], [1], [2]]],
  ['a trailing axis stays', ['N', 4, 4, 3], ['N', 16, 3], 3, 2, [[0], [1], [2]]],
  [
    'two groups of three',
    ['N', 6],
    ['N', 2, 3],
    1,
    2,
    [
      [0, 3],
      [1, 4],
      [2, 5],
    ],
  ],
  [
    'three groups of two',
    ['N', 6],
    ['N', 3, 2],
    1,
    1,
    [
      [0, 1],
      [2, 3],
      [4, 5],
    ],
  ],
  ['merging back', ['N', 3, 2], ['N', 6], 1, 1, [[0], [0], [1], [1], [2], [2]]],
  ['ones are inserted', ['N', 3], ['N', 3, 1, 1], 1, 1, [[0], [1], [2]]],
  ['a batch known on one side only', ['N', 2, 1, 1], [7, 2], 1, 1, [[0], [1]]],
  ['an unknown batch', ['N', 2, 1, 1], [undefined, 2], 1, 1, [[0], [1]]],
] as [string, Dimension[], Dimension[], number, number, number[][]][])('%s', (_, from, to, axis, newAxis, sources) => {
  expect(followAxis(from, to, axis)).toEqual({ axis: newAxis, sources });
});

test.each([
  ['a symbol among the channels', ['N', 4, 'W'], ['N', undefined], 1],
  ['the batch joins the channels', ['N', 4, 9], [undefined, 9], 1],
  ['a different number of elements', ['N', 4, 9], ['N', 35], 1],
  ['an unknown number of channels', ['N', undefined, 4], ['N', undefined], 1],
] as [string, Dimension[], Dimension[], number][])('%s can not be followed', (_, from, to, axis) => {
  expect(followAxis(from, to, axis)).toBeUndefined();
});

test('what is left after a cut is what the cut shape holds, for random shapes (brute force)', () => {
  const random = createRandom(5);
  const factors = [1, 2, 2, 3, 4];
  let followed = 0;
  for (let round = 0; round < 400; round++) {
    const from = Array.from({ length: 1 + random.integer(3) }, () => factors[random.integer(5)] ?? 1);
    const total = from.reduce((product, dim) => product * dim, 1);
    const to: number[] = [];
    for (let rest = total; rest > 1;) {
      const divisors = Array.from({ length: rest }, (_, index) => index + 1).filter((value) => rest % value === 0);
      const next = divisors[random.integer(divisors.length)] ?? 1;
      to.push(next);
      rest /= next;
    }
    const axis = random.integer(from.length);
    const move = followAxis(from, to, axis);
    if (move === undefined) continue;
    followed++;
    const removed = new Set(
      Array.from({ length: from[axis] ?? 1 }, (_, index) => index).filter(() => random.uniform() < 0.4),
    );
    spread(move.sources, removed);
    const indexAlong = (dims: readonly number[], along: number, flat: number) => {
      const stride = dims.slice(along + 1).reduce((product, dim) => product * dim, 1);
      return Math.floor(flat / stride) % (dims[along] ?? 1);
    };
    for (let flat = 0; flat < total; flat++) {
      const goneBefore = removed.has(indexAlong(from, axis, flat));
      const goneAfter = move.sources[indexAlong(to, move.axis, flat)]?.some((source) => removed.has(source)) ?? false;
      if (goneBefore !== goneAfter) throw new Error(`[${from.join()}] → [${to.join()}], axis ${axis}`);
    }
  }
  expect(followed).toBeGreaterThan(200);
});

/** Positions that share an index go together. */
function spread(sources: readonly (readonly number[])[], removed: Set<number>): void {
  for (let size = -1; size !== removed.size;) {
    size = removed.size;
    for (const together of sources)
      if (together.some((source) => removed.has(source))) for (const source of together) removed.add(source);
  }
}
