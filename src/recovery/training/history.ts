/** What one epoch gave. */
export interface EpochRecord {
  /** Counted from 1. */
  readonly epoch: number;
  /** Means over the epoch's batches, as augmented and while the weights changed. */
  readonly loss: number;
  readonly accuracy: number;
  /** Of the epoch's last step. */
  readonly learningRate: number;
  readonly validation: Validation | undefined;
}

export interface Validation {
  readonly loss: number;
  /** Share of right answers, 0 to 1. */
  readonly top1: number;
}

export type BestBy = 'top1' | 'loss';

/** Index of the best epoch, the first of equals; −1 without validation. */
export function bestIndex(history: readonly EpochRecord[], by: BestBy): number {
  let best = -1;
  let bestScore = Number.NEGATIVE_INFINITY;
  history.forEach(({ validation }, index) => {
    if (validation === undefined) return;
    const score = by === 'top1' ? validation.top1 : -validation.loss;
    if (score > bestScore) {
      best = index;
      bestScore = score;
    }
  });
  return best;
}

/** Whether the last `patience` epochs all failed to lower the validation loss. */
export function patienceIsSpent(history: readonly EpochRecord[], patience: number | undefined): boolean {
  return patience !== undefined && history.length - 1 - bestIndex(history, 'loss') >= patience;
}
