import { floatAttribute, intAttribute } from '../../attributes';
import { expected } from '../../../errors';
import { float, type GraphBuilder, type Value } from '../graphBuilder';
import { add, mul, neg, reciprocal, reduceMean, reshape, scalar, scale, sqrt, sub } from '../operations';
import type { Differentiable, GradientRule, RuleScope } from '../rule';

/** ONNX says how much of the running statistics stays; torch's momentum is 1 − this. */
const DEFAULT_MOMENTUM = 0.9;
const DEFAULT_EPSILON = 1e-5;

/**
 * Time goes with the passes over x and dy. Milliseconds of CPU time at [128,16,32,32], [128,32,16,16] and [128,64,8,8] (medians
 * of 76 alternating runs, 2 threads, an EPYC Zen 4 under other load, where runs differ by a third): forward with one node 3.2,
 * 1.5, 0.8; from sums, differences and an affine node 5.5, 2.6, 1.3; from Mul and Add with means over three axes at once 8.8,
 * 3.3, 2.1. Backward with an affine node for b·x + c 8.4, 3.3, 1.7; from Mul and Add 11.5, 4.8, 2.7. A second affine node instead
 * of the Mul is no faster; dot products of planes as stacked MatMuls and a depthwise Conv as the affine node are slower.
 */
export const batchNormalization: GradientRule = (scope) => {
  if (intAttribute(scope.node, 'spatial', 1) === 0)
    throw expected(
      'ERR_MODEL_UNSUPPORTED',
      'statistics of channels',
      `BatchNormalization node "${scope.node.key}" in training`,
      'statistics of every position (spatial = 0)',
    );
  return scope.settings.batchNorm === 'batch' ? byBatchStatistics(scope) : byRunningStatistics(scope);
};

function byRunningStatistics(scope: RuleScope): Differentiable {
  const { build, needsGradient, required } = scope;
  const [input, gain, bias, mean, variance] = [required(0), required(1), required(2), required(3), required(4)];
  const count = valuesOfAChannel(input);
  const inverse = inverseDeviation(scope, variance);
  const factor = mul(build, gain, inverse);
  return {
    outputs: [affine(scope, input, factor, sub(build, bias, mul(build, mean, factor)))],
    backward([gradient]) {
      if (gradient === undefined) return [];
      const gradientOfGain = () => scale(build, mul(build, inverse, covariance(scope, gradient, input, mean)), count);
      return [
        needsGradient[0] === true ? mul(build, gradient, perChannel(build, input, factor)) : undefined,
        needsGradient[1] === true ? gradientOfGain() : undefined,
        needsGradient[2] === true ? scale(build, channelMeans(scope, gradient), count) : undefined,
      ];
    },
  };
}

function byBatchStatistics(scope: RuleScope): Differentiable {
  const { build, node, needsGradient, required } = scope;
  const [input, gain] = [required(0), required(1)];
  const count = valuesOfAChannel(input);
  if (count < 2)
    throw expected(
      'ERR_MODEL_UNSUPPORTED',
      'at least two values a channel',
      `BatchNormalization node "${node.key}" in training by batch statistics`,
      count,
      { remedy: 'Give larger batches, or keep the running statistics.' },
    );
  const { output, mean, variance } =
    scope.settings.device === 'cpu' ? normalizeInOneNode(scope) : normalizeByPrimitives(scope);
  const momentum = floatAttribute(node, 'momentum', DEFAULT_MOMENTUM);
  const running = (stored: Value, measured: Value) =>
    add(build, scale(build, stored, momentum), scale(build, measured, 1 - momentum));
  return {
    outputs: [output],
    statistics: new Map([
      [3, running(required(3), mean)],
      [4, running(required(4), scale(build, variance, count / (count - 1)))],
    ]),
    backward([gradient]) {
      if (gradient === undefined) return [];
      const inverse = inverseDeviation(scope, variance);
      const meanOfGradient = channelMeans(scope, gradient);
      const shared = covariance(scope, gradient, input, mean);
      // dx = a · (dy − mean(dy) − (x − mean) · covariance / variance), a = gain / deviation: a·dy + b·x + c.
      const gradientOfInput = () => {
        const a = mul(build, gain, inverse);
        const b = neg(build, mul(build, mul(build, a, shared), mul(build, inverse, inverse)));
        const c = neg(build, add(build, mul(build, a, meanOfGradient), mul(build, b, mean)));
        return add(build, mul(build, gradient, perChannel(build, input, a)), affine(scope, input, b, c));
      };
      return [
        needsGradient[0] === true ? gradientOfInput() : undefined,
        needsGradient[1] === true ? scale(build, mul(build, inverse, shared), count) : undefined,
        needsGradient[2] === true ? scale(build, meanOfGradient, count) : undefined,
      ];
    },
  };
}

