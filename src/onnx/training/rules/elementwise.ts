import { greater, mul, scalar, sumTo } from '../operations';
import type { GradientRules } from '../rule';

export const ELEMENTWISE_RULES: GradientRules = {
  Relu: ({ build, required }) => {
    const output = build.emit('Relu', [required(0)])[0]!;
    return {
      outputs: [output],
      backward: ([gradient]) => [gradient && mul(build, gradient, greater(build, output, scalar(build, 0)))],
    };
  },
  Add: ({ build, inputs, required }) => ({
    outputs: build.emit('Add', [required(0), required(1)]),
    backward: ([gradient]) => inputs.map((input) => gradient && input && sumTo(build, gradient, input.dims)),
  }),
};
