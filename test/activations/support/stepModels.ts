import { ModelBuilder } from '../../support/modelBuilder';

export interface RegressionSize {
  readonly batch: number;
  readonly inputs: number;
  readonly outputs: number;
}

export const REGRESSION: RegressionSize = { batch: 8, inputs: 5, outputs: 3 };

/**
 * One step of SGD with momentum for Y = X·W with half the mean squared error over the batch:
 * gradient = Xᵀ(XW − Y)/B, m' = momentum_factor·m + gradient, W' = W − learning_rate·m'.
 */
export function regressionStep({ batch, inputs, outputs }: RegressionSize = REGRESSION): ModelBuilder {
  const step = new ModelBuilder();
  const images = step.input('images', [batch, inputs]);
  const targets = step.input('targets', [batch, outputs]);
  const rate = step.input('learning_rate', [1]);
  const factor = step.input('momentum_factor', [1]);
  const weights = step.input('weights', [inputs * outputs]);
  const momentum = step.input('momentum', [inputs * outputs]);
  const matrix = step.node('Reshape', [weights, step.ints([inputs, outputs])]);
  const error = step.node('Sub', [step.node('MatMul', [images, matrix]), targets]);
  const scale = step.weights([1], [1 / batch]);
  const gradient = step.node('Mul', [
    step.node('MatMul', [step.node('Transpose', [images], { perm: [1, 0] }), error]),
    scale,
  ]);
  const flat = step.node('Reshape', [gradient, step.ints([-1])]);
  const next = step.node('Add', [step.node('Mul', [momentum, factor]), flat], {}, { outputs: ['momentum_next'] });
  const update = step.node('Mul', [next, rate]);
  step.output(step.node('Sub', [weights, update], {}, { outputs: ['weights_next'] }), [inputs * outputs]);
  step.output(next, [inputs * outputs]);
  const squares = step.node('ReduceSum', [step.node('Mul', [error, error])], { keepdims: 0 });
  const half = step.weights([], [0.5 / batch]);
  step.output(step.node('Mul', [squares, half], {}, { outputs: ['loss'] }), []);
  step.output(step.node('ReduceL2', [flat], { keepdims: 0 }, { outputs: ['gradient_norm'] }), []);
  return step;
}

export interface RegressionState {
  readonly weights: Float64Array;
  readonly momentum: Float64Array;
}

/** The same step in float64. Returns the loss; the state is changed in place. */
export function regressionStepInFloat64(
  { batch, inputs, outputs }: RegressionSize,
  { weights, momentum }: RegressionState,
  { images, targets, rate, factor }: { images: Float32Array; targets: Float32Array; rate: number; factor: number },
): number {
  const gradient = new Float64Array(inputs * outputs);
  let loss = 0;
  for (let row = 0; row < batch; row++) {
    for (let column = 0; column < outputs; column++) {
      let error = -targets[row * outputs + column]!;
      for (let k = 0; k < inputs; k++) error += images[row * inputs + k]! * weights[k * outputs + column]!;
      loss += (error * error) / 2 / batch;
      for (let k = 0; k < inputs; k++) gradient[k * outputs + column]! += (images[row * inputs + k]! * error) / batch;
    }
  }
  for (let at = 0; at < weights.length; at++) {
    momentum[at] = factor * momentum[at]! + gradient[at]!;
    weights[at]! -= rate * momentum[at]!;
  }
  return loss;
}

/** Deterministic numbers around zero. */
export function waves(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, at) => Math.sin((at + 1) * (seed + 1) * 12.9898));
}
