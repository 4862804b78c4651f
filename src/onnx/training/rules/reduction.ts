import { intAttribute, intsAttribute } from '../../attributes';
import { normalizeAxis } from '../../shapes/dimensions';
import { AXES_INPUT_SINCE } from '../../shapes/reductions';
import { expand, reduceMean, reduceSum, reshape, scale } from '../operations';
import type { GradientRule, GradientRules, RuleScope } from '../rule';

/** The reduced axes counted from the front, in order; none where the node hands its input on. */
function reducedAxes({ node, opset, inputs, numbers, required }: RuleScope): readonly number[] {
  const rank = required(0).dims.length;
  const asInput = opset >= (AXES_INPUT_SINCE[node.opType] ?? 18);
  const stated = asInput ? (inputs[1] === undefined ? [] : numbers(1)) : intsAttribute(node, 'axes', []);
  const isNoop = asInput && intAttribute(node, 'noop_with_empty_axes', 0) !== 0;
  if (stated.length === 0) return isNoop ? [] : [...required(0).dims.keys()];
  return [...new Set(stated.map((axis) => normalizeAxis(axis, rank) ?? 0))].sort((a, b) => a - b);
}

/** Sum or mean: every element has the same part in its result. */
function linear(isMean: boolean): GradientRule {
  return (scope) => {
    const { build, needsGradient, required, outputDims } = scope;
    const input = required(0);
    const axes = reducedAxes(scope);
    const kept = input.dims.map((size, axis) => (axes.includes(axis) ? 1 : size));
    const count = isMean ? axes.reduce((product, axis) => product * input.dims[axis]!, 1) : 1;
    const keeps = outputDims[0]!.length === input.dims.length;
    const write = isMean && axes.length > 0 ? reduceMean : reduceSum;
    return {
      outputs: [write(build, input, axes, keeps)],
      backward: ([gradient]) => [
        needsGradient[0] === true && gradient !== undefined
          ? expand(build, reshape(build, scale(build, gradient, 1 / count), kept), input.dims)
          : undefined,
      ],
    };
  };
}

export const REDUCTION_RULES: GradientRules = { ReduceMean: linear(true), ReduceSum: linear(false) };
