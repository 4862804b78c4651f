import { floatAttribute, stringAttribute } from '../../attributes';
import { float, type GraphBuilder, type Value } from '../graphBuilder';
import {
  abs,
  add,
  cast,
  compare,
  exp,
  greater,
  log,
  mul,
  neg,
  reciprocal,
  relu,
  scalar,
  scale,
  shift,
  sigmoid,
  subFrom,
  sumTo,
  tanh,
  where,
} from '../operations';
import type { GradientRule, GradientRules, TrainingDevice } from '../rule';
import { unary } from './unary';

const SELU_ALPHA = 1.6732632;
const SELU_GAMMA = 1.05070102;
const GELU_CUBIC = 0.044715;

/** 1 where x > 0, else `below`. */
function stepFrom(build: GraphBuilder, x: Value, below: number): Value {
  return shift(build, scale(build, greater(build, x, scalar(build, 0)), 1 - below), below);
}

const reluRule = unary(({ build }, x) => {
  const output = relu(build, x);
  return { output, backward: (gradient) => mul(build, gradient, greater(build, output, scalar(build, 0))) };
});

const leakyRelu = unary(({ node, build }, x) => {
  const alpha = floatAttribute(node, 'alpha', 0.01);
  return {
    output: build.emit('LeakyRelu', [x], { alpha: float(alpha) })[0]!,
    backward: (gradient) => mul(build, gradient, stepFrom(build, x, alpha)),
  };
});

/** x·(1 where x > 0, else the slope), which broadcasts to x. */
const pRelu: GradientRule = ({ build, needsGradient, required }) => {
  const [x, slope] = [required(0), required(1)];
  const isPositive = compare(build, 'Greater', x, scalar(build, 0));
  const factor = where(build, isPositive, scalar(build, 1), slope);
  return {
    outputs: [mul(build, x, factor)],
    backward([gradient]) {
      if (gradient === undefined) return [];
      const negativePart = () => where(build, isPositive, scalar(build, 0), x);
      return [
        needsGradient[0] === true ? mul(build, gradient, factor) : undefined,
        needsGradient[1] === true ? sumTo(build, mul(build, gradient, negativePart()), slope.dims) : undefined,
      ];
    },
  };
};

/** gamma · (x > 0 ? x : alpha · (exp(x) − 1)); the slope of the exponential is the function plus alpha. */
function exponentialUnit(alphaDefault: number, gammaDefault: number): GradientRule {
  return unary(({ node, build }, x) => {
    const alpha = floatAttribute(node, 'alpha', alphaDefault);
    const gamma = floatAttribute(node, 'gamma', gammaDefault);
    const elu = build.emit('Elu', [x], { alpha: float(alpha) })[0]!;
    return {
      output: scale(build, elu, gamma),
      backward(gradient) {
        const isPositive = compare(build, 'Greater', x, scalar(build, 0));
        const slope = where(build, isPositive, scalar(build, 1), shift(build, elu, alpha));
        return mul(build, gradient, scale(build, slope, gamma));
      },
    };
  });
}

/** x > 0 ? x : alpha · (exp(x / alpha) − 1) */
const celu = unary(({ node, build }, x) => {
  const alpha = floatAttribute(node, 'alpha', 1);
  const power = exp(build, scale(build, x, 1 / alpha));
  const isPositive = compare(build, 'Greater', x, scalar(build, 0));
  return {
    output: where(build, isPositive, x, scale(build, shift(build, power, -1), alpha)),
    backward: (gradient) => mul(build, gradient, where(build, isPositive, scalar(build, 1), power)),
  };
});

const thresholdedRelu = unary(({ node, build }, x) => {
  const alpha = floatAttribute(node, 'alpha', 1);
  return {
    output: build.emit('ThresholdedRelu', [x], { alpha: float(alpha) })[0]!,
    backward: (gradient) => mul(build, gradient, greater(build, x, scalar(build, alpha))),
  };
});

const sigmoidRule = unary(({ build }, x) => {
  const output = sigmoid(build, x);
  return { output, backward: (gradient) => mul(build, gradient, mul(build, output, subFrom(build, 1, output))) };
});

/** 0 to 1 by alpha · x + beta. */
const hardSigmoid = unary(({ node, build }, x) => {
  const alpha = floatAttribute(node, 'alpha', 0.2);
  const beta = floatAttribute(node, 'beta', 0.5);
  const output = build.emit('HardSigmoid', [x], { alpha: float(alpha), beta: float(beta) })[0]!;
  return {
    output,
    backward(gradient) {
      const isBetween = greater(build, mul(build, output, subFrom(build, 1, output)), scalar(build, 0));
      return mul(build, gradient, scale(build, isBetween, alpha));
    },
  };
});

