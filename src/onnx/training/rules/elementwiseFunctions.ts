import { expected } from '../../../errors';
import { floatAttribute } from '../../attributes';
import type { Value } from '../graphBuilder';
import {
  cast,
  compare,
  div,
  exp,
  greater,
  log,
  mul,
  neg,
  reciprocal,
  scalar,
  scale,
  sqrt,
  sub,
  sumTo,
} from '../operations';
import type { GradientRule, GradientRules, RuleScope } from '../rule';
import { unary } from './unary';

/** Bounds and exponents are settings of a network, not parameters. */
function refuseGradientOf(scope: RuleScope, input: number, what: string): void {
  if (scope.needsGradient[input] !== true) return;
  const { node } = scope;
  throw expected(
    'ERR_MODEL_UNSUPPORTED',
    `${what} that is constant`,
    `${node.opType} node "${node.key}" in training`,
    `"${node.inputs[input] ?? ''}", which is trained`,
    { remedy: 'Keep that tensor as it is.' },
  );
}

/** A value at a bound is free. Bounds are attributes before operator set 11, operands from there. */
const clip = unary((scope, x) => {
  const { node, opset, build, inputs } = scope;
  for (const input of [1, 2]) refuseGradientOf(scope, input, 'a bound');
  const attribute = (name: string): Value | undefined => {
    const value = floatAttribute(node, name);
    return value === undefined ? undefined : scalar(build, value);
  };
  const [low, high] = opset < 11 ? [attribute('min'), attribute('max')] : [inputs[1], inputs[2]];
  if (low === undefined && high === undefined) return { output: x, backward: (gradient) => gradient };
  const output = build.emit('Clip', high === undefined ? [x, low] : [x, low, high])[0]!;
  return {
    output,
    backward: (gradient) => mul(build, gradient, cast(build, compare(build, 'Equal', x, output), 'float32')),
  };
});

/** The exponent is a constant, of any element type; it broadcasts. */
const pow: GradientRule = (scope) => {
  const { build, required } = scope;
  const x = required(0);
  refuseGradientOf(scope, 1, 'an exponent');
  const { dims } = required(1);
  const exponents = scope.numbers(1);
  const power = (by: readonly number[]): Value => {
    if (by.every((value) => value === 1)) return x;
    return build.emit('Pow', [x, build.constant(by, dims)])[0]!;
  };
  // x⁰ is 1 even at 0, where its slope is 0 and not 0 · x⁻¹.
  const lowered = exponents.map((value) => (value === 0 ? 0 : value - 1));
  return {
    outputs: [build.emit('Pow', [x, build.constant(exponents, dims)])[0]!],
    backward: ([gradient]) => {
      if (gradient === undefined) return [];
      const slope = mul(build, power(lowered), build.constant(exponents, dims));
      return [sumTo(build, mul(build, gradient, slope), x.dims)];
    },
  };
};

export const FUNCTION_RULES: GradientRules = {
  Abs: unary(({ build }, x) => ({
    output: build.emit('Abs', [x])[0]!,
    backward(gradient) {
      const zero = scalar(build, 0);
      return mul(build, gradient, sub(build, greater(build, x, zero), greater(build, zero, x)));
    },
  })),
  Clip: clip,
  Erf: unary(({ build }, x) => ({
    output: build.emit('Erf', [x])[0]!,
    backward(gradient) {
      const density = exp(build, neg(build, mul(build, x, x)));
      return mul(build, gradient, scale(build, density, 2 / Math.sqrt(Math.PI)));
    },
  })),
  Exp: unary(({ build }, x) => {
    const output = exp(build, x);
    return { output, backward: (gradient) => mul(build, gradient, output) };
  }),
  Log: unary(({ build }, x) => ({
    output: log(build, x),
    backward: (gradient) => div(build, gradient, x),
  })),
  Neg: unary(({ build }, x) => ({
    output: neg(build, x),
    backward: (gradient) => neg(build, gradient),
  })),
  Pow: pow,
  Reciprocal: unary(({ build }, x) => {
    const output = reciprocal(build, x);
    return { output, backward: (gradient) => neg(build, mul(build, gradient, mul(build, output, output))) };
  }),
  Sqrt: unary(({ build }, x) => {
    const output = sqrt(build, x);
    return { output, backward: (gradient) => scale(build, div(build, gradient, output), 0.5) };
  }),
};
