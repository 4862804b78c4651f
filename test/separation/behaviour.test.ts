// How calls behave: validation, the event loop, cancellation, progress.
import { separationIndex, centerSeparationIndex, filterSeparation, selectFilters } from '../../src/separation';
import type { SeparationIndexOptions } from '../../src/separation';
import type { ProgressEvent } from '../../src/types';
import { clusters } from './data';

const small = clusters(20, 4, 3, 1);
const ok: SeparationIndexOptions = { rows: 20, dims: 4 };
// A few hundred milliseconds on one thread with the serial kernel.
const large = clusters(1500, 256, 10, 2);
const slow: SeparationIndexOptions = { rows: 1500, dims: 256, backend: 'serial', threads: 1 };

describe('validation', () => {
  const cases: readonly [string, () => Promise<unknown>, string, RegExp][] = [
    [
      'a plain array',
      () => separationIndex([1] as never, small.labels, ok),
      'ERR_SHAPE',
      /Float32Array \[rows, dims\] for features/,
    ],
    [
      'float64',
      () => separationIndex(new Float64Array(80) as never, small.labels, ok),
      'ERR_SHAPE',
      /Float64Array\(80\)/,
    ],
    [
      'short features',
      () => separationIndex(small.features.subarray(1), small.labels, ok),
      'ERR_SHAPE',
      /80 values .* received 79/,
    ],
    [
      'short labels',
      () => separationIndex(small.features, new Int32Array(19), ok),
      'ERR_SHAPE',
      /20 values \[rows\] for labels/,
    ],
    [
      'other labels',
      () => separationIndex(small.features, new Uint32Array(20) as never, ok),
      'ERR_SHAPE',
      /Int32Array/,
    ],
    [
      'one row',
      () => separationIndex(new Float32Array(4), new Int32Array(1), { rows: 1, dims: 4 }),
      'ERR_OPTION',
      /at least 2 for rows/,
    ],
    ['no dims', () => separationIndex(small.features, small.labels, { rows: 20, dims: 0 }), 'ERR_OPTION', /dims/],
    [
      'fractional rows',
      () => separationIndex(small.features, small.labels, { rows: 1.5, dims: 4 }),
      'ERR_OPTION',
      /1\.5/,
    ],
    [
      'rows missing',
      () => separationIndex(small.features, small.labels, { dims: 4 } as never),
      'ERR_OPTION',
      /received nothing/,
    ],
    [
      'huge sizes',
      () => separationIndex(small.features, small.labels, { rows: 2 ** 40, dims: 2 ** 40 }),
      'ERR_SHAPE',
      /2\^53/,
    ],
    [
      'order too high',
      () => separationIndex(small.features, small.labels, { ...ok, order: 20 }),
      'ERR_OPTION',
      /at most 19/,
    ],
    ['order 0', () => separationIndex(small.features, small.labels, { ...ok, order: 0 }), 'ERR_OPTION', /order/],
    [
      'soft and anti',
      () => separationIndex(small.features, small.labels, { ...ok, soft: true, anti: true }),
      'ERR_OPTION',
      /one of soft and anti/,
    ],
    [
      'a negative label',
      () =>
        separationIndex(
          small.features,
          small.labels.map((l, i) => (i === 7 ? -1 : l)),
          ok,
        ),
      'ERR_LABELS',
      /labels\[7\] but received -1/,
    ],
    [
      'a label too high',
      () => separationIndex(small.features, small.labels, { ...ok, classes: 2 }),
      'ERR_LABELS',
      /from 0 to 1/,
    ],
    [
      'an absurd label',
      () =>
        separationIndex(
          small.features,
          small.labels.map(() => 2 ** 31 - 1),
          ok,
        ),
      'ERR_LABELS',
      /2147483647/,
    ],
    [
      'an unknown backend',
      () => separationIndex(small.features, small.labels, { ...ok, backend: 'abacus' as never }),
      'ERR_OPTION',
      /"abacus"/,
    ],
    [
      'negative threads',
      () => separationIndex(small.features, small.labels, { ...ok, threads: -1 }),
      'ERR_OPTION',
      /threads/,
    ],
    [
      'filters that do not fit',
      () => filterSeparation(small.features, small.labels, { rows: 20, filters: 3, dims: 1 }),
      'ERR_SHAPE',
      /60 values/,
    ],
    [
      'an unknown index',
      () => filterSeparation(small.features, small.labels, { rows: 20, filters: 4, dims: 1, index: 'x' as never }),
      'ERR_OPTION',
      /"center"/,
    ],
    [
      'an unknown strategy',
      () => selectFilters(small.features, small.labels, { rows: 20, filters: 4, dims: 1, strategy: 'x' as never }),
      'ERR_OPTION',
      /"si-rank"/,
    ],
    [
      'a limit too high',
      () => selectFilters(small.features, small.labels, { rows: 20, filters: 4, dims: 1, limit: 5 }),
      'ERR_OPTION',
      /at most 4/,
    ],
  ];
  test.each(cases)('%s', async (_, call, code, message) => {
    await expect(call()).rejects.toMatchObject({
      name: 'SieveError',
      code,
      message: expect.stringMatching(message) as string,
    });
  });
});

