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
  const columns = columnsWithin(memoryBudgetBytes, samples);
  let room = 0;
  for (const tap of taps) {
    if (tap.elementsPerSample > columns) throw tooLarge(tap, samples, memoryBudgetBytes);
    if (tap.elementsPerSample > room || passes.length === 0) {
      passes.push([]);
      room = columns;
    }
    passes.at(-1)!.push(tap);
    room -= tap.elementsPerSample;
  }
  return passes;
}

/** How many float32 values of every sample fit into the budget. */
export function columnsWithin(memoryBudgetBytes: number, samples: number): number {
  return Math.floor(memoryBudgetBytes / (samples * BYTES_PER_VALUE));
}

/** Some columns of the values of all samples. */
export interface Piece {
  readonly columns: number;
}

/**
 * What the next pass over the data holds: of the `whole` pieces the largest first, then of the `rows`, each a queue of
 * which only the first pieces may be taken, and of a later one only when the earlier are empty. What is taken leaves
 * the lists. The fewest passes where the queues can fill what whole pieces leave free; else at most 11/9 of them + 1.
 */
export function takePass<P extends Piece>(whole: P[], queues: readonly P[][], columns: number): P[] {
  const taken: P[] = [];
  let room = columns;
  const fits = (piece: Piece | undefined): boolean => piece !== undefined && piece.columns <= room;
  const take = (piece: P): void => {
    taken.push(piece);
    room -= piece.columns;
  };
  whole.sort((a, b) => b.columns - a.columns);
  for (let at = 0; at < whole.length;) {
    if (fits(whole[at])) take(...(whole.splice(at, 1) as [P]));
    else at++;
  }
  for (const queue of queues) {
    while (fits(queue[0])) take(queue.shift()!);
    if (queue.length > 0) break;
  }
  return taken;
}

/** `otherwise`: what else would help, after what always does. */
export function tooLarge(tap: TapSize, samples: number, budgetBytes: number, otherwise = ''): SieveError {
  const { name, elementsPerSample } = tap;
  const bytes = elementsPerSample * samples * BYTES_PER_VALUE;
  const fitting = Math.floor(budgetBytes / (elementsPerSample * BYTES_PER_VALUE));
  return new SieveError(
    'ERR_OUT_OF_MEMORY',
    `Expected at most ${mebibytes(budgetBytes)} of activations for tensor "${name}" but received ${samples} samples of ${elementsPerSample} values (${mebibytes(bytes)})`,
    { remedy: `Use at most ${fitting} samples, or a memory budget of at least ${mebibytes(bytes)}${otherwise}.` },
  );
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
