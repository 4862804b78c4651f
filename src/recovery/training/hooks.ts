import type { Checkpoint, NamedVectors } from './checkpoint';
import type { Validation } from './history';
import type { Rates } from './schedule';

/** What the loop drives, as plain functions: it knows neither data sets nor sessions. */
export interface TrainingHooks {
  /**
   * Normalised images [positions.length, image] of training samples, in the layout of the plan's format: in `output`, or in
   * an array that is the loop's from then on.
   */
  readonly loadBatch: (positions: Int32Array, signal: AbortSignal, output: Float32Array) => Promise<Float32Array>;
  /**
   * Updates of the weights one after the other, one for each of the rates. The arrays of `batches` may be given away
   * (transferred); they are not read again.
   */
  readonly steps: (batches: TrainingBatches, rates: readonly Rates[]) => Promise<StepsResult>;
  /** So many steps are asked for at once; fewer where an epoch ends. Default 1. */
  readonly stepsPerRun?: number;
  /** Logits [batch, classes] of the teacher for images as augmented, which stay the loop's. Runs beside `steps`. */
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

/** The batches of some steps, one after the other. */
export interface TrainingBatches {
  /** [steps, batch, image] */
  readonly images: Float32Array;
  /** [steps, batch, classes] probabilities */
  readonly targets: Float32Array;
  /** [steps, batch, classes], with a teacher */
  readonly teacherLogits: Float32Array | undefined;
}

export interface StepsResult {
  /** One for each step. */
  readonly steps: readonly StepResult[];
  /** Where arrays were given away: what came back of them, to be filled for later steps. */
  readonly returned?: TrainingBatches;
}

export interface StepResult {
  /** Mean over the batch, before the update. */
  readonly loss: number;
  /** Images whose highest logit is that of the highest target. */
  readonly correct: number;
  /** L2 norm of all gradients before clipping, where the session computes it. */
  readonly gradientNorm?: number;
}
