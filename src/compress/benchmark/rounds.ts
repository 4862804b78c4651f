import { throwIfAborted } from '../../errors';
import { percentile } from '../../report/latency';
import type { Timing } from './types';

/** Someone whose time counts. `run` does the work once and says how long it took. */
export interface Contender {
  readonly name: string;
  readonly run: () => Promise<Timing>;
}

export interface RoundOptions {
  readonly rounds: number;
  readonly signal?: AbortSignal;
  /** Waited before every run, so that threads of the last one which still spin for work go to sleep. Default: none. */
  readonly settle?: () => Promise<unknown>;
  readonly onRun?: (name: string) => void;
}

/** A run that took so long is not repeated: noise is no concern then, the user's patience is. */
const LONG_SECONDS = 10;

/**
 * Every round runs each contender once, every other round in the opposite order, so that a machine that slows down or
 * speeds up meanwhile favours no one. Warm-up is the caller's.
 *
 * @returns the timings of each contender, one a round, or one in all where a run takes more than ten seconds.
 */
export async function alternate(
  contenders: readonly Contender[],
  { rounds, signal, settle, onRun }: RoundOptions,
): Promise<readonly (readonly Timing[])[]> {
  const timings: Timing[][] = contenders.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < contenders.length; i++) {
      const turn = round % 2 === 0 ? i : contenders.length - 1 - i;
      const contender = contenders[turn]!;
      if (timings[turn]!.some(({ wallSeconds }) => wallSeconds > LONG_SECONDS)) continue;
      throwIfAborted(signal);
      onRun?.(contender.name);
      await settle?.();
      timings[turn]!.push(await contender.run());
    }
  }
  return timings;
}

/** Medians of CPU and wall time, each by itself. */
export function medians(timings: readonly Timing[]): Timing {
  const median = (values: readonly number[]): number => percentile(values, 50);
  return {
    cpuSeconds: median(timings.map(({ cpuSeconds }) => cpuSeconds)),
    wallSeconds: median(timings.map(({ wallSeconds }) => wallSeconds)),
  };
}

/** CPU time of this process and wall time while `call` runs. */
export async function time<Value>(call: () => Promise<Value>): Promise<Timing & { readonly value: Value }> {
  const cpuBefore = process.cpuUsage();
  const begin = performance.now();
  const value = await call();
  const wallSeconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { value, wallSeconds, cpuSeconds: (user + system) / 1e6 };
}
