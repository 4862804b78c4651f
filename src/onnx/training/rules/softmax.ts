import { intAttribute } from '../../attributes';
import { normalizeAxis } from '../../shapes/dimensions';
import type { Value } from '../graphBuilder';
import { exp, log, mul, reduceMax, reduceSum, reshape, sub } from '../operations';
import type { GradientRules, RuleScope } from '../rule';
import { unary } from './unary';

/** The tensor as the operator sees it, and the axis that sums to 1: before operator set 13 a matrix, and its rows. */
function viewed({ node, opset, build }: RuleScope, x: Value): { readonly view: Value; readonly axis: number } {
  const rank = x.dims.length;
  const axis = normalizeAxis(intAttribute(node, 'axis', opset < 13 ? 1 : -1), rank) ?? rank - 1;
  if (opset >= 13 || axis === rank - 1) return { view: x, axis };
  const product = (dims: readonly number[]): number => dims.reduce((count, size) => count * size, 1);
  return { view: reshape(build, x, [product(x.dims.slice(0, axis)), product(x.dims.slice(axis))]), axis: 1 };
}

export const SOFTMAX_RULES: GradientRules = {
  Softmax: unary((scope, x) => {
    const { build } = scope;
    const { view, axis } = viewed(scope, x);
    const output = build.emit('Softmax', [view], { axis })[0]!;
    return {
      output: reshape(build, output, x.dims),
      backward(arriving) {
        const weighted = mul(build, reshape(build, arriving, view.dims), output);
        const share = mul(build, output, reduceSum(build, weighted, [axis], true));
        return reshape(build, sub(build, weighted, share), x.dims);
      },
    };
  }),
  /** From primitives, as WebGPU has no kernel. */
  LogSoftmax: unary((scope, x) => {
    const { build } = scope;
    const { view, axis } = viewed(scope, x);
    const shifted = sub(build, view, reduceMax(build, view, [axis], true));
    const output = sub(build, shifted, log(build, reduceSum(build, exp(build, shifted), [axis], true)));
    return {
      output: reshape(build, output, x.dims),
      backward(arriving) {
        const gradient = reshape(build, arriving, view.dims);
        const share = mul(build, exp(build, output), reduceSum(build, gradient, [axis], true));
        return reshape(build, sub(build, gradient, share), x.dims);
      },
    };
  }),
};
