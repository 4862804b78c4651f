import {
  consumedSlots,
  isUniform,
  keptOf,
  maskFor,
  memberOf,
  producedSlots,
  removedSlots,
} from '../../src/compress/groups';
import type { ChannelAnalysis, ChannelGroup } from '../../src/onnx/channels/types';
import { randomLayer, seeded } from '../recovery/layers';
import { codeOf } from '../support/errors';

function group(id: string, size: number, members: Readonly<Record<string, readonly number[]>>): ChannelGroup {
  return {
    id,
    size,
    members: Object.entries(members).map(([tensor, slots]) => ({ tensor, axis: 1, slots })),
    producers: [],
    consumers: [],
    prunable: true,
  };
}

const iota = (length: number, from = 0): number[] => Array.from({ length }, (_, index) => from + index);

describe('maskFor', () => {
  test('names one tensor where it shows every slot', () => {
    const plain = group('a', 4, { a: [0, 1, 2, 3], relu: [0, 1, 2, 3] });
    expect(maskFor(plain, new Set([1, 3]))).toEqual({ a: [1, 3] });
    expect(maskFor(plain, new Set())).toEqual({});
  });

  test('names as many tensors as are needed to show every slot', () => {
    const padded = group('narrow', 4, { narrow: [0, 1], padded: [-1, 0, 1, -1], wide: [2, 0, 1, 3] });
    expect(maskFor(padded, new Set([1, 3]))).toEqual({ narrow: [1], wide: [2, 3] });
    expect(maskFor(padded, new Set([3]))).toEqual({ wide: [3] });
  });

  test('names every position of a slot that has several', () => {
    expect(maskFor(group('flat', 2, { flat: [0, 0, 1, 1] }), new Set([1]))).toEqual({ flat: [2, 3] });
  });
});

describe('removedSlots', () => {
  test('are the last of the order', () => {
    const plain = group('a', 6, { a: iota(6) });
    expect(removedSlots(plain, [5, 3, 1, 0, 2, 4], 4)).toEqual(new Set([2, 4]));
    expect(removedSlots(plain, iota(6), 6)).toEqual(new Set());
  });

  test('leave every tensor its floor', () => {
    const shared = group('wide', 20, { wide: iota(20), narrow: iota(4, 16) });
    const removed = removedSlots(shared, iota(20), 10);
    expect(removed).toEqual(new Set([...iota(8, 8), 18, 19]));
  });

  test('grow as the count falls, and keep the count where no floor stands against it', () => {
    const shared = group('wide', 20, { wide: iota(20), narrow: iota(8, 12), other: iota(10, 5) });
    const order = [...iota(10, 10), ...iota(10)];
    let before = new Set<number>();
    for (let count = 20; count >= 2; count--) {
      const removed = removedSlots(shared, order, count);
      expect([...before].filter((slot) => !removed.has(slot))).toEqual([]);
      expect(removed.size).toBeLessThanOrEqual(20 - count);
      before = removed;
    }
  });
});

test('isUniform tells whether slots differ in cost', () => {
  expect(isUniform(group('a', 2, { a: [0, 1], b: [1, 0], flat: [0, 0, 1, 1], joined: [-1, 0, 1] }))).toBe(true);
  expect(isUniform(group('a', 2, { a: [0, 1], part: [1] }))).toBe(false);
});

describe('keptOf', () => {
  const analysis: ChannelAnalysis = {
    groups: [
      group('a', 3, { a: [0, 1, 2], joined: [0, 1, 2, -1, -1] }),
      group('b', 2, { b: [0, 1], joined: [-1, -1, -1, 0, 1] }),
    ],
    notCut: [],
  };

  test('gives what stays of a tensor', () => {
    expect(keptOf(analysis, 'a', new Map([['a', new Set([1])]]))).toEqual({ axis: 1, kept: [0, 2] });
  });

  test('joins the groups that share a tensor', () => {
    const removed = new Map([
      ['a', new Set([0])],
      ['b', new Set([1])],
    ]);
    expect(keptOf(analysis, 'joined', removed)).toEqual({ axis: 1, kept: [1, 2, 3] });
  });

  test('gives nothing where nothing of the tensor goes', () => {
    expect(keptOf(analysis, 'b', new Map([['a', new Set([0])]]))).toBeUndefined();
    expect(keptOf(analysis, 'elsewhere', new Map([['a', new Set([0])]]))).toBeUndefined();
    expect(keptOf(analysis, 'a', new Map([['a', new Set<number>()]]))).toBeUndefined();
  });
});

test('slots of a layer are those of the tensors it reads and writes', () => {
  const layer = randomLayer({ outputs: 2, inputsPerGroup: 3 }, seeded(1));
  const both = group('a', 3, { x: [2, -1, 0], y: [1, 0] });
  expect([...consumedSlots(both, layer)]).toEqual([2, -1, 0]);
  expect([...producedSlots(both, layer)]).toEqual([1, 0]);
  expect(memberOf(both, 'x')?.slots).toEqual([2, -1, 0]);
});

test('a group that does not fit the layer is an error, not a group without slots', () => {
  const layer = randomLayer({ outputs: 2, inputsPerGroup: 3 }, seeded(1));
  const cut = group('a', 2, { x: [0, 1], y: [0, 1, -1] });
  expect(() => consumedSlots(cut, layer)).toThrow(/^Expected 3 channels for "x" of node .* but received 2$/);
  expect(codeOf(() => producedSlots(cut, layer))).toBe('ERR_RUNTIME');
  const other = group('b', 2, { elsewhere: [0, 1] });
  expect(codeOf(() => consumedSlots(other, layer))).toBe('ERR_RUNTIME');
  expect(codeOf(() => producedSlots(other, layer))).toBe('ERR_RUNTIME');
});
