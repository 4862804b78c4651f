import { expected } from '../../errors';
import { createAugmentation } from './augmentation';
import type { TrainingBatch, TrainingHooks } from './hooks';
import { imageLength } from './images';
import type { TrainingPlan } from './plan';
import type { Sampler } from './sampler';
import { writeTargets } from './targets';

/** Batches in the order of the steps, the next one in the making while the current one is trained on. */
export interface BatchQueue {
  /** The batch of a step: the one prefetched, where that was this step's. */
  take(step: number): Promise<TrainingBatch>;
  /** Starts to load and augment the batch of a step. A failure shows when it is taken. */
  prefetch(step: number): void;
  /** Drops what was prefetched and waits until nothing runs any more. */
  close(): Promise<void>;
}

interface Buffers {
  images: Float32Array;
  targets: Float32Array;
}

/**
 * Two sets of buffers in turn: while a step reads the one, the next batch is written to the other.
 * Errors of `take`: ERR_SHAPE where a hook gives another number of values; those of the hooks and the augmentation.
 */
export function createBatchQueue(
  plan: TrainingPlan,
  sampler: Sampler,
  hooks: TrainingHooks,
  signal: AbortSignal | undefined,
): BatchQueue {
  const { batchSize, classes, labels, format, normalization, seed } = plan;
  const augmentation =
    plan.augmentation === undefined ? undefined : createAugmentation(plan.augmentation, format, normalization, seed);
  const imageValues = batchSize * imageLength(format);
  const targetValues = batchSize * classes;
  const buffers: readonly [Buffers, Buffers] = [emptyBuffers(), emptyBuffers()];
  const closing = new AbortController();
  const abort = (): void => closing.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  let order: { readonly epoch: number; readonly positions: Int32Array } | undefined;
  let upcoming: { readonly step: number; readonly batch: Promise<TrainingBatch> } | undefined;

  async function prepare(step: number): Promise<TrainingBatch> {
    const epoch = Math.floor(step / sampler.stepsPerEpoch);
    const stepOfEpoch = step % sampler.stepsPerEpoch;
    if (order?.epoch !== epoch) order = { epoch, positions: sampler.order(epoch) };
    const positions = order.positions.slice(stepOfEpoch * batchSize, (stepOfEpoch + 1) * batchSize);
    const loaded = await hooks.loadBatch(positions, closing.signal);
    assertLength(loaded, imageValues, 'a batch of images');

    const set = buffers[step % 2 === 0 ? 0 : 1];
    const targets = (set.targets = ofLength(set.targets, targetValues));
    writeTargets(labels, positions, classes, plan.labelSmoothing ?? 0, targets);
    let images = loaded;
    if (augmentation !== undefined) {
      images = set.images = ofLength(set.images, imageValues);
      augmentation.apply(loaded, targets, { epoch, step: stepOfEpoch }, images);
    }
    const teacherLogits = await hooks.teacherLogits?.(images, closing.signal);
    if (teacherLogits !== undefined) {
      assertLength(teacherLogits, targetValues, "the teacher's logits", 'Choose a teacher with the same classes.');
    }
    return { images, targets, teacherLogits };
  }

  function prefetch(step: number): void {
    const batch = prepare(step);
    // Where it is never taken, its failure must not become an unhandled rejection.
    batch.catch(() => undefined);
    upcoming = { step, batch };
  }

  return {
    take(step) {
      if (upcoming?.step !== step) prefetch(step);
      return upcoming!.batch;
    },
    prefetch,
    async close() {
      signal?.removeEventListener('abort', abort);
      closing.abort();
      await upcoming?.batch.catch(() => undefined);
    },
  };
}

function emptyBuffers(): Buffers {
  return { images: new Float32Array(0), targets: new Float32Array(0) };
}

/** The step may have given the buffer away: it is then empty, and another takes its place. */
function ofLength(buffer: Float32Array, length: number): Float32Array {
  return buffer.length === length ? buffer : new Float32Array(length);
}

function assertLength(values: Float32Array, length: number, subject: string, remedy?: string): void {
  if (values.length !== length) throw expected('ERR_SHAPE', `${length} values`, subject, values.length, { remedy });
}
