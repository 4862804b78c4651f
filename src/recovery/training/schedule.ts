import { expected } from '../../errors';
import { checkAtLeast, checkFraction, checkInteger, checkPositive } from './checks';

interface ScheduleBase {
  /** The highest learning rate of the run. */
  readonly learningRate: number;
  /** Momentum of SGD, the first beta of Adam. Default 0.9. */
  readonly momentum?: number;
}

export interface ConstantSchedule extends ScheduleBase {
  readonly kind: 'constant';
}

/** As torch.optim.lr_scheduler.OneCycleLR with its cosine annealing, a step at a time. */
export interface OneCycleSchedule extends ScheduleBase {
  readonly kind: 'one-cycle';
  /** Share of the steps in which the learning rate rises. Default 0.3. */
  readonly warmupFraction?: number;
  /** The first learning rate is the highest divided by it. Default 25. */
  readonly initialDivisor?: number;
  /** The last learning rate is the FIRST divided by it. Default 10,000. */
  readonly finalDivisor?: number;
  /** Momentum falls from the highest to the lowest while the learning rate rises, and rises again with its fall. */
  readonly momentumRange?: readonly [lowest: number, highest: number];
}

/**
 * A linear rise, then half a cosine down to `finalLearningRate`: torch's LinearLR followed by CosineAnnealingLR, a step
 * at a time.
 */
export interface CosineSchedule extends ScheduleBase {
  readonly kind: 'cosine';
  /** Epochs of the rise, also fractions of one. Default 0. */
  readonly warmupEpochs?: number;
  /** The first learning rate as a share of the highest, with a rise. Default 0.01. */
  readonly warmupStart?: number;
  /** Default 0. It would be reached one step after the last. */
  readonly finalLearningRate?: number;
}

/** As MultiStepLR, an epoch at a time. */
export interface StepSchedule extends ScheduleBase {
  readonly kind: 'step';
  /** Finished epochs after which the learning rate is multiplied by `gamma`. */
  readonly milestones: readonly number[];
  /** Default 0.1. */
  readonly gamma?: number;
}

export type ScheduleSpec = ConstantSchedule | OneCycleSchedule | CosineSchedule | StepSchedule;

export interface Rates {
  readonly learningRate: number;
  readonly momentum: number;
}

/** Rates of a step, counted from 0 over the whole run. */
export type Schedule = (step: number) => Rates;

export interface RunLength {
  readonly epochs: number;
  readonly stepsPerEpoch: number;
}

/** Errors: ERR_OPTION for values outside their range. */
export function createSchedule(spec: ScheduleSpec, length: RunLength): Schedule {
  checkAtLeast(spec.learningRate, 0, 'the learning rate');
  const momentum = spec.momentum ?? 0.9;
  checkMomentum(momentum, 'the momentum');
  switch (spec.kind) {
    case 'constant':
      return () => ({ learningRate: spec.learningRate, momentum });
    case 'one-cycle':
      return oneCycle(spec, momentum, length.epochs * length.stepsPerEpoch);
    case 'cosine': {
      const learningRateAt = cosine(spec, length);
      return (step) => ({ learningRate: learningRateAt(step), momentum });
    }
    case 'step': {
      const { milestones, gamma = 0.1 } = spec;
      for (const milestone of milestones) checkInteger(milestone, 0, 'a milestone of the learning rate');
      checkPositive(gamma, 'the factor of the learning rate (gamma)');
      return (step) => {
        const epoch = Math.floor(step / length.stepsPerEpoch);
        const passed = milestones.filter((milestone) => milestone <= epoch).length;
        return { learningRate: spec.learningRate * gamma ** passed, momentum };
      };
    }
    default:
      throw expected(
        'ERR_OPTION',
        'constant, one-cycle, cosine or step',
        'the schedule',
        (spec as { kind: unknown }).kind,
      );
  }
}

function oneCycle(spec: OneCycleSchedule, momentum: number, totalSteps: number): Schedule {
  const { warmupFraction = 0.3, initialDivisor = 25, finalDivisor = 1e4 } = spec;
  const [lowest, highest] = spec.momentumRange ?? [momentum, momentum];
  checkFraction(warmupFraction, 'the warm-up of the one-cycle schedule');
  checkPositive(initialDivisor, 'the initial divisor of the learning rate');
  checkPositive(finalDivisor, 'the final divisor of the learning rate');
  checkMomentum(lowest, 'the lowest momentum');
  checkMomentum(highest, 'the highest momentum');
  const first = spec.learningRate / initialDivisor;
  const last = first / finalDivisor;
  const peak = warmupFraction * totalSteps - 1;
  return (step) => {
    // With a warm-up of one step the peak is step 0, and there is no way to go to it.
    if (step <= peak && peak > 0) {
      const way = step / peak;
      return { learningRate: anneal(first, spec.learningRate, way), momentum: anneal(highest, lowest, way) };
    }
    const left = totalSteps - 1 - peak;
    const way = left > 0 ? (step - peak) / left : 0;
    return { learningRate: anneal(spec.learningRate, last, way), momentum: anneal(lowest, highest, way) };
  };
}

function cosine(spec: CosineSchedule, { epochs, stepsPerEpoch }: RunLength): (step: number) => number {
  const { warmupEpochs = 0, warmupStart = 0.01, finalLearningRate = 0 } = spec;
  checkAtLeast(warmupEpochs, 0, 'the warm-up epochs');
  checkFraction(warmupStart, 'the start of the warm-up');
  checkAtLeast(finalLearningRate, 0, 'the final learning rate');
  const totalSteps = epochs * stepsPerEpoch;
  const warmupSteps = Math.round(warmupEpochs * stepsPerEpoch);
  if (warmupSteps >= totalSteps && warmupSteps > 0) {
    throw expected('ERR_OPTION', `less than the ${epochs} epochs of training`, 'the warm-up epochs', warmupEpochs);
  }
  return (step) =>
    step < warmupSteps
      ? spec.learningRate * (warmupStart + ((1 - warmupStart) * step) / warmupSteps)
      : anneal(spec.learningRate, finalLearningRate, (step - warmupSteps) / (totalSteps - warmupSteps));
}

/** Half a cosine from `start` (way 0) to `end` (way 1). */
function anneal(start: number, end: number, way: number): number {
  return end + ((start - end) / 2) * (1 + Math.cos(Math.PI * way));
}

function checkMomentum(value: number, subject: string): void {
  if (!(value >= 0 && value < 1)) throw expected('ERR_OPTION', 'a number of at least 0 and below 1', subject, value);
}
