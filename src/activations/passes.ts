import { SieveError } from '../errors';

export const DEFAULT_MEMORY_BUDGET_BYTES = 2 * 2 ** 30;
const BYTES_PER_VALUE = 4;

/** A tensor that is to be held for many samples. */
export interface TapSize {
  readonly name: string;
  readonly elementsPerSample: number;
}

/**
 * Groups of taps such that the float32 values of one group, over all samples, fit into the budget: each group is one
 * pass over the data. Taps keep their order, so neighbouring layers stay together.
 * Errors: ERR_OUT_OF_MEMORY where one tap alone is too large.
 */
export function planPasses<Tap extends TapSize>(
  taps: readonly Tap[],
  samples: number,
  memoryBudgetBytes: number = DEFAULT_MEMORY_BUDGET_BYTES,
): readonly (readonly Tap[])[] {
  const passes: Tap[][] = [];
  let room = 0;
  for (const tap of taps) {
    const bytes = tap.elementsPerSample * samples * BYTES_PER_VALUE;
    if (bytes > memoryBudgetBytes) throw tooLarge(tap, samples, bytes, memoryBudgetBytes);
    if (bytes > room || passes.length === 0) {
      passes.push([]);
      room = memoryBudgetBytes;
    }
    passes.at(-1)!.push(tap);
    room -= bytes;
  }
  return passes;
}

function tooLarge(tap: TapSize, samples: number, bytes: number, budgetBytes: number): SieveError {
  const fitting = Math.floor(budgetBytes / (tap.elementsPerSample * BYTES_PER_VALUE));
  return new SieveError(
    'ERR_OUT_OF_MEMORY',
    `Expected at most ${mebibytes(budgetBytes)} of activations for tensor "${tap.name}" but received ${samples} samples of ${tap.elementsPerSample} values (${mebibytes(bytes)})`,
    { remedy: `Use at most ${fitting} samples, or a memory budget of at least ${mebibytes(bytes)}.` },
  );
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
