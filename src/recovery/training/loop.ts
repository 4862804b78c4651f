import { expected, SieveError, throwIfAborted } from '../../errors';
import type { RunControl } from '../../types';
import { type BatchQueue, createBatchQueue, type StepRange } from './batches';
import { assertResumable, assertSameVectors, type Checkpoint, type NamedVectors } from './checkpoint';
import { checkInteger } from './checks';
import { bestIndex, type EpochRecord, patienceIsSpent } from './history';
import type { StepResult, TrainingHooks } from './hooks';
import { createMeter, type Meter } from './meter';
import { checkPlan, describePlan, type TrainingPlan } from './plan';
import { createSampler } from './sampler';
import { createSchedule, type Rates, type Schedule } from './schedule';

export interface TrainOptions extends RunControl {
  /** Goes on where this checkpoint was made; the result is that of an uninterrupted run, bit for bit. */
  readonly resume?: Checkpoint;
  /** Milliseconds; for tests. */
  readonly now?: () => number;
}

export interface TrainingResult {
  readonly history: readonly EpochRecord[];
  /** Counted from 1: the epoch whose state the hooks hold now. */
  readonly epoch: number;
  /** The patience was spent before the last epoch. */
  readonly stoppedEarly: boolean;
}

/**
 * Trains for the plan's epochs. The next batches are loaded and augmented while the current steps run, so `steps` should
 * not block the event loop. After each epoch: validation, then a checkpoint. The hooks hold the result at the end: the
 * last epoch's state, or the best one's with `keepBest`.
 *
 * The signal is heeded between two calls of `steps`. After an error or an abort nothing runs any more, the hooks' state
 * is that of some step, and the last checkpoint that was saved is good.
 *
 * Errors: ERR_NON_FINITE for a loss, gradient, weight or validation loss that is no number (it names the step);
 * ERR_CANCELLED; ERR_DATA_MISMATCH (fewer samples than a batch, a checkpoint of another run); ERR_LABELS; ERR_OPTION;
 * ERR_SHAPE; ERR_DATA_UNREADABLE (`resume`); those of the hooks.
 */
export async function train(
  plan: TrainingPlan,
  hooks: TrainingHooks,
  options: TrainOptions = {},
): Promise<TrainingResult> {
  const { signal, onProgress, resume, now = () => performance.now() } = options;
  checkPlan(plan);
  if ((plan.patience !== undefined || plan.keepBest !== undefined) && hooks.validate === undefined) {
    throw expected('ERR_OPTION', 'validation data', 'early stopping or keeping the best epoch', undefined, {
      remedy: 'Give validation data, or train without these options.',
    });
  }
  const sampler = createSampler(plan);
  const { stepsPerEpoch } = sampler;
  const totalSteps = plan.epochs * stepsPerEpoch;
  const { stepsPerRun = 1 } = hooks;
  checkInteger(stepsPerRun, 1, 'the steps of one run');
  const schedule = createSchedule(plan.schedule, { epochs: plan.epochs, stepsPerEpoch });
  const queue = createBatchQueue(plan, sampler, hooks, signal);
  try {
    throwIfAborted(signal);
    if (resume !== undefined) await restore(resume, plan, hooks);
    const history = [...(resume?.history ?? [])];
    let best = resume?.best;
    const meter = createMeter({ epochs: plan.epochs, batchSize: plan.batchSize, totalSteps, now });
    const run: Run = { plan, hooks, queue, schedule, stepsPerEpoch, stepsPerRun, totalSteps, meter, options };

    while (history.length < plan.epochs && !patienceIsSpent(history, plan.patience)) {
      const { record, state } = await trainEpoch(run, history.length);
      history.push(record);
      if (plan.keepBest !== undefined && bestIndex(history, plan.keepBest) === history.length - 1) best = state;
      const checkpoint = { model: plan.model, plan: describePlan(plan), history: [...history], state, best };
      await hooks.saveCheckpoint?.(checkpoint);
    }
    const chosen = plan.keepBest === undefined ? history.length - 1 : bestIndex(history, plan.keepBest);
    if (best !== undefined && chosen !== history.length - 1) await hooks.writeState(best);
    onProgress?.(meter.finish());
    return { history, epoch: chosen + 1, stoppedEarly: history.length < plan.epochs };
  } finally {
    await queue.close();
  }
}

interface Run {
  readonly plan: TrainingPlan;
  readonly hooks: TrainingHooks;
  readonly queue: BatchQueue;
  readonly schedule: Schedule;
  readonly stepsPerEpoch: number;
  readonly stepsPerRun: number;
  readonly totalSteps: number;
  readonly meter: Meter;
  readonly options: TrainOptions;
}

