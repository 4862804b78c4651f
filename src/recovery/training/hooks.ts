import type { Checkpoint, NamedVectors } from './checkpoint';
import type { Validation } from './history';
import type { Rates } from './schedule';

/** What the loop drives, as plain functions: it knows neither data sets nor sessions. */
export interface TrainingHooks {
  /** Normalised images [positions.length, image] of training samples, in the layout of the plan's format. */
  readonly loadBatch: (positions: Int32Array, signal: AbortSignal) => Promise<Float32Array>;
  /** One update of the weights. The batch's arrays may be given away (transferred); they are not used again. */
  readonly step: (batch: TrainingBatch, rates: Rates) => Promise<StepResult>;
  /** Logits [batch, classes] of the teacher for images as augmented, which stay the loop's. Runs beside `step`. */
  readonly teacherLogits?: (images: Float32Array, signal: AbortSignal) => Promise<Float32Array>;
  /** Runs after each epoch. */
  readonly validate?: (signal: AbortSignal | undefined) => Promise<Validation>;
  /** Everything that a step changes, in fresh arrays: later steps must not change them. */
  readonly readState: () => Promise<NamedVectors>;
  /** Takes copies of what `readState` gave. */
  readonly writeState: (state: NamedVectors) => Promise<void>;
  /** Keeps what `encodeCheckpoint` makes of it, in place of the one before. Runs after each epoch. */
  readonly saveCheckpoint?: (checkpoint: Checkpoint) => Promise<void>;
}

export interface TrainingBatch {
  /** [batch, image] */
  readonly images: Float32Array;
  /** [batch, classes] probabilities */
  readonly targets: Float32Array;
  /** [batch, classes], with a teacher */
  readonly teacherLogits: Float32Array | undefined;
}

export interface StepResult {
  /** Mean over the batch, before the update. */
  readonly loss: number;
  /** Images whose highest logit is that of the highest target. */
  readonly correct: number;
  /** L2 norm of all gradients before clipping, where the session computes it. */
  readonly gradientNorm?: number;
}
