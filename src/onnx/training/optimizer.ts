import type { GraphBuilder, Value } from './graphBuilder';
import * as ops from './operations';

export interface SgdOptimizer {
  readonly kind: 'sgd';
  readonly nesterov: boolean;
  readonly weightDecay: number;
  /** `true`: weights shrink by learning rate · decay apart from the gradient (Loshchilov, Hutter 2019); else decay is in it. */
  readonly decoupled: boolean;
}

export interface AdamOptimizer {
  readonly kind: 'adamw';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

export interface OptimizerSettings {
  readonly rule: SgdOptimizer | AdamOptimizer;
  /** Decay of an exponential moving average of the parameters, which is kept beside them. */
  readonly averageDecay?: number;
}

/** What the host decides for each step. */
export interface StepSettings {
  readonly learningRate: number;
  /** Of SGD. */
  readonly momentum: number;
  /** Counted from 1. */
  readonly step: number;
}

/**
 * Rows of the state of one vector of parameters, [rows, parameters]: moments first, then the parameters, then their average.
 */
export function stateRows({ rule, averageDecay }: OptimizerSettings): {
  readonly count: number;
  readonly parameters: number;
  readonly average: number | undefined;
} {
  const moments = rule.kind === 'sgd' ? 1 : 2;
  const average = averageDecay === undefined ? undefined : moments + 1;
  return { count: moments + 1 + (average === undefined ? 0 : 1), parameters: moments, average };
}

/** The state before the first step: no momentum, the average at the parameters. */
export function initialState(settings: OptimizerSettings, parameters: Float32Array): Float32Array {
  const rows = stateRows(settings);
  const state = new Float32Array(rows.count * parameters.length);
  state.set(parameters, rows.parameters * parameters.length);
  if (rows.average !== undefined) state.set(parameters, rows.average * parameters.length);
  return state;
}

/** Sizes of the feed that `updateFeed` fills. */
export function updateFeedDims(settings: OptimizerSettings): readonly number[] {
  const { count } = stateRows(settings);
  return settings.rule.kind === 'sgd' ? [count, count + 1] : [4];
}

/**
 * What one step of the optimizer needs to know.
 *
 * SGD is linear in gradient g, momentum m, parameters w and average a, so its feed is the matrix of
 * [m'; w'; a'] = A · [g; m; w; a]:  m' = g + μ m (+ λ w),  w' = w − η u (− η λ w),  u = m' or, with Nesterov, g (+ λ w) + μ m',
 * a' = d a + (1 − d) w'. The terms in parentheses are those of coupled and of decoupled decay λ.
 *
 * AdamW's is [η, 1/(1 − β₁ᵗ), 1/(1 − β₂ᵗ), λ].
 */
export function updateFeed(settings: OptimizerSettings, decays: boolean, step: StepSettings): Float32Array {
  const { rule, averageDecay } = settings;
  const { learningRate, momentum } = step;
  const decay = decays ? rule.weightDecay : 0;
  if (rule.kind === 'adamw')
    return Float32Array.of(learningRate, 1 / (1 - rule.beta1 ** step.step), 1 / (1 - rule.beta2 ** step.step), decay);
  // Coefficients of g, m and w.
  const inGradient = rule.decoupled ? 0 : decay;
  const next = [1, momentum, inGradient] as const;
  const direction = rule.nesterov
    ? ([1 + momentum * next[0], momentum * next[1], inGradient + momentum * next[2]] as const)
    : next;
  const apart = rule.decoupled ? learningRate * decay : 0;
  const parameters = [
    -learningRate * direction[0],
    -learningRate * direction[1],
    1 - learningRate * direction[2] - apart,
  ];
  if (averageDecay === undefined) return Float32Array.of(...next, ...parameters);
  const average = parameters.map((coefficient) => (1 - averageDecay) * coefficient);
  return Float32Array.of(...next, 0, ...parameters, 0, ...average, averageDecay);
}

/**
 * The state after a step. gradient: [1, parameters]; state: [rows, parameters]; feed as `updateFeed` makes it.
 *
 * @param shrink [] factor on the gradient (clipping), 1 where undefined
 */
export function writeUpdate(
  build: GraphBuilder,
  settings: OptimizerSettings,
  gradient: Value,
  state: Value,
  feed: Value,
  shrink: Value | undefined,
): Value {
  const { rule } = settings;
  const { count } = stateRows(settings);
  if (rule.kind === 'sgd') {
    let matrix = feed;
    if (shrink !== undefined) {
      // The factor goes onto the matrix' first column: no pass over the gradients.
      const factors = [ops.reshape(build, shrink, [1]), build.constant(new Array<number>(count).fill(1), [count])];
      matrix = ops.mul(build, feed, ops.concat(build, factors, 0));
    }
    return ops.matMul(build, matrix, ops.concat(build, [gradient, state], 0));
  }
  const row = (index: number): Value => ops.slice(build, state, 0, index, index + 1);
  const fed = (index: number): Value => ops.slice(build, feed, 0, index, index + 1);
  const clipped = shrink === undefined ? gradient : ops.mul(build, gradient, shrink);
  const blend = (old: Value, added: Value, keep: number): Value =>
    ops.add(build, ops.scale(build, old, keep), ops.scale(build, added, 1 - keep));
  const first = blend(row(0), clipped, rule.beta1);
  const second = blend(row(1), ops.mul(build, clipped, clipped), rule.beta2);
  const deviation = ops.sqrt(build, ops.mul(build, second, fed(2)));
  const stabilized = ops.add(build, deviation, ops.scalar(build, rule.epsilon));
  const direction = ops.div(build, ops.mul(build, first, fed(1)), stabilized);
  const old = row(2);
  const change = ops.mul(build, fed(0), ops.add(build, direction, ops.mul(build, fed(3), old)));
  const parameters = ops.sub(build, old, change);
  const averages = settings.averageDecay === undefined ? [] : [blend(row(3), parameters, settings.averageDecay)];
  return ops.concat(build, [first, second, parameters, ...averages], 0);
}
