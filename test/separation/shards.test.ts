// Shards against the float64 brute force and the unsharded calls, on every backend this machine has. The kernels'
// own tests try far more shapes; this is about what JavaScript passes and gets.
import { listBackends } from '../../src/binding/backends';
import {
  centerSeparationIndex,
  mergeNeighbours,
  nearestNeighbours,
  scoreNeighbours,
  separationIndex,
} from '../../src/separation';
import type { NeighbourLists, NumberedRows } from '../../src/separation';
import type { ProgressEvent } from '../../src/types';
import { clusters, ties } from './data';
import type { Labelled } from './data';

const backends = listBackends()
  .filter(({ available }) => available)
  .map(({ name }) => name);

function range({ features, dims }: Labelled, firstRow: number, rows: number): NumberedRows {
  return { features: features.subarray(firstRow * dims, (firstRow + rows) * dims), firstRow, rows };
}

/** Ranges of about equal size that make up all rows. */
function cut(rows: number, parts: number): [first: number, rows: number][] {
  const at = (part: number): number => Math.floor((part * rows) / parts);
  return Array.from({ length: parts }, (_, part) => [at(part), at(part + 1) - at(part)]);
}

describe.each(backends)('%s', (backend) => {
  test.each([
    ['Gaussian classes', clusters(130, 33, 4, 1)],
    ['ties', ties(65, 5, 3, 2)],
    ['copies', ties(64, 1, 3, 3)],
  ])('parts of %s merge to the whole', async (_, data) => {
    const { rows, dims, labels, classes, features } = data;
    for (const order of [1, 3]) {
      const options = { rows, dims, classes, order, backend };
      const whole = await separationIndex(features, labels, { ...options, neighbours: true });
      const gathered: NeighbourLists = {
        nearest: new Int32Array(rows * order),
        nearestDistanceSquared: new Float64Array(rows * order),
      };
      for (const [first, count] of cut(rows, 3)) {
        const parts: NeighbourLists[] = [];
        for (const [start, length] of cut(rows, 4)) {
          const overlap = Math.min(start, 3);
          const references = range(data, start - overlap, length + overlap);
          parts.unshift(await nearestNeighbours(range(data, first, count), references, { dims, order, backend }));
        }
        const merged = await mergeNeighbours(parts, { rows: count, order });
        gathered.nearest.set(merged.nearest, first * order);
        gathered.nearestDistanceSquared.set(merged.nearestDistanceSquared, first * order);
      }
      expect(gathered).toEqual({ nearest: whole.nearest, nearestDistanceSquared: whole.nearestDistanceSquared });
      for (const kind of [{}, { soft: true }, { anti: true }]) {
        const { si, perClass, rowsUsed } = await separationIndex(features, labels, { ...options, ...kind });
        const scored = await scoreNeighbours(gathered.nearest, labels, labels, { rows, order, classes, ...kind });
        expect(scored).toEqual({ si, perClass, rowsUsed });
      }
    }
  });

  test('CSI of ranges of rows adds up to that of all', async () => {
    const { features, labels, rows, dims, classes } = clusters(101, 17, 4, 4);
    const options = { rows, dims, classes, backend };
    const whole = await centerSeparationIndex(features, labels, { ...options, nearest: true, centers: true });
    const nearest: number[] = [];
    for (const [first, count] of cut(rows, 5)) {
      const queries = { first, rows: count };
      const shard = await centerSeparationIndex(features, labels, {
        ...options,
        queries,
        nearest: true,
        centers: true,
      });
      expect(shard.rowsUsed).toBe(count);
      expect(shard.centers).toEqual(whole.centers);
      const own = Array.from(shard.nearest!, (label, i) => Number(label === labels[first + i]));
      expect(shard.csi).toBe(own.reduce((sum, hit) => sum + hit, 0) / count);
      nearest.push(...shard.nearest!);
    }
    expect(nearest).toEqual([...whole.nearest!]);
  });
});

test('fewer references than neighbours: -1 and NaN behind them; the sample itself is no reference', async () => {
  const all = { features: Float32Array.of(0, 1, 5), rows: 3 };
  const lists = await nearestNeighbours(all, { ...range({ ...all, dims: 1 } as never, 1, 2) }, { dims: 1, order: 3 });
  expect([...lists.nearest]).toEqual([1, 2, -1, 2, -1, -1, 1, -1, -1]);
  expect([...lists.nearestDistanceSquared]).toEqual([1, 25, NaN, 16, NaN, NaN, 16, NaN, NaN]);
  const merged = await mergeNeighbours([lists, lists], { rows: 3, order: 3 });
  expect(merged).toEqual(lists);
});

