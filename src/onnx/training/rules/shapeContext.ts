import type { RuleContext } from '../../shapes/rule';
import type { RuleScope } from '../rule';

/** The view of a node that shape rules have: their readers of axes, pads and slices serve here as well. */
export function shapeContext({ node, opset, inputs, numbers }: RuleScope): RuleContext {
  return {
    node,
    opset,
    has: (input) => inputs[input] !== undefined,
    shape: (input) => inputs[input]?.dims,
    value(input) {
      const operand = inputs[input];
      return operand && { dims: operand.dims, elements: numbers(input), integer: operand.dataType === 'int64' };
    },
  };
}