async function restore(checkpoint: Checkpoint, plan: TrainingPlan, hooks: TrainingHooks): Promise<void> {
  assertResumable(checkpoint, plan);
  const current = await hooks.readState();
  for (const state of [checkpoint.state, checkpoint.best ?? checkpoint.state]) {
    assertSameVectors(state, current, 'ERR_DATA_MISMATCH', 'the state of a checkpoint');
    const broken = nonFiniteVector(state);
    if (broken !== undefined) {
      throw expected('ERR_NON_FINITE', 'finite values', `"${broken}" of a checkpoint`, 'NaN or infinity', {
        remedy: 'Start the training anew.',
      });
    }
  }
  await hooks.writeState(checkpoint.state);
}

async function trainEpoch(run: Run, epoch: number): Promise<{ record: EpochRecord; state: NamedVectors }> {
  const { plan, hooks, queue, schedule, stepsPerEpoch, totalSteps, meter } = run;
  const { signal, onProgress } = run.options;
  let lossSum = 0;
  let correct = 0;
  const end = (epoch + 1) * stepsPerEpoch;
  let first = epoch * stepsPerEpoch;
  let rates: Rates = schedule(first);
  while (first < end) {
    const range = rangeFrom(first, run);
    const batches = await queue.take(range).catch((error: unknown) => {
      // A hook may answer an abort with an error of its own.
      throwIfAborted(signal);
      throw error;
    });
    throwIfAborted(signal);
    const ratesOfSteps = Array.from({ length: range.count }, (_, index) => schedule(first + index));
    const running = hooks.steps(batches, ratesOfSteps);
    const next = first + range.count;
    if (next < totalSteps) queue.prefetch(rangeFrom(next, run));
    const { steps, returned = batches } = await running;
    queue.giveBack(returned);
    const events = meter.steps(steps, epoch + 1, first);
    for (const [index, result] of steps.entries()) {
      rates = ratesOfSteps[index]!;
      assertFinite(result, run, first + index, rates);
      lossSum += result.loss;
      correct += result.correct;
      onProgress?.(events[index]!);
    }
    first = next;
  }
  throwIfAborted(signal);
  const state = await hooks.readState();
  const broken = nonFiniteVector(state);
  if (broken !== undefined) {
    throw diverged(`finite values of "${broken}"`, 'NaN or infinity', run, end - 1, rates);
  }
  const validation = await hooks.validate?.(signal);
  if (validation !== undefined && !Number.isFinite(validation.loss)) {
    throw diverged('a finite loss on the validation data', validation.loss, run, end - 1, rates);
  }
  const record: EpochRecord = {
    epoch: epoch + 1,
    loss: lossSum / stepsPerEpoch,
    accuracy: correct / (stepsPerEpoch * plan.batchSize),
    learningRate: rates.learningRate,
    validation,
  };
  return { record, state };
}

/** The steps of the run that begins with `first`: they lie in one epoch. */
function rangeFrom(first: number, { stepsPerEpoch, stepsPerRun }: Run): StepRange {
  return { first, count: Math.min(stepsPerRun, stepsPerEpoch - (first % stepsPerEpoch)) };
}

function assertFinite({ loss, gradientNorm }: StepResult, run: Run, step: number, rates: Rates): void {
  if (!Number.isFinite(loss)) throw diverged('a finite loss', loss, run, step, rates);
  if (gradientNorm !== undefined && !Number.isFinite(gradientNorm)) {
    throw diverged('a finite gradient', gradientNorm, run, step, rates);
  }
}

function diverged(what: string, received: unknown, run: Run, step: number, { learningRate }: Rates): SieveError {
  const epoch = Math.floor(step / run.stepsPerEpoch) + 1;
  const place = `step ${(step % run.stepsPerEpoch) + 1} of ${run.stepsPerEpoch} in epoch ${epoch} of ${run.plan.epochs}`;
  const kept =
    run.hooks.saveCheckpoint !== undefined && epoch > 1
      ? ` The checkpoint after epoch ${epoch - 1} is good, but belongs to this learning rate.`
      : '';
  return expected('ERR_NON_FINITE', what, `training at ${place} (learning rate ${learningRate})`, received, {
    remedy: `Lower the learning rate, clip gradients by their norm, or warm up for longer.${kept}`,
  });
}

/** Name of the first vector with a value that is no finite number. */
function nonFiniteVector(state: NamedVectors): string | undefined {
  return Object.keys(state).find((name) => {
    const values = state[name]!;
    // Zero times a finite value is zero, times anything else NaN.
    let zero = 0;
    for (const value of values) zero += value * 0;
    return zero !== 0;
  });
}
