import type { CompressOptions, CompressResult, Criterion } from '../../src/compress/api';
import { compress } from '../../src/compress/compress';
import { DEFAULT_CRITERION } from '../../src/compress/options';
import { toModelBytes } from '../../src/onnx/save';
import type { ModelBytes } from '../../src/types';
import { toyNetwork } from './support/networks';
import { toyWorld, type ToyWorld } from './support/world';

jest.setTimeout(60_000);

let world: ToyWorld;
let original: ModelBytes;
beforeAll(async () => {
  world = await toyWorld();
  original = toModelBytes(await toyNetwork('folded'));
});
afterAll(() => world.remove());

function runAnew(options: Partial<CompressOptions>): Promise<CompressResult> {
  const { data, validation } = world;
  return compress(original, {
    data,
    validation,
    flops: 0.6,
    recover: 'none',
    device: 'cpu',
    threads: 2,
    batchSize: 16,
    ...options,
  });
}

const results = new Map<string, Promise<CompressResult>>();

/** One compression serves all tests that ask the same of it. */
function run(options: Partial<CompressOptions> & Pick<CompressOptions, 'criterion'>): Promise<CompressResult> {
  const key = JSON.stringify(Object.entries(options).sort());
  const result = results.get(key) ?? runAnew(options);
  results.set(key, result);
  return result;
}

const CRITERIA = ['si', 'si-rank', 'csi', 'reconstruction', 'l1', 'random'] as const satisfies readonly Criterion[];

describe.each(CRITERIA)('%s', (criterion) => {
  test('meets the budget with the same share everywhere', async () => {
    const result = await run({ criterion, allocation: 'uniform' });
    expect(result.criterion).toBe(criterion);
    expect(result.after.macs).toBeLessThanOrEqual(0.6 * result.before.macs);
    // Which channels stay makes no difference to how many.
    expect(result.groups).toEqual((await run({ criterion: 'random', allocation: 'uniform' })).groups);
    expect(result.groups.some(({ kept, size }) => kept < size)).toBe(true);
    expect(result).not.toHaveProperty('unmet');
  });

  test('meets the budget with one tolerance on its own curves', async () => {
    const result = await run({ criterion, allocation: 'curve' });
    expect(result.after.macs).toBeLessThanOrEqual(0.6 * result.before.macs);
    expect(result.groups.some(({ kept, size }) => kept < size)).toBe(true);
    expect(result.verification.maxRelativeDifference).toBeLessThanOrEqual(1e-4);
  });
});

test('the criteria choose different channels', async () => {
  const choices = new Set<string>();
  for (const criterion of ['reconstruction', 'l1', 'random', 'si-rank'] as const) {
    const { removed } = await run({ criterion, allocation: 'uniform' });
    choices.add(JSON.stringify(removed.channels));
  }
  expect(choices.size).toBe(4);
});

test('a re-fit loses nothing against no recovery, and wins much after a random choice', async () => {
  for (const [criterion, win] of [
    ['random', 0.2],
    ['reconstruction', 0],
  ] as const) {
    const none = await run({ criterion, allocation: 'uniform', flops: 0.35 });
    const refit = await run({ criterion, allocation: 'uniform', flops: 0.35, recover: 'refit' });
    expect(refit.after.top1).toBeGreaterThanOrEqual(none.after.top1 + win);
    expect(refit.after).toMatchObject({ macs: none.after.macs, parameters: none.after.parameters });
    expect(none.stages.map(({ name }) => name)).toEqual(['original', 'profile', 'rank', 'filters', 'verification']);
    expect(refit.stages.map(({ name }) => name)).toEqual([
      'original',
      'profile',
      'rank',
      'filters',
      'least squares',
      'verification',
    ]);
  }
});

test('auto is the criterion that is the default', async () => {
  const left = await runAnew({ allocation: 'uniform' });
  const named = await run({ criterion: left.criterion, allocation: 'uniform' });
  expect(left.criterion).toBe(DEFAULT_CRITERION);
  expect(left.removed).toEqual(named.removed);
});

describe('the seed', () => {
  test('gives the same bytes twice, and random another choice with another seed', async () => {
    const options = { criterion: 'random', recover: 'refit', allocation: 'uniform' } as const;
    const [first, again, other] = [await run(options), await runAnew(options), await runAnew({ ...options, seed: 7 })];
    expect(Buffer.from(again.model.bytes).equals(first.model.bytes)).toBe(true);
    expect(other.removed.channels).not.toEqual(first.removed.channels);
    expect(other.seed).toBe(7);
  });

  test('gives the same bytes twice where the samples are drawn', async () => {
    const options = {
      criterion: 'reconstruction',
      recover: 'refit',
      samples: 100,
      validation: undefined,
      seed: 3,
    } as const;
    const [first, again] = [await runAnew(options), await runAnew({ ...options, threads: 1 })];
    expect(again.removed).toEqual(first.removed);
    expect(again.after.top1).toBe(first.after.top1);
    expect(Buffer.from(again.model.bytes).equals(first.model.bytes)).toBe(true);
  });
});
