import type { Value } from '../graphBuilder';
import { add, compare, div, mul, neg, scalar, scale, sub, sumTo, where } from '../operations';
import type { GradientRule, GradientRules, RuleScope } from '../rule';

/** A rule for two operands that broadcast; `slopes` are the gradients of each, still of the result's shape. */
function binary(
  write: (
    scope: RuleScope,
    a: Value,
    b: Value,
  ) => { readonly output: Value; readonly slopes: readonly ((gradient: Value) => Value)[] },
): GradientRule {
  return (scope) => {
    const operands = [scope.required(0), scope.required(1)];
    const { output, slopes } = write(scope, operands[0]!, operands[1]!);
    return {
      outputs: [output],
      backward: ([gradient]) =>
        operands.map(({ dims }, input) =>
          gradient !== undefined && scope.needsGradient[input] === true
            ? sumTo(scope.build, slopes[input]!(gradient), dims)
            : undefined,
        ),
    };
  };
}

const same = (gradient: Value): Value => gradient;

/** All operands that are there; the operator takes any number of them. */
function operandsOf({ inputs }: RuleScope): readonly Value[] {
  return inputs.filter((value) => value !== undefined);
}

/** The sum of all operands times 1, or over their number for a mean, from Adds: Sum has no WebGPU kernel. */
function total(isMean: boolean): GradientRule {
  return (scope) => {
    const { build, needsGradient } = scope;
    const operands = operandsOf(scope);
    const factor = isMean ? 1 / operands.length : 1;
    return {
      outputs: [
        scale(
          build,
          operands.reduce((sum, operand) => add(build, sum, operand)),
          factor,
        ),
      ],
      backward([gradient]) {
        const shared = gradient && scale(build, gradient, factor);
        return operands.map(({ dims }, input) =>
          shared !== undefined && needsGradient[input] === true ? sumTo(build, shared, dims) : undefined,
        );
      },
    };
  };
}

/** Two at a time, in order. Where several are the extreme, the first one has the gradient. */
function extreme(comparison: 'Greater' | 'Less'): GradientRule {
  return (scope) => {
    const { build, needsGradient } = scope;
    const operands = operandsOf(scope);
    const [first, ...others] = operands;
    let winner = first!;
    const rounds = others.map((challenger) => {
      const before = winner;
      const isChallenger = compare(build, comparison, challenger, before);
      winner = where(build, isChallenger, challenger, before);
      return { isChallenger, before };
    });
    return {
      outputs: [winner],
      backward([gradient]) {
        if (gradient === undefined) return [];
        const zero = scalar(build, 0);
        let arriving = gradient;
        const found: (Value | undefined)[] = operands.map(() => undefined);
        for (const [round, { isChallenger, before }] of [...rounds.entries()].reverse()) {
          const { dims } = operands[round + 1]!;
          if (needsGradient[round + 1] === true)
            found[round + 1] = sumTo(build, where(build, isChallenger, arriving, zero), dims);
          arriving = sumTo(build, where(build, isChallenger, zero, arriving), before.dims);
        }
        if (needsGradient[0] === true) found[0] = arriving;
        return found;
      },
    };
  };
}

/** The condition has no gradient. */
const whereRule: GradientRule = ({ build, needsGradient, required }) => {
  const [condition, a, b] = [required(0), required(1), required(2)];
  return {
    outputs: [where(build, condition, a, b)],
    backward([gradient]) {
      if (gradient === undefined) return [];
      const zero = scalar(build, 0);
      return [
        undefined,
        needsGradient[1] === true ? sumTo(build, where(build, condition, gradient, zero), a.dims) : undefined,
        needsGradient[2] === true ? sumTo(build, where(build, condition, zero, gradient), b.dims) : undefined,
      ];
    },
  };
};

/** Steps and truth values: their slope is 0 wherever there is one. */
function withoutGradient(isTruth: boolean): GradientRule {
  return ({ node, build, inputs }) => ({
    outputs: build.emit(node.opType, inputs, {}, isTruth ? { dataTypes: ['bool'] } : {}),
    backward: () => [],
  });
}

const TRUTHS = ['And', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Not', 'Or', 'Xor'];
const STEPS = ['Ceil', 'Floor', 'Round', 'Sign'];

/** Operands broadcast against each other by NumPy's rule. */
export const ARITHMETIC_RULES: GradientRules = {
  Add: binary(({ build }, a, b) => ({ output: add(build, a, b), slopes: [same, same] })),
  Sub: binary(({ build }, a, b) => ({
    output: sub(build, a, b),
    slopes: [same, (gradient) => neg(build, gradient)],
  })),
  Mul: binary(({ build }, a, b) => ({
    output: mul(build, a, b),
    slopes: [(gradient) => mul(build, gradient, b), (gradient) => mul(build, gradient, a)],
  })),
  Div: binary(({ build }, a, b) => {
    const output = div(build, a, b);
    return {
      output,
      slopes: [
        (gradient) => div(build, gradient, b),
        (gradient) => neg(build, mul(build, div(build, gradient, b), output)),
      ],
    };
  }),
  Max: extreme('Greater'),
  Mean: total(true),
  Min: extreme('Less'),
  Sum: total(false),
  Where: whereRule,
  ...Object.fromEntries(TRUTHS.map((operator) => [operator, withoutGradient(true)])),
  ...Object.fromEntries(STEPS.map((operator) => [operator, withoutGradient(false)])),
};