/** x · h with h = HardSigmoid(x; 1/6, 1/2): the slope is h outside of (−3, 3), where h is 0 or 1, and 2h − 1/2 inside. */
const hardSwish = unary(({ build }, x) => {
  const gate = build.emit('HardSigmoid', [x], { alpha: float(1 / 6), beta: float(0.5) })[0]!;
  return {
    output: mul(build, x, gate),
    backward(gradient) {
      const isInside = cast(build, compare(build, 'Less', abs(build, x), scalar(build, 3)), 'float32');
      return mul(build, gradient, add(build, gate, mul(build, shift(build, gate, -0.5), isInside)));
    },
  };
});

const tanhRule = unary(({ build }, x) => {
  const output = tanh(build, x);
  return { output, backward: (gradient) => mul(build, gradient, subFrom(build, 1, mul(build, output, output))) };
});

/** log(1 + exp(x)); the WebGPU provider has no kernel. */
function softplus(build: GraphBuilder, device: TrainingDevice, x: Value): Value {
  if (device !== 'webgpu') return build.emit('Softplus', [x])[0]!;
  const tail = log(build, shift(build, exp(build, neg(build, abs(build, x))), 1));
  return add(build, relu(build, x), tail);
}

const softplusRule = unary(({ build, settings }, x) => ({
  output: softplus(build, settings.device, x),
  backward: (gradient) => mul(build, gradient, sigmoid(build, x)),
}));

/** x / (1 + |x|) */
const softsign = unary(({ build }, x) => {
  const inverse = reciprocal(build, shift(build, abs(build, x), 1));
  return {
    output: mul(build, x, inverse),
    backward: (gradient) => mul(build, gradient, mul(build, inverse, inverse)),
  };
});

/** x · Φ(x), exactly or by tanh(√(2/π) · (x + 0.044715 · x³)). */
const gelu = unary(({ node, build }, x) => {
  const half = (inner: Value): Value => scale(build, shift(build, inner, 1), 0.5);
  if (stringAttribute(node, 'approximate', 'none') === 'tanh') {
    const rate = Math.sqrt(2 / Math.PI);
    const square = mul(build, x, x);
    const inner = mul(build, x, shift(build, scale(build, square, rate * GELU_CUBIC), rate));
    const bend = tanh(build, inner);
    const gate = half(bend);
    return {
      output: mul(build, x, gate),
      backward(gradient) {
        const slopeOfInner = shift(build, scale(build, square, 1.5 * rate * GELU_CUBIC), 0.5 * rate);
        const slopeOfBend = subFrom(build, 1, mul(build, bend, bend));
        const slope = add(build, gate, mul(build, x, mul(build, slopeOfBend, slopeOfInner)));
        return mul(build, gradient, slope);
      },
    };
  }
  const gate = half(build.emit('Erf', [scale(build, x, Math.SQRT1_2)])[0]!);
  return {
    output: mul(build, x, gate),
    backward(gradient) {
      const density = exp(build, scale(build, mul(build, x, x), -0.5));
      const slope = add(build, gate, scale(build, mul(build, x, density), 1 / Math.sqrt(2 * Math.PI)));
      return mul(build, gradient, slope);
    },
  };
});

/** x · tanh(softplus(x)) */
const mish = unary(({ build, settings }, x) => {
  const gate = tanh(build, softplus(build, settings.device, x));
  return {
    output: mul(build, x, gate),
    backward(gradient) {
      const slopeOfGate = mul(build, subFrom(build, 1, mul(build, gate, gate)), sigmoid(build, x));
      return mul(build, gradient, add(build, gate, mul(build, x, slopeOfGate)));
    },
  };
});

/** x · sigmoid(alpha · x) */
const swish = unary(({ node, build }, x) => {
  const alpha = floatAttribute(node, 'alpha', 1);
  const gate = sigmoid(build, scale(build, x, alpha));
  const output = mul(build, x, gate);
  return {
    output,
    backward(gradient) {
      const slope = add(build, gate, mul(build, scale(build, output, alpha), subFrom(build, 1, gate)));
      return mul(build, gradient, slope);
    },
  };
});

/** Element by element what networks bend their features with. */
export const ACTIVATION_RULES: GradientRules = {
  Celu: celu,
  Elu: exponentialUnit(1, 1),
  Gelu: gelu,
  HardSigmoid: hardSigmoid,
  HardSwish: hardSwish,
  LeakyRelu: leakyRelu,
  Mish: mish,
  PRelu: pRelu,
  Relu: reluRule,
  Selu: exponentialUnit(SELU_ALPHA, SELU_GAMMA),
  Sigmoid: sigmoidRule,
  Softplus: softplusRule,
  Softsign: softsign,
  Swish: swish,
  Tanh: tanhRule,
  ThresholdedRelu: thresholdedRelu,
};
