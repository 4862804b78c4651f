import { expected } from '../../errors';
import { createAugmentation } from './augmentation';
import type { TrainingBatches, TrainingHooks } from './hooks';
import { imageLength } from './images';
import type { TrainingPlan } from './plan';
import type { Sampler } from './sampler';
import { writeTargets } from './targets';

/** Steps of one epoch, counted through the whole run. */
export interface StepRange {
  readonly first: number;
  readonly count: number;
}

/** Batches in the order of the steps, the next ones in the making while the current ones are trained on. */
export interface BatchQueue {
  /** The batches of some steps: those prefetched, where that were the same. */
  take(range: StepRange): Promise<TrainingBatches>;
  /** Starts to load and augment the batches of some steps. A failure shows when they are taken. */
  prefetch(range: StepRange): void;
  /** Arrays of batches that were taken and are read no more: later batches are written to them. */
  giveBack(batches: TrainingBatches): void;
  /** Drops what was prefetched and waits until nothing runs any more. */
  close(): Promise<void>;
}

/** Errors of `take`: ERR_SHAPE where a hook gives another number of values; those of the hooks and the augmentation. */
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
  const buffers = createBuffers();
  const closing = new AbortController();
  const abort = (): void => closing.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  let order: { readonly epoch: number; readonly positions: Int32Array } | undefined;
  let upcoming: { readonly first: number; readonly batches: Promise<TrainingBatches> } | undefined;

  async function prepare({ first, count }: StepRange): Promise<TrainingBatches> {
    const images = buffers.take(count * imageValues);
    const targets = buffers.take(count * targetValues);
    const teacherLogits = hooks.teacherLogits === undefined ? undefined : buffers.take(count * targetValues);
    for (let index = 0; index < count; index++)
      await prepareStep(first + index, {
        images: images.subarray(index * imageValues, (index + 1) * imageValues),
        targets: targets.subarray(index * targetValues, (index + 1) * targetValues),
        teacherLogits: teacherLogits?.subarray(index * targetValues, (index + 1) * targetValues),
      });
    return { images, targets, teacherLogits };
  }

  async function prepareStep(step: number, { images, targets, teacherLogits }: TrainingBatches): Promise<void> {
    const epoch = Math.floor(step / sampler.stepsPerEpoch);
    const stepOfEpoch = step % sampler.stepsPerEpoch;
    if (order?.epoch !== epoch) order = { epoch, positions: sampler.order(epoch) };
    const positions = order.positions.slice(stepOfEpoch * batchSize, (stepOfEpoch + 1) * batchSize);
    const asStored = augmentation === undefined ? images : buffers.take(imageValues);
    const loaded = await hooks.loadBatch(positions, closing.signal, asStored);
    assertLength(loaded, imageValues, 'a batch of images');
    writeTargets(labels, positions, classes, plan.labelSmoothing ?? 0, targets);
    if (augmentation !== undefined) {
      augmentation.apply(loaded, targets, { epoch, step: stepOfEpoch }, images);
      buffers.giveBack(asStored);
    } else if (loaded !== images) images.set(loaded);
    if (teacherLogits === undefined) return;
    const answer = await hooks.teacherLogits!(images, closing.signal);
    assertLength(answer, targetValues, "the teacher's logits", 'Choose a teacher with the same classes.');
    teacherLogits.set(answer);
  }

  function prefetch(range: StepRange): void {
    const batches = prepare(range);
    // Where they are never taken, their failure must not become an unhandled rejection.
    batches.catch(() => undefined);
    upcoming = { first: range.first, batches };
  }

  return {
    take(range) {
      if (upcoming?.first !== range.first) prefetch(range);
      return upcoming!.batches;
    },
    prefetch,
    giveBack(batches) {
      for (const array of Object.values(batches) as (Float32Array | undefined)[])
        if (array !== undefined) buffers.giveBack(array);
    },
    async close() {
      signal?.removeEventListener('abort', abort);
      closing.abort();
      await upcoming?.batches.catch(() => undefined);
    },
  };
}

/** Arrays that are used again: a batch may be hundreds of megabytes, and memory that is new to the process is slow. */
function createBuffers(): { take(length: number): Float32Array; giveBack(array: Float32Array): void } {
  const free: Float32Array[] = [];
  return {
    take(length) {
      const position = free.findIndex((array) => array.length === length);
      return position < 0 ? new Float32Array(length) : free.splice(position, 1)[0]!;
    },
    giveBack(array) {
      // Empty: it was given away.
      if (array.length > 0) free.push(array);
    },
  };
}

function assertLength(values: Float32Array, length: number, subject: string, remedy?: string): void {
  if (values.length !== length) throw expected('ERR_SHAPE', `${length} values`, subject, values.length, { remedy });
}