test('rows that are not finite are named with their range, or left out', async () => {
  const features = Float32Array.of(0, 1, NaN, 3, 4, 5);
  const data = { features, dims: 1 } as Labelled;
  const [queries, references] = [range(data, 0, 2), range(data, 2, 4)];
  await expect(nearestNeighbours(queries, references, { dims: 1 })).rejects.toMatchObject({
    code: 'ERR_NON_FINITE',
    message: expect.stringContaining('row 0 of references') as string,
  });
  const { nearest } = await nearestNeighbours(range(data, 0, 6), range(data, 0, 6), { dims: 1, skipNonFinite: true });
  expect([...nearest]).toEqual([1, 0, -1, 4, 3, 4]);
  const labels = Int32Array.of(0, 0, 1, 1, 1, 0);
  const whole = await separationIndex(features, labels, { rows: 6, dims: 1, skipNonFinite: true });
  expect(await scoreNeighbours(nearest, labels, labels, { rows: 6 })).toEqual({
    si: whole.si,
    perClass: whole.perClass,
    rowsUsed: whole.rowsUsed,
  });
});

describe('refused', () => {
  const all = { features: Float32Array.of(0, 1, 2, 3), rows: 4 };
  const lists = (nearest: number[], distances: number[]): NeighbourLists => ({
    nearest: Int32Array.from(nearest),
    nearestDistanceSquared: Float64Array.from(distances),
  });
  const labels = Int32Array.of(0, 1);
  const cases: readonly [string, () => Promise<unknown>, string, RegExp][] = [
    ['no queries', () => nearestNeighbours({ ...all, rows: 0 }, all, { dims: 1 }), 'ERR_OPTION', /queries\.rows/],
    [
      'too many references',
      () => nearestNeighbours(all, { ...all, rows: 5 }, { dims: 1 }),
      'ERR_SHAPE',
      /references\.features/,
    ],
    [
      'a negative number',
      () => nearestNeighbours({ ...all, firstRow: -1 }, all, { dims: 1 }),
      'ERR_OPTION',
      /queries\.firstRow/,
    ],
    [
      'numbers past 2^31',
      () => nearestNeighbours(all, { ...all, firstRow: 2 ** 31 - 3 }, { dims: 1 }),
      'ERR_SHAPE',
      /2\^31/,
    ],
    ['order 0', () => nearestNeighbours(all, all, { dims: 1, order: 0 }), 'ERR_OPTION', /order/],
    ['no parts', () => mergeNeighbours([], { rows: 1 }), 'ERR_OPTION', /at least one part/],
    [
      'a part of another size',
      () => mergeNeighbours([lists([1], [1]), lists([1, 2], [1, 2])], { rows: 1 }),
      'ERR_SHAPE',
      /parts\[1\]\.nearest/,
    ],
    [
      'float32 distances',
      () => mergeNeighbours([{ ...lists([1], [1]), nearestDistanceSquared: Float32Array.of(1) as never }], { rows: 1 }),
      'ERR_SHAPE',
      /Float64Array/,
    ],
    [
      'a list out of order',
      () => mergeNeighbours([lists([1, 2], [2, 1])], { rows: 1, order: 2 }),
      'ERR_OPTION',
      /ascending order for row 0 of part 0/,
    ],
    [
      'parts that disagree',
      () => mergeNeighbours([lists([1], [2]), lists([1], [3])], { rows: 1 }),
      'ERR_OPTION',
      /parts of the same data/,
    ],
    [
      'a neighbour that is no sample',
      () => scoreNeighbours(Int32Array.of(1, 2), labels, labels, { rows: 2 }),
      'ERR_OPTION',
      /from 0 to 1/,
    ],
    [
      'a label out of range',
      () => scoreNeighbours(Int32Array.of(1, 0), Int32Array.of(0, -1), labels, { rows: 2 }),
      'ERR_LABELS',
      /labels\[1\]/,
    ],
    [
      'a range past the rows',
      () =>
        centerSeparationIndex(all.features, Int32Array.of(0, 0, 1, 1), {
          rows: 4,
          dims: 1,
          queries: { first: 3, rows: 2 },
        }),
      'ERR_OPTION',
      /range of the 4 rows/,
    ],
  ];
  test.each(cases)('%s', async (_, call, code, message) => {
    const wanted = { name: 'SieveError', code, message: expect.stringMatching(message) as string };
    await expect(call()).rejects.toMatchObject(wanted);
  });
});

test('progress rises to 1, and an abort ends the search', async () => {
  const data = clusters(1500, 256, 10, 2);
  const [queries, references] = [range(data, 0, 700), range(data, 0, 1500)];
  const options = { dims: 256, backend: 'serial', threads: 1 } as const;
  const events: ProgressEvent[] = [];
  const controller = new AbortController();
  const stopped = nearestNeighbours(queries, references, {
    ...options,
    signal: controller.signal,
    onProgress: (event) => {
      events.push(event);
      if (event.fraction > 0.1) controller.abort();
    },
  });
  await expect(stopped).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  expect(events.at(-1)!.fraction).toBeLessThan(1);
  const fractions: number[] = [];
  await nearestNeighbours(queries, references, { dims: 256, onProgress: ({ fraction }) => fractions.push(fraction) });
  expect(fractions.at(-1)).toBe(1);
  expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
});
