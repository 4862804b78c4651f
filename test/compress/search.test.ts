import type { Allocation } from '../../src/compress/allocation';
import type { Attempt } from '../../src/compress/attempt';
import type { CostLimits } from '../../src/compress/budget';
import type { Budget } from '../../src/compress/options';
import { search, type Found } from '../../src/compress/search';
import type { ModelCost } from '../../src/types';

const MACS = 1000;

function costOf(macs: number): ModelCost {
  return { parameters: macs / 10, runningStatistics: 0, macs, bytes: macs * 4, layers: [] };
}

interface World {
  /** Top-1 of a network that keeps this fraction of the multiply-accumulates. */
  readonly top1: (fraction: number) => number;
  /** The smallest network there is. */
  readonly least?: number;
}

/** A search over networks of every whole number of multiply-accumulates; counts the attempts. */
async function run(asked: Partial<Budget>, { top1, least = 0 }: World): Promise<Found & { attempts: number[] }> {
  const budget: Budget = { flops: undefined, params: undefined, bytes: undefined, maxDrop: undefined, ...asked };
  const limits: CostLimits = {
    macs: budget.flops === undefined ? undefined : budget.flops * MACS,
    parameters: budget.params === undefined ? undefined : (budget.params * MACS) / 10,
    bytes: budget.bytes,
  };
  const attempts: number[] = [];
  const macsOf = ({ tolerance }: Allocation): number => tolerance;
  const found = await search(
    budget,
    limits,
    { cost: costOf(MACS), top1: top1(1) },
    {
      allocate: ({ macs = MACS, parameters = MACS, bytes = Infinity }) => {
        const wanted = Math.floor(Math.min(macs, parameters * 10, bytes / 4));
        const reached = Math.max(wanted, least * MACS);
        return Promise.resolve({ counts: new Map(), tolerance: reached, met: reached === wanted });
      },
      cost: (allocation) => costOf(macsOf(allocation)),
      attempt: (allocation) => {
        attempts.push(macsOf(allocation));
        const attempt: Partial<Attempt> = { top1: top1(macsOf(allocation) / MACS) };
        return Promise.resolve(attempt as Attempt);
      },
    },
  );
  return { ...found, attempts };
}

const linear = (fraction: number): number => 0.5 + 0.4 * fraction;

test('a size is met in one attempt, whatever it costs', async () => {
  expect(await run({ flops: 0.3 }, { top1: linear })).toMatchObject({ attempts: [300], unmet: undefined });
  expect(await run({ params: 0.2, flops: 0.9 }, { top1: linear })).toMatchObject({ attempts: [200], unmet: undefined });
});

test('a size that is out of reach says by how much, for each measure', async () => {
  const { unmet, cost } = await run({ flops: 0.1, params: 0.1, bytes: 100 }, { top1: linear, least: 0.25 });
  expect(cost.macs).toBe(250);
  expect(unmet).toBe(
    'with every channel group at its floor the network still has 25.0 % of the multiply-accumulates instead of 10.0 %, ' +
      '25.0 % of the parameters instead of 10.0 %, 1000 bytes instead of 100',
  );
});

test('a tolerance alone is used as far as five halvings find', async () => {
  const found = await run({ maxDrop: 0.1 }, { top1: linear });
  expect(found.attempts).toHaveLength(5);
  expect(found.unmet).toBeUndefined();
  expect(0.9 - found.attempt.top1).toBeLessThanOrEqual(0.1);
  expect(found.cost.macs / MACS).toBeGreaterThanOrEqual(0.75);
  expect(found.cost.macs / MACS).toBeLessThan(0.75 + 2 ** -5);
});

test('a loss of exactly the tolerance is within it', async () => {
  // In binary 0.9 − 0.86 is more than 0.04.
  const steps = (fraction: number): number => (fraction === 1 ? 0.9 : 0.86);
  expect((await run({ maxDrop: 0.04, flops: 0.5 }, { top1: steps })).attempts).toEqual([500]);
});

test('a size within the tolerance is taken at once', async () => {
  expect(await run({ maxDrop: 0.3, flops: 0.5 }, { top1: linear })).toMatchObject({
    attempts: [500],
    unmet: undefined,
  });
});

test('a size beyond the tolerance is approached, and missed with the reason', async () => {
  const found = await run({ maxDrop: 0.1, flops: 0.5 }, { top1: linear });
  expect(found.attempts[0]).toBe(500);
  expect(found.attempts).toHaveLength(6);
  expect(0.9 - found.attempt.top1).toBeLessThanOrEqual(0.1);
  expect(found.unmet).toMatch(
    /^within 10\.00 points of accuracy only 7[5-7]\.\d % of the multiply-accumulates were reached$/,
  );
});

test('where every cut costs too much the gentlest is given, with what it lost', async () => {
  const found = await run({ maxDrop: 0.01 }, { top1: (fraction) => (fraction === 1 ? 0.9 : 0.4) });
  expect(found.unmet).toBe('no cut was found within 1.00 points; the gentlest tried lost 50.00 points');
  expect(found.cost.macs).toBe(Math.max(...found.attempts));
});

test('it ends between attempts when it is told to', async () => {
  const controller = new AbortController();
  const steps = {
    allocate: () => Promise.resolve({ counts: new Map<string, number>(), tolerance: 0, met: true }),
    cost: () => costOf(900),
    attempt: () => {
      controller.abort();
      return Promise.resolve({ top1: 0.9 } as Attempt);
    },
    signal: controller.signal,
  };
  const budget: Budget = { flops: undefined, params: undefined, bytes: undefined, maxDrop: 0.1 };
  const running = search(budget, {}, { cost: costOf(MACS), top1: 0.9 }, steps);
  await expect(running).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
});
