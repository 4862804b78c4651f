import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { CompressOptions } from '../../src/compress/api';
import { analyze } from '../../src/compress/analyze';
import { compress } from '../../src/compress/compress';
import { evaluate } from '../../src/compress/evaluate';
import { toModelBytes } from '../../src/onnx/save';
import type { ModelBytes, ProgressEvent } from '../../src/types';
import { temporaryFolder } from '../activations/support/images';
import { toyNetwork } from './support/networks';
import { PIXEL_FLAGS, toyImages, writeImageFolder } from './support/toyData';
import { toyWorld, type ToyWorld } from './support/world';

jest.setTimeout(60_000);

let world: ToyWorld;
let original: ModelBytes;
let options: CompressOptions;
beforeAll(async () => {
  world = await toyWorld();
  original = toModelBytes(await toyNetwork('residual'));
  const { data, validation } = world;
  options = { data, validation, flops: 0.6, device: 'cpu', threads: 2 };
});
afterAll(() => world.remove());

/** Fractions by stage, in the order in which they came. */
function byStage(events: readonly ProgressEvent[]): Map<string, number[]> {
  const stages = new Map<string, number[]>();
  for (const { stage, fraction } of events) stages.set(stage, [...(stages.get(stage) ?? []), fraction]);
  return stages;
}

function expectOrderly(events: readonly ProgressEvent[]): void {
  expect(events.filter(({ fraction }) => !(fraction >= 0 && fraction <= 1))).toEqual([]);
  for (const [stage, fractions] of byStage(events)) {
    const falls = fractions.filter((fraction, position) => fraction < (fractions[position - 1] ?? 0));
    expect({ stage, falls, last: fractions.at(-1) }).toEqual({ stage, falls: [], last: 1 });
  }
}

test.each(['reconstruction', 'si-rank', 'csi'] as const)(
  '%s: every stage goes from 0 to 1 and never back',
  async (criterion) => {
    const events: ProgressEvent[] = [];
    await compress(original, { ...options, criterion, onProgress: (event) => events.push(event) });
    expectOrderly(events);
    const stages = [...byStage(events).keys()];
    expect(stages).toEqual(['profile', 'rank', 'cut and re-fit', 'batch norm', 'latency']);
  },
);

test('without recovery there is nothing to report of it', async () => {
  const events: ProgressEvent[] = [];
  const onProgress = (event: ProgressEvent): unknown => events.push(event);
  await compress(original, { ...options, criterion: 'l1', recover: 'none', onProgress });
  expectOrderly(events);
  expect([...byStage(events).keys()]).toEqual(['profile', 'cut', 'latency']);
});

test('memory for a part of the ranking at a time leaves the progress of all of it in order', async () => {
  const events: ProgressEvent[] = [];
  const memoryBudgetBytes = 4 * 240 * 16 * 64 + 1000;
  const onProgress = (event: ProgressEvent): unknown => events.push(event);
  await compress(original, { ...options, criterion: 'reconstruction', recover: 'none', memoryBudgetBytes, onProgress });
  expectOrderly(events);
});

test('a stage that a search repeats begins anew only after its end', async () => {
  const events: ProgressEvent[] = [];
  const onProgress = (event: ProgressEvent): unknown => events.push(event);
  await compress(original, { ...options, flops: undefined, maxDrop: 3, criterion: 'l1', recover: 'none', onProgress });
  const fractions = byStage(events).get('cut')!;
  const falls = fractions.filter((fraction, position) => fraction < (fractions[position - 1] ?? 0));
  expect(falls).toHaveLength(4);
  expect(fractions.filter((fraction) => fraction === 1)).toHaveLength(5);
  expect(fractions.at(-1)).toBe(1);
});

test('evaluate and analyze report in order', async () => {
  for (const run of [evaluate, analyze]) {
    const events: ProgressEvent[] = [];
    const onProgress = (event: ProgressEvent): unknown => events.push(event);
    await run(original, { data: world.data, device: 'cpu', threads: 2, latencyBatch: 64, onProgress });
    expect(events.length).toBeGreaterThan(1);
    expectOrderly(events);
  }
});

test('the event loop is never held up', async () => {
  const folder = await temporaryFolder();
  try {
    const path = await writeImageFolder(folder.path, toyImages(200, 2));
    const delay = monitorEventLoopDelay({ resolution: 10 });
    let turns = 0;
    const timer = setInterval(() => turns++, 10);
    delay.enable();
    const begun = performance.now();
    await compress(original, { ...options, data: { path, ...PIXEL_FLAGS }, criterion: 'reconstruction' });
    const seconds = (performance.now() - begun) / 1000;
    delay.disable();
    clearInterval(timer);
    // A machine that is busy with other tests takes its time from this one too: the bound is for one stretch of work.
    expect(delay.max / 1e6).toBeLessThan(400);
    expect(turns).toBeGreaterThan(25 * seconds);
  } finally {
    await folder.remove();
  }
});
