import type { Value } from '../graphBuilder';
import type { GradientRule, RuleScope } from '../rule';

export interface UnaryResult {
  readonly output: Value;
  /** Gradient of the input, given that of the output. */
  readonly backward: (gradient: Value) => Value;
}

/** A rule for an operator of one tensor, whose other operands, if any, are constants. */
export function unary(write: (scope: RuleScope, x: Value) => UnaryResult): GradientRule {
  return (scope) => {
    const { output, backward } = write(scope, scope.required(0));
    return { outputs: [output], backward: ([gradient]) => [gradient && backward(gradient)] };
  };
}
