import { measureLatency, percentile } from '../../src/report/latency';

/** A clock that only moves when a subject runs, so that every duration is known. */
function clock(): { now: () => number; take: (ms: number) => Promise<void> } {
  let time = 0;
  return {
    now: () => time,
    take: (ms) => {
      time += ms;
      return Promise.resolve();
    },
  };
}

describe('percentile', () => {
  test('interpolates like numpy', () => {
    expect(percentile([4, 1, 3, 2], 50)).toBe(2.5);
    expect(percentile([4, 1, 3, 2], 95)).toBeCloseTo(3.85, 12);
    expect(percentile([10, 9, 1000], 0)).toBe(9);
    expect(percentile([7], 99)).toBe(7);
    expect(() => percentile([], 50)).toThrow(/at least one value/);
  });
});

describe('measureLatency', () => {
  test('warms up, alternates the order and forms ratios within a round', async () => {
    const { now, take } = clock();
    const order: string[] = [];
    let rounds = 0;
    // The machine gets ten times slower half-way: ratios within a round do not see it.
    const slowness = (): number => (rounds++ < 12 ? 1 : 10);
    const subject = (name: string, ms: number) => ({
      name,
      batchSize: 4,
      run: () => {
        order.push(name);
        return take(ms * slowness());
      },
    });
    const [first, second] = await measureLatency([subject('a', 8), subject('b', 4)], {
      warmUpRuns: 1,
      minimumRounds: 5,
      maximumRounds: 10,
      now,
    });
    expect(order.slice(0, 6)).toEqual(['a', 'b', 'a', 'b', 'b', 'a']);
    expect(first).toMatchObject({ name: 'a', batchSize: 4, rounds: 10, speedRatio: 1 });
    expect(second!.speedRatio).toBe(2);
    expect(second!.imagesPerSecond).toBeCloseTo(4000 / second!.latencyMs.p50, 9);
  });

  test('stops after the target time but not before the minimum of rounds', async () => {
    const { now, take } = clock();
    const slow = { name: 'slow', batchSize: 1, run: () => take(1000) };
    const options = { warmUpRuns: 0, minimumRounds: 3, maximumRounds: 100, now };
    expect((await measureLatency([slow], { ...options, targetSeconds: 0.5 }))[0]!.rounds).toBe(3);
    expect((await measureLatency([slow], { ...options, targetSeconds: 8 }))[0]!.rounds).toBe(8);
    expect((await measureLatency([slow], { ...options, targetSeconds: 1e6 }))[0]!.rounds).toBe(100);
  });

  test('takes a time that the run itself reports', async () => {
    const [result] = await measureLatency([{ name: 'own', batchSize: 2, run: () => Promise.resolve(5) }], {
      minimumRounds: 3,
      maximumRounds: 3,
    });
    expect(result).toMatchObject({ latencyMs: { p50: 5, p95: 5, p99: 5 }, imagesPerSecond: 400 });
  });

  test('progress rises to 1, and an abort ends the measurement', async () => {
    const fractions: number[] = [];
    const controller = new AbortController();
    const subject = { name: 'x', batchSize: 1, run: () => Promise.resolve(1) };
    await measureLatency([subject], { maximumRounds: 20, onProgress: ({ fraction }) => fractions.push(fraction) });
    expect(fractions.at(-1)).toBe(1);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    controller.abort();
    await expect(measureLatency([subject], { signal: controller.signal })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    });
  });

  test('refuses rounds that make no sense', async () => {
    await expect(measureLatency([], { minimumRounds: 5, maximumRounds: 2 })).rejects.toMatchObject({
      code: 'ERR_OPTION',
    });
  });
});
