import { expected, throwIfAborted } from '../errors';
import type { RunControl } from '../types';

/**
 * One thing to time: `run` does one inference of `batchSize` samples that are ready in memory. Where it resolves to a
 * number, that is the run's own time in milliseconds, taken closer to the work; otherwise the clock here counts.
 */
export interface LatencySubject {
  readonly name: string;
  readonly batchSize: number;
  readonly run: () => Promise<unknown>;
}

export interface LatencyOptions extends RunControl {
  /** Untimed runs of each subject before the first round. Default 5. */
  readonly warmUpRuns?: number;
  /** Timed rounds at least and at most. Default 15 and 200. */
  readonly minimumRounds?: number;
  readonly maximumRounds?: number;
  /** No new round begins after this many seconds, once `minimumRounds` are done. Default 5. */
  readonly targetSeconds?: number;
  /** Monotonic clock in milliseconds. */
  readonly now?: () => number;
}

export interface LatencyPercentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface LatencyMeasurement {
  readonly name: string;
  readonly batchSize: number;
  readonly rounds: number;
  /** Of one run, that is of a whole batch. */
  readonly latencyMs: LatencyPercentiles;
  /** batchSize over the median run. */
  readonly imagesPerSecond: number;
  /** Images/s over the first subject's: median of the ratios within each round. 1 for the first itself. */
  readonly speedRatio: number;
}

/**
 * Times several models against each other. Every round runs each subject once, in alternating order, and ratios are
 * formed within a round: a machine that slows down or speeds up meanwhile changes both sides of a ratio alike.
 */
export async function measureLatency(
  subjects: readonly LatencySubject[],
  options: LatencyOptions = {},
): Promise<readonly LatencyMeasurement[]> {
  const { warmUpRuns = 5, minimumRounds = 15, maximumRounds = 200, targetSeconds = 5, signal, onProgress } = options;
  const now = options.now ?? (() => performance.now());
  if (!(minimumRounds >= 1 && maximumRounds >= minimumRounds)) {
    throw expected('ERR_OPTION', '1 <= minimumRounds <= maximumRounds', 'the rounds', [minimumRounds, maximumRounds]);
  }
  for (const subject of subjects) {
    for (let i = 0; i < warmUpRuns; i++) {
      throwIfAborted(signal);
      await subject.run();
    }
  }
  const runsMs: number[][] = subjects.map(() => []);
  const begin = now();
  const targetMs = targetSeconds * 1000;
  for (let round = 0; round < maximumRounds; round++) {
    const elapsedMs = now() - begin;
    if (round >= minimumRounds && elapsedMs >= targetMs) break;
    for (let i = 0; i < subjects.length; i++) {
      throwIfAborted(signal);
      const index = round % 2 === 0 ? i : subjects.length - 1 - i;
      const start = now();
      const ownMs = await subjects[index]!.run();
      runsMs[index]!.push(typeof ownMs === 'number' ? ownMs : now() - start);
    }
    const done = round + 1;
    const byTime = Math.min((now() - begin) / targetMs, done / minimumRounds);
    onProgress?.({ stage: 'latency', fraction: Math.min(1, Math.max(done / maximumRounds, byTime)) });
  }
  onProgress?.({ stage: 'latency', fraction: 1 });
  return subjects.map(({ name, batchSize }, index) => {
    const own = runsMs[index]!;
    const sizeRatio = batchSize / subjects[0]!.batchSize;
    const ratios = own.map((ms, round) => (runsMs[0]![round]! / ms) * sizeRatio);
    const latencyMs = { p50: percentile(own, 50), p95: percentile(own, 95), p99: percentile(own, 99) };
    return {
      name,
      batchSize,
      rounds: own.length,
      latencyMs,
      imagesPerSecond: (1000 * batchSize) / latencyMs.p50,
      speedRatio: percentile(ratios, 50),
    };
  });
}

/** The p-th percentile, 0 <= p <= 100, with linear interpolation between the two nearest values. */
export function percentile(values: readonly number[], p: number): number {
  if (values.length === 0) throw expected('ERR_OPTION', 'at least one value', 'a percentile', values);
  const sorted = Float64Array.from(values).sort();
  const position = (p / 100) * (sorted.length - 1);
  const lower = Math.floor(position);
  const below = sorted[lower]!;
  const above = sorted[Math.min(lower + 1, sorted.length - 1)]!;
  return below + (above - below) * (position - lower);
}
