import { createRandom } from '../../../src/random';
import type { Checkpoint, NamedVectors } from '../../../src/recovery/training/checkpoint';
import type { StepResult, TrainingHooks } from '../../../src/recovery/training/hooks';
import { type ImageFormat, imageLength } from '../../../src/recovery/training/images';
import type { TrainingPlan } from '../../../src/recovery/training/plan';
import type { Rates } from '../../../src/recovery/training/schedule';
import { NORMALIZATION } from './images';

export const FORMAT: ImageFormat = { layout: 'NCHW', channels: 3, height: 4, width: 4 };
export const CLASSES = 3;
const LENGTH = imageLength(FORMAT);
const SAMPLES = 100;

/** Classes are brighter or darker in one channel each, with noise; images stay between black and white. */
export function samples(count = SAMPLES, seed = 1): { images: Float32Array; labels: Int32Array } {
  const random = createRandom(seed);
  const labels = Int32Array.from({ length: count }, () => random.integer(CLASSES));
  const images = Float32Array.from({ length: count * LENGTH }, (_, index) => {
    const label = labels[Math.floor(index / LENGTH)]!;
    const channel = Math.floor(index / 16) % 3;
    const pixel = Math.min(1, Math.max(0, 0.45 + (channel === label ? 0.1 : 0) + 0.2 * random.normal()));
    return (pixel - NORMALIZATION.mean[channel]!) / NORMALIZATION.std[channel]!;
  });
  return { images, labels };
}

export const PLAN: TrainingPlan = {
  model: 'logistic',
  recipe: { optimizer: 'sgd', weightDecay: 0 },
  epochs: 5,
  batchSize: 16,
  seed: 11,
  labels: samples().labels,
  classes: CLASSES,
  format: FORMAT,
  normalization: NORMALIZATION,
  schedule: { kind: 'one-cycle', learningRate: 0.2, momentumRange: [0.85, 0.95] },
  labelSmoothing: 0.1,
  augmentation: {
    crop: { padding: 1, fill: 'reflect' },
    flip: 0.5,
    colour: { brightness: 0.2, contrast: 0.2, saturation: 0.2 },
    mixup: 0.2,
    cutmix: 1,
  },
};

export interface LogisticHooks extends TrainingHooks {
  readonly losses: number[];
  readonly checkpoints: Checkpoint[];
}

/** Logistic regression by SGD with momentum, its state in float32. */
export function logisticHooks(): LogisticHooks {
  const train = samples();
  const held = samples(200, 2);
  const weight = new Float32Array(CLASSES * LENGTH);
  const momentum = new Float32Array(weight.length);
  const losses: number[] = [];
  const checkpoints: Checkpoint[] = [];

  function probabilities(images: Float32Array, row: number): number[] {
    const logits = Array.from({ length: CLASSES }, (_, label) => {
      let sum = 0;
      for (let i = 0; i < LENGTH; i++) sum += weight[label * LENGTH + i]! * images[row * LENGTH + i]!;
      return sum;
    });
    const top = Math.max(...logits);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit - top), 0);
    return logits.map((logit) => Math.exp(logit - top) / total);
  }

  const argmax = (values: ArrayLike<number>): number => Array.from(values).indexOf(Math.max(...Array.from(values)));

  function step(images: Float32Array, targets: Float32Array, rates: Rates): StepResult {
    const count = targets.length / CLASSES;
    const gradient = new Float64Array(weight.length);
    let loss = 0;
    let correct = 0;
    for (let row = 0; row < count; row++) {
      const guess = probabilities(images, row);
      const target = targets.subarray(row * CLASSES, (row + 1) * CLASSES);
      if (argmax(guess) === argmax(target)) correct++;
      guess.forEach((probability, label) => {
        loss -= (target[label]! * Math.log(probability)) / count;
        for (let i = 0; i < LENGTH; i++) {
          gradient[label * LENGTH + i]! += ((probability - target[label]!) * images[row * LENGTH + i]!) / count;
        }
      });
    }
    gradient.forEach((value, i) => {
      momentum[i] = rates.momentum * momentum[i]! + value;
      weight[i]! -= rates.learningRate * momentum[i];
    });
    losses.push(loss);
    return { loss, correct, gradientNorm: Math.hypot(...gradient) };
  }

  return {
    losses,
    checkpoints,
    loadBatch: (positions, _, batch) => {
      positions.forEach((sample, row) =>
        batch.set(train.images.subarray(sample * LENGTH, (sample + 1) * LENGTH), row * LENGTH),
      );
      return Promise.resolve(batch);
    },
    steps: ({ images, targets }, rates) => {
      const [imageValues, targetValues] = [images.length / rates.length, targets.length / rates.length];
      const steps = rates.map((ofStep, index) =>
        step(
          images.subarray(index * imageValues, (index + 1) * imageValues),
          targets.subarray(index * targetValues, (index + 1) * targetValues),
          ofStep,
        ),
      );
      return Promise.resolve({ steps });
    },
    validate: () => {
      let loss = 0;
      let right = 0;
      held.labels.forEach((label, row) => {
        const guess = probabilities(held.images, row);
        loss -= Math.log(guess[label]!) / held.labels.length;
        if (argmax(guess) === label) right++;
      });
      return Promise.resolve({ loss, top1: right / held.labels.length });
    },
    readState: () => Promise.resolve({ weight: weight.slice(), momentum: momentum.slice() }),
    writeState: (state: NamedVectors) => {
      weight.set(state.weight!);
      momentum.set(state.momentum!);
      return Promise.resolve();
    },
    saveCheckpoint: (checkpoint) => {
      checkpoints.push(checkpoint);
      return Promise.resolve();
    },
  };
}
