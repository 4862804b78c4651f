import type { ProgressEvent } from '../../types';
import type { StepResult } from './hooks';

/** The share of the past in smoothed values: the last 50 steps or so count. */
const DECAY = 0.98;

/** Turns the results of steps into progress events. */
export interface Meter {
  /**
   * Steps that have just ended together: each took an equal share of the time since those before. `epoch` from 1, `done`
   * steps of the whole run before these, including those before a resume. One event for each.
   */
  steps(results: readonly StepResult[], epoch: number, done: number): readonly ProgressEvent[];
  finish(): ProgressEvent;
}

export interface MeterOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly totalSteps: number;
  readonly now: () => number;
}

const STAGE = 'train';

export function createMeter({ epochs, batchSize, totalSteps, now }: MeterOptions): Meter {
  const startedMs = now();
  const loss = createMean();
  const accuracy = createMean();
  const stepMs = createMean();
  let lastMs = startedMs;
  let steps = 0;
  function step(result: StepResult, epoch: number, done: number, nowMs: number): ProgressEvent {
    steps++;
    const event = {
      loss: loss(result.loss),
      accuracy: accuracy(result.correct / batchSize),
      imagesPerSecond: (1000 * batchSize) / Math.max(1e-3, stepMs(nowMs - lastMs)),
      // Over the whole run, so that validation between the epochs counts.
      secondsLeft: ((nowMs - startedMs) / 1000 / steps) * (totalSteps - done),
    };
    lastMs = nowMs;
    return { stage: STAGE, fraction: done / totalSteps, message: say(event, epoch, epochs), ...event };
  }

  return {
    steps(results, epoch, done) {
      const shareMs = (now() - lastMs) / results.length;
      return results.map((result, index) => step(result, epoch, done + index + 1, lastMs + shareMs));
    },
    finish: () => ({ stage: STAGE, fraction: 1 }),
  };
}

type Measures = Required<Pick<ProgressEvent, 'loss' | 'accuracy' | 'imagesPerSecond' | 'secondsLeft'>>;

function say({ loss, accuracy, imagesPerSecond, secondsLeft }: Measures, epoch: number, epochs: number): string {
  const left = secondsLeft < 100 ? `${Math.ceil(secondsLeft)} s` : `${Math.ceil(secondsLeft / 60)} min`;
  return (
    `epoch ${epoch}/${epochs}, loss ${loss.toFixed(3)}, ${(100 * accuracy).toFixed(1)} % right, ` +
    `${Math.round(imagesPerSecond)} images/s, ${left} left`
  );
}

/** An exponential mean that does not start from zero: the weights of the values so far sum to one. */
function createMean(): (value: number) => number {
  let sum = 0;
  let weight = 0;
  return (value) => {
    sum = DECAY * sum + (1 - DECAY) * value;
    weight = DECAY * weight + (1 - DECAY);
    return sum / weight;
  };
}
