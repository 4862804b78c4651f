import { floatAttribute, intAttribute } from '../../attributes';
import { elementCount } from '../../elementSize';
import { normalizeAxis } from '../../shapes/dimensions';
import type { GraphBuilder, Value } from '../graphBuilder';
import { add, div, matMul, mul, reciprocal, reduceMean, reshape, scalar, scale, sqrt, sub, sumTo } from '../operations';
import type { Differentiable, GradientRule, GradientRules, RuleScope } from '../rule';
import { batchNormalization } from './batchNormalization';

const DEFAULT_EPSILON = 1e-5;

/** Rows brought to mean 0 and variance 1, and the gradient of the input from that of the result. */
function standardize(build: GraphBuilder, rows: Value, epsilon: number) {
  const mean = (value: Value) => reduceMean(build, value, [1], true);
  const centered = sub(build, rows, mean(rows));
  const variance = mean(mul(build, centered, centered));
  const inverse = reciprocal(build, sqrt(build, add(build, variance, scalar(build, epsilon))));
  const output = mul(build, centered, inverse);
  return {
    output,
    backward(gradient: Value): Value {
      const alongOutput = mul(build, output, mean(mul(build, gradient, output)));
      return mul(build, sub(build, sub(build, gradient, mean(gradient)), alongOutput), inverse);
    },
  };
}

interface RowNormalization {
  /** How the input falls into rows that are normalised by themselves. */
  readonly rows: number;
  /** The shape that gain and bias broadcast against, of the input's elements. */
  readonly view: readonly number[];
  /** What gain and bias are reshaped to for that. */
  readonly parameterDims: (parameter: Value) => readonly number[];
}

function normalizeRows(scope: RuleScope, { rows, view, parameterDims }: RowNormalization): Differentiable {
  const { build, node, inputs, needsGradient, required } = scope;
  const [input, gain, bias] = [required(0), required(1), inputs[2]];
  const epsilon = floatAttribute(node, 'epsilon', DEFAULT_EPSILON);
  const asRows = (value: Value) => reshape(build, value, [rows, elementCount(input.dims) / rows]);
  const standardized = standardize(build, asRows(input), epsilon);
  const normalized = reshape(build, standardized.output, view);
  const spread = (parameter: Value) => reshape(build, parameter, parameterDims(parameter));
  const scaled = mul(build, normalized, spread(gain));
  const output = bias === undefined ? scaled : add(build, scaled, spread(bias));
  return {
    outputs: [reshape(build, output, input.dims)],
    backward([arriving]) {
      if (arriving === undefined) return [];
      const gradient = reshape(build, arriving, view);
      const collect = (value: Value, parameter: Value) =>
        reshape(build, sumTo(build, value, parameterDims(parameter)), parameter.dims);
      const gradientOfInput = () => standardized.backward(asRows(mul(build, gradient, spread(gain))));
      return [
        needsGradient[0] === true ? reshape(build, gradientOfInput(), input.dims) : undefined,
        needsGradient[1] === true ? collect(mul(build, gradient, normalized), gain) : undefined,
        needsGradient[2] === true && bias !== undefined ? collect(gradient, bias) : undefined,
      ];
    },
  };
}

/** Every channel of every sample by itself. */
const instanceNormalization: GradientRule = (scope) => {
  const [batch = 1, channels = 1] = scope.required(0).dims;
  return normalizeRows(scope, {
    rows: batch * channels,
    view: [batch, channels, elementCount(scope.required(0).dims) / (batch * channels)],
    parameterDims: () => [channels, 1],
  });
};

/** Gain and bias have a value for each group in operator set 18, and for each channel from 21 on. */
const groupNormalization: GradientRule = (scope) => {
  const input = scope.required(0);
  const [batch = 1] = input.dims;
  const parameters = scope.required(1).dims[0]!;
  return normalizeRows(scope, {
    rows: batch * intAttribute(scope.node, 'num_groups', 1),
    view: [batch, parameters, elementCount(input.dims) / (batch * parameters)],
    parameterDims: () => [parameters, 1],
  });
};

/** All axes from `axis` on together. Mean and deviation, outputs 1 and 2, are not carried over. */
const layerNormalization: GradientRule = (scope) => {
  const { dims } = scope.required(0);
  const axis = normalizeAxis(intAttribute(scope.node, 'axis', -1), dims.length) ?? 0;
  return normalizeRows(scope, {
    rows: elementCount(dims.slice(0, axis)),
    view: dims,
    parameterDims: (parameter) => parameter.dims,
  });
};

/**
 * x / s^beta with s = bias + alpha / size · Σ x² over neighbouring channels. The sum is a product with a band of ones, whose
 * transpose takes the gradient back.
 */
const localResponseNormalization: GradientRule = ({ build, node, required, needsGradient }) => {
  const input = required(0);
  const [batch = 1, channels = 1, ...spatial] = input.dims;
  const size = intAttribute(node, 'size', 1);
  const alpha = floatAttribute(node, 'alpha', 1e-4) / size;
  const beta = floatAttribute(node, 'beta', 0.75);
  const x = reshape(build, input, [batch, channels, elementCount(spatial)]);
  const band = (isTransposed: boolean) => {
    const ones = new Float32Array(channels * channels);
    for (let row = 0; row < channels; row += 1)
      for (let column = 0; column < channels; column += 1) {
        const distance = isTransposed ? row - column : column - row;
        if (distance >= -Math.floor((size - 1) / 2) && distance <= Math.ceil((size - 1) / 2))
          ones[row * channels + column] = 1;
      }
    return build.constant(ones, [channels, channels]);
  };
  const squares = matMul(build, band(false), mul(build, x, x));
  const s = add(build, scale(build, squares, alpha), scalar(build, floatAttribute(node, 'bias', 1)));
  const factor = build.emit('Pow', [s, scalar(build, -beta)])[0]!;
  const output = mul(build, x, factor);
  return {
    outputs: [reshape(build, output, input.dims)],
    backward([arriving]) {
      if (arriving === undefined || needsGradient[0] !== true) return [];
      const gradient = reshape(build, arriving, x.dims);
      const throughSums = matMul(build, band(true), div(build, mul(build, gradient, output), s));
      const result = sub(
        build,
        mul(build, gradient, factor),
        scale(build, mul(build, x, throughSums), 2 * alpha * beta),
      );
      return [reshape(build, result, input.dims)];
    },
  };
};

export const NORMALIZATION_RULES: GradientRules = {
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
  GroupNormalization: groupNormalization,
  LayerNormalization: layerNormalization,
  LRN: localResponseNormalization,
};