interface Normalized {
  readonly output: Value;
  readonly mean: Value;
  /** Biased. */
  readonly variance: Value;
}

/**
 * ONNX Runtime's kernel for training, which takes the variance around the mean in a second pass as well. It writes the running
 * statistics, here (momentum 0) those of the batch alone, over its inputs 3 and 4, whoever else reads them: it is given values
 * made for it, of which nothing stays. Nodes that share them normalise the same input, and write the same.
 */
function normalizeInOneNode(scope: RuleScope): Normalized {
  const { build, required } = scope;
  const input = required(0);
  const axes = axesOfStatistics(input);
  const bounds = [axes.map(() => 0), axes.map(() => 1), axes].map((numbers) => build.integers(numbers));
  const some = reshape(build, build.emit('Slice', [input, ...bounds])[0]!, [input.dims[1]!]);
  const operands = [input, required(1), required(2), some, neg(build, some)];
  const attributes = { epsilon: float(epsilonOf(scope)), momentum: float(0), training_mode: 1 };
  const [output, mean, variance] = build.emit('BatchNormalization', operands, attributes, { outputs: 3 });
  return { output: output!, mean: mean!, variance: variance! };
}

/** The mean of squares less the square of the mean would lose digits: the variance takes a second pass. */
function normalizeByPrimitives(scope: RuleScope): Normalized {
  const { build, required } = scope;
  const input = required(0);
  const mean = channelMeans(scope, input);
  const centered = sub(build, input, perChannel(build, input, mean));
  const variance = channelMeans(scope, mul(build, centered, centered));
  const factor = mul(build, required(1), inverseDeviation(scope, variance));
  return { output: affine(scope, centered, factor, required(2)), mean, variance };
}

function epsilonOf({ node }: RuleScope): number {
  return floatAttribute(node, 'epsilon', DEFAULT_EPSILON);
}

function inverseDeviation(scope: RuleScope, variance: Value): Value {
  const { build } = scope;
  return reciprocal(build, sqrt(build, add(build, variance, scalar(build, epsilonOf(scope)))));
}

/** [C] as it broadcasts against [N, C, …]. */
function perChannel(build: GraphBuilder, input: Value, value: Value): Value {
  return reshape(build, value, [value.dims[0]!, ...input.dims.slice(2).map(() => 1)]);
}

/** All axes but the channels'. */
function axesOfStatistics(input: Value): number[] {
  return [...input.dims.keys()].filter((axis) => axis !== 1);
}

function valuesOfAChannel(input: Value): number {
  return axesOfStatistics(input).reduce((product, axis) => product * input.dims[axis]!, 1);
}

/** [C]. On the CPU planes first and then the batch: half the time of both at once. */
function channelMeans({ build, settings }: RuleScope, input: Value): Value {
  const [batch = 0, ...spatial] = axesOfStatistics(input);
  if (settings.device !== 'cpu' || spatial.length === 0) return reduceMean(build, input, [batch, ...spatial], false);
  return reduceMean(build, reduceMean(build, input, spatial, false), [batch], false);
}

/** Mean over each channel of dy · (x − mean), without another tensor of x's size. */
function covariance(scope: RuleScope, gradient: Value, input: Value, mean: Value): Value {
  const { build } = scope;
  const product = channelMeans(scope, mul(build, gradient, input));
  return sub(build, product, mul(build, mean, channelMeans(scope, gradient)));
}

/** factor · x + shift by channel: a batch normalization of mean 0 and variance 1 does both in one pass. */
function affine({ build, settings }: RuleScope, input: Value, factor: Value, shift: Value): Value {
  const channels = input.dims[1]!;
  if (settings.device !== 'cpu')
    return add(build, mul(build, input, perChannel(build, input, factor)), perChannel(build, input, shift));
  const mean = build.constant(new Float32Array(channels), [channels]);
  const variance = build.constant(new Float32Array(channels).fill(1), [channels]);
  return build.emit('BatchNormalization', [input, factor, shift, mean, variance], { epsilon: float(0) })[0]!;
}
