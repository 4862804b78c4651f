import { elementTypeOfCode } from '../../elementTypes';
import { intAttribute } from '../../attributes';
import { isFloatType } from '../../tensor';
import { cast } from '../operations';
import type { GradientRule, GradientRules } from '../rule';
import { ACTIVATION_RULES } from './elementwiseActivations';
import { ARITHMETIC_RULES } from './elementwiseArithmetic';
import { FUNCTION_RULES } from './elementwiseFunctions';
import { SOFTMAX_RULES } from './softmax';

const identity: GradientRule = ({ required }) => ({
  outputs: [required(0)],
  backward: ([gradient]) => [gradient],
});

/** Between floats nothing happens: all of them are float32 in the generated graph. */
const castRule: GradientRule = (scope) => {
  const { node, build, inputs, required } = scope;
  const input = required(0);
  const to = node.opType === 'Cast' ? elementTypeOfCode(intAttribute(node, 'to', 0)) : inputs[1]?.dataType;
  if (to !== undefined && isFloatType(to) && isFloatType(input.dataType)) return identity(scope);
  return {
    outputs: to === undefined ? [] : [cast(build, input, isFloatType(to) ? 'float32' : to)],
    backward: () => [],
  };
};

export const ELEMENTWISE_RULES: GradientRules = {
  ...ACTIVATION_RULES,
  ...ARITHMETIC_RULES,
  ...FUNCTION_RULES,
  ...SOFTMAX_RULES,
  Cast: castRule,
  CastLike: castRule,
  /** As at inference: nothing is dropped while a network is being recovered. */
  Dropout: identity,
  Identity: identity,
};
