import { floatAttribute, intAttribute } from '../../attributes';
import { expected } from '../../../errors';
import type { Value } from '../graphBuilder';
import { add, mul, neg, reciprocal, reduceMean, reduceSum, reshape, scalar, scale, sqrt, sub } from '../operations';
import type { GradientRule, GradientRules, RuleScope } from '../rule';

/** ONNX says how much of the running statistics stays; torch's momentum is 1 − this. */
const DEFAULT_MOMENTUM = 0.9;
const DEFAULT_EPSILON = 1e-5;

const batchNormalization: GradientRule = (scope) => {
  if (intAttribute(scope.node, 'spatial', 1) === 0)
    throw expected(
      'ERR_MODEL_UNSUPPORTED',
      'statistics of channels',
      `BatchNormalization node "${scope.node.key}" in training`,
      'statistics of every position (spatial = 0)',
    );
  return scope.settings.batchNorm === 'batch' ? normalizeByBatch(scope) : normalizeByRunningStatistics(scope);
};

/** All axes but the channels'. */
function axesOfStatistics(input: Value): number[] {
  return input.dims.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
}

/** [C] as it broadcasts against [N, C, …]. */
function perChannel({ build }: RuleScope, input: Value, value: Value): Value {
  return reshape(build, value, [value.dims[0]!, ...input.dims.slice(2).map(() => 1)]);
}

const normalizeByRunningStatistics = (scope: RuleScope): ReturnType<GradientRule> => {
  const { build, needsGradient, required } = scope;
  const input = required(0);
  const axes = axesOfStatistics(input);
  const epsilon = floatAttribute(scope.node, 'epsilon', DEFAULT_EPSILON);
  const inverse = reciprocal(build, sqrt(build, add(build, required(4), scalar(build, epsilon))));
  const factor = mul(build, required(1), inverse);
  const shift = sub(build, required(2), mul(build, required(3), factor));
  const scaled = mul(build, input, perChannel(scope, input, factor));
  return {
    outputs: [add(build, scaled, perChannel(scope, input, shift))],
    backward([gradient]) {
      if (gradient === undefined) return [];
      const sum = () => reduceSum(build, gradient, axes, false);
      const gradientOfScale = () => {
        const product = reduceSum(build, mul(build, gradient, input), axes, false);
        return mul(build, inverse, sub(build, product, mul(build, required(3), sum())));
      };
      return [
        needsGradient[0] === true ? mul(build, gradient, perChannel(scope, input, factor)) : undefined,
        needsGradient[1] === true ? gradientOfScale() : undefined,
        needsGradient[2] === true ? sum() : undefined,
      ];
    },
  };
};

const normalizeByBatch = (scope: RuleScope): ReturnType<GradientRule> => {
  const { build, needsGradient, required } = scope;
  const input = required(0);
  const axes = axesOfStatistics(input);
  const count = axes.reduce((product, axis) => product * input.dims[axis]!, 1);
  if (count < 2)
    throw expected(
      'ERR_MODEL_UNSUPPORTED',
      'at least two values a channel',
      `BatchNormalization node "${scope.node.key}" in training by batch statistics`,
      count,
      { remedy: 'Give larger batches, or keep the running statistics.' },
    );
  const epsilon = floatAttribute(scope.node, 'epsilon', DEFAULT_EPSILON);
  const momentum = floatAttribute(scope.node, 'momentum', DEFAULT_MOMENTUM);
  const mean = reduceMean(build, input, axes, false);
  // Two passes: the mean of squares less the square of the mean loses what the mean is larger.
  const centered = sub(build, input, perChannel(scope, input, mean));
  const variance = reduceMean(build, mul(build, centered, centered), axes, false);
  const inverse = reciprocal(build, sqrt(build, add(build, variance, scalar(build, epsilon))));
  const factor = mul(build, required(1), inverse);
  const scaled = mul(build, centered, perChannel(scope, input, factor));
  const running = (stored: Value, measured: Value) =>
    add(build, scale(build, stored, momentum), scale(build, measured, 1 - momentum));
  return {
    outputs: [add(build, scaled, perChannel(scope, input, required(2)))],
    statistics: new Map([
      [3, running(required(3), mean)],
      [4, running(required(4), scale(build, variance, count / (count - 1)))],
    ]),
    backward([gradient]) {
      if (gradient === undefined) return [];
      const sum = reduceSum(build, gradient, axes, false);
      const gradientOfScale = mul(build, inverse, reduceSum(build, mul(build, gradient, centered), axes, false));
      // dx = factor · (dy − mean(dy) − x̂ · mean(dy · x̂)), x̂ = centered · inverse.
      const gradientOfInput = () => {
        const slope = neg(build, scale(build, mul(build, mul(build, factor, inverse), gradientOfScale), 1 / count));
        const constant = neg(build, scale(build, mul(build, factor, sum), 1 / count));
        const fromOutput = mul(build, gradient, perChannel(scope, input, factor));
        const fromInput = mul(build, centered, perChannel(scope, input, slope));
        return add(build, add(build, fromOutput, fromInput), perChannel(scope, input, constant));
      };
      return [
        needsGradient[0] === true ? gradientOfInput() : undefined,
        needsGradient[1] === true ? gradientOfScale : undefined,
        needsGradient[2] === true ? sum : undefined,
      ];
    },
  };
};

export const NORMALIZATION_RULES: GradientRules = { BatchNormalization: batchNormalization };
