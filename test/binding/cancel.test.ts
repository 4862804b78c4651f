// Cancelling in the middle of a call, by an AbortSignal and by the end of its worker: whatever function computes, it
// stops, its threads are gone, and memory does not grow over many of them.
import { readdirSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import {
  centerSeparationIndex,
  crossSeparationIndex,
  filterSeparation,
  nearestNeighbours,
  selectFilters,
  separationIndex,
  separationIndexOfColumns,
  smoothnessIndex,
  subsetSeparation,
} from '../../src/separation';
import type { RunControl } from '../../src/types';
import { addonFile } from './addonFile';

const REPEATS = 50;
const rows = 2000;
const dims = 48;
const features = Float32Array.from({ length: rows * dims }, (_, i) => Math.sin(i * i));
const labels = Int32Array.from({ length: rows }, (_, i) => i % 7);
const filters = 6;

const verbs: readonly [string, (control: RunControl) => Promise<unknown>][] = [
  ['separationIndex', (control) => separationIndex(features, labels, { rows, dims, ...slow, ...control })],
  [
    'crossSeparationIndex',
    (control) =>
      crossSeparationIndex(features, labels, { features, labels, rows }, { rows, dims, ...slow, ...control }),
  ],
  ['centerSeparationIndex', (control) => centerSeparationIndex(features, labels, { rows, dims, ...slow, ...control })],
  [
    'smoothnessIndex',
    (control) =>
      smoothnessIndex(features, features.subarray(0, rows), { rows, dims, targetDims: 1, ...slow, ...control }),
  ],
  [
    'nearestNeighbours',
    (control) =>
      nearestNeighbours({ features, rows }, { features, rows, firstRow: 10 }, { dims, order: 2, ...slow, ...control }),
  ],
  [
    'filterSeparation',
    (control) => filterSeparation(features, labels, { rows, filters, dims: dims / filters, ...slow, ...control }),
  ],
  [
    'subsetSeparation',
    (control) =>
      subsetSeparation(features, labels, {
        ...{ rows, filters, dims: dims / filters, subsets: [[0, 1], [2]] },
        ...slow,
        ...control,
      }),
  ],
  [
    'selectFilters',
    (control) => selectFilters(features, labels, { rows, filters, dims: dims / filters, ...slow, ...control }),
  ],
  [
    'separationIndexOfColumns',
    (control) =>
      separationIndexOfColumns(() => [{ values: features, columns: dims }], labels, {
        rows,
        dims,
        ...slow,
        ...control,
      }),
  ],
];
const slow = { backend: 'serial', threads: 2 } as const;

const countsThreads = process.platform === 'linux';
if (!countsThreads) console.log('not tested: threads (no /proc)');
const threadCount = (): number => (countsThreads ? readdirSync('/proc/self/task').length : 0);

/** A thread that ended may be listed for another moment. */
async function threadsComeDownTo(count: number): Promise<number> {
  for (let i = 0; i < 200 && threadCount() > count; i++) await sleep(10);
  return threadCount();
}

async function codeOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => 'ended well',
    (error: unknown) => (error as { code?: unknown }).code,
  );
}

beforeAll(async () => {
  await Promise.all(Array.from({ length: 8 }, () => stat('.'))); // Node's own threads
});

test.each(verbs)('%s: aborted in the middle, again and again', async (_, call) => {
  const run = async (repeat: number): Promise<unknown> => {
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    if (repeat % 5 === 0) setTimeout(abort, 1);
    return codeOf(call({ signal: controller.signal, onProgress: repeat % 5 === 0 ? undefined : abort }));
  };
  for (let repeat = 0; repeat < 5; repeat++) await run(repeat);
  const threads = threadCount();
  const before = process.memoryUsage().rss;
  const codes = new Map<unknown, number>();
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const code = await run(repeat);
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  expect(await threadsComeDownTo(threads)).toBeLessThanOrEqual(threads);
  // What JavaScript itself allocates in that time is in this too.
  expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
  expect([...codes.keys()].filter((code) => code !== 'ERR_CANCELLED' && code !== 'ended well')).toEqual([]);
  // The last progress of a short call may come with its end.
  expect(codes.get('ERR_CANCELLED') ?? 0).toBeGreaterThan(REPEATS / 4);
});

test('a worker that is terminated with all kinds of calls under way leaves no thread', async () => {
  const code = `
    const addon = require(${JSON.stringify(addonFile())});
    const rows = 4000, dims = 32, classes = 2;
    const features = new Float32Array(rows * dims).map((_, i) => Math.sin(i * i));
    const labels = new Int32Array(rows);
    const request = { rows, dims, classes, order: 1, kind: 'hard', skipNonFinite: false };
    const filtered = { ...request, filters: dims, dims: 1, index: 'separation' };
    const run = { backend: 'serial', threads: 2, onProgress() {} };
    const lists = () => ({ nearest: new Int32Array(rows), nearestDistanceSquared: new Float64Array(rows) });
    const calls = [
      addon.separationIndex(features, labels, request, {}, run),
      addon.crossSeparationIndex(features, labels, features, labels, { ...request, referenceRows: rows }, {}, run),
      addon.smoothnessIndex(features, features, { rows, dims, targetDims: dims }, run),
      addon.filterSeparation(features, labels, filtered, new Float64Array(dims), run),
      addon.selectFilters(features, labels, { ...filtered, strategy: 'si', limit: 0 },
        new Int32Array(dims), new Float64Array(dims), run),
      addon.nearestNeighbours(features, features,
        { rows, firstRow: 0, referenceRows: rows, referenceFirstRow: 5, dims, order: 1, skipNonFinite: false },
        lists(), run),
    ];
    for (const call of calls) call.catch(() => {});
    setTimeout(() => require('node:worker_threads').parentPort.postMessage('started'), 20);
  `;
  const cycle = async (): Promise<void> => {
    const worker = new Worker(code, { eval: true });
    await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
    await worker.terminate();
  };
  await cycle();
  const threads = threadCount();
  for (let i = 0; i < 5; i++) await cycle();
  expect(await threadsComeDownTo(threads)).toBeLessThanOrEqual(threads);
}, 60_000);