test('the event loop turns while a call computes', async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const result = await separationIndex(large.features, large.labels, slow);
  clearInterval(timer);
  expect(result.si).toBeGreaterThan(0);
  expect(turns).toBeGreaterThan(10);
});

test('aborting rejects soon, with ERR_CANCELLED and the reason', async () => {
  const controller = new AbortController();
  const reason = new Error('changed my mind');
  const call = separationIndex(large.features, large.labels, {
    ...slow,
    signal: controller.signal,
    onProgress: () => controller.abort(reason),
  });
  await expect(call).rejects.toMatchObject({
    name: 'SieveError',
    code: 'ERR_CANCELLED',
    category: 'cancelled',
    cause: reason,
  });
});

test('a signal that is aborted already starts nothing', async () => {
  const events: ProgressEvent[] = [];
  const options = { ...ok, signal: AbortSignal.abort(), onProgress: (event: ProgressEvent) => events.push(event) };
  await expect(separationIndex(small.features, small.labels, options)).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  expect(events).toEqual([]);
});

test('one aborted call leaves others alone', async () => {
  const controller = new AbortController();
  const calls = Array.from({ length: 8 }, (_, i) =>
    separationIndex(large.features, large.labels, {
      ...slow,
      rows: 1500,
      signal: i % 2 === 1 ? controller.signal : undefined,
    }),
  );
  setTimeout(() => controller.abort(), 20);
  const outcomes = await Promise.allSettled(calls);
  expect(outcomes.map(({ status }) => status)).toEqual(calls.map((_, i) => (i % 2 === 1 ? 'rejected' : 'fulfilled')));
});

test('progress rises from stage start to exactly 1', async () => {
  const events: ProgressEvent[] = [];
  await separationIndex(large.features, large.labels, { ...slow, onProgress: (event) => events.push(event) });
  const fractions = events.map(({ fraction }) => fraction);
  expect(fractions.length).toBeGreaterThan(1);
  expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
  expect(fractions.every((fraction) => fraction >= 0 && fraction <= 1)).toBe(true);
  expect(fractions.at(-1)).toBe(1);
  expect(new Set(events.map(({ stage }) => stage))).toEqual(new Set(['separation']));
});

test('what the progress listener throws comes back unchanged', async () => {
  const mine = Object.assign(new TypeError('mine'), { code: 'ERR_OPTION' });
  const call = centerSeparationIndex(small.features, small.labels, {
    ...ok,
    onProgress: () => {
      throw mine;
    },
  });
  await expect(call).rejects.toBe(mine);
});

test('arrays may lie on shared memory, at an offset', async () => {
  const shared = new Float32Array(new SharedArrayBuffer(4 * 81), 4, 80);
  shared.set(small.features);
  const sharedLabels = new Int32Array(new SharedArrayBuffer(4 * 20));
  sharedLabels.set(small.labels);
  const plain = await separationIndex(small.features, small.labels, { ...ok, neighbours: true });
  const result = await separationIndex(shared, sharedLabels, { ...ok, neighbours: true });
  expect(result).toEqual(plain);
});
