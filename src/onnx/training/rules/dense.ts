import { floatAttribute, intAttribute } from '../../attributes';
import { float, type GraphBuilder, type Value } from '../graphBuilder';
import { matMul, reshape, scale, sumTo, transpose } from '../operations';
import type { GradientRule, GradientRules } from '../rule';

interface Transposed {
  readonly a?: boolean;
  readonly b?: boolean;
  readonly alpha?: number;
}

/** alpha · a·b for matrices, each taken transposed where it says so: no Transpose node is needed. */
function product(build: GraphBuilder, a: Value, b: Value, { a: transA, b: transB, alpha = 1 }: Transposed): Value {
  const attributes = { transA: Number(transA ?? false), transB: Number(transB ?? false), alpha: float(alpha) };
  return build.emit('Gemm', [a, b], attributes)[0]!;
}

/** Y = alpha · op(A) · op(B) + beta · C. */
const gemm: GradientRule = ({ node, build, inputs, needsGradient, required }) => {
  const [a, b] = [required(0), required(1)];
  const c = inputs[2];
  const transA = intAttribute(node, 'transA', 0) !== 0;
  const transB = intAttribute(node, 'transB', 0) !== 0;
  const alpha = floatAttribute(node, 'alpha', 1);
  const beta = floatAttribute(node, 'beta', 1);
  const attributes = { transA: Number(transA), transB: Number(transB), alpha: float(alpha), beta: float(beta) };
  return {
    outputs: build.emit('Gemm', c === undefined ? [a, b] : [a, b, c], attributes),
    backward([gradient]) {
      if (gradient === undefined) return [];
      const gradientOfA = () =>
        transA
          ? product(build, b, gradient, { a: transB, b: true, alpha })
          : product(build, gradient, b, { b: !transB, alpha });
      const gradientOfB = () =>
        transB
          ? product(build, gradient, a, { a: true, b: transA, alpha })
          : product(build, a, gradient, { a: !transA, alpha });
      return [
        needsGradient[0] === true ? gradientOfA() : undefined,
        needsGradient[1] === true ? gradientOfB() : undefined,
        c !== undefined && needsGradient[2] === true ? scale(build, sumTo(build, gradient, c.dims), beta) : undefined,
      ];
    },
  };
};

function swapLastTwo(build: GraphBuilder, a: Value): Value {
  const rank = a.dims.length;
  return transpose(build, a, [...Array(rank - 2).keys(), rank - 1, rank - 2]);
}

/** All rows of a stack of matrices, one under another. */
function rows(build: GraphBuilder, a: Value): Value {
  const columns = a.dims.at(-1) ?? 1;
  const count = a.dims.slice(0, -1).reduce((total, size) => total * size, 1);
  return reshape(build, a, [count, columns]);
}

/** NumPy's matrix product: stacks broadcast; a vector is a row on the left, a column on the right. */
const matrixProduct: GradientRule = ({ build, needsGradient, required }) => {
  const [left, right] = [required(0), required(1)];
  const a = left.dims.length === 1 ? reshape(build, left, [1, ...left.dims]) : left;
  const b = right.dims.length === 1 ? reshape(build, right, [...right.dims, 1]) : right;
  const result = matMul(build, left, right);
  const rowDims = left.dims.length === 1 ? [1] : left.dims.slice(-2, -1);
  const columnDims = right.dims.length === 1 ? [1] : right.dims.slice(-1);
  const kept = Number(left.dims.length > 1) + Number(right.dims.length > 1);
  const batch = result.dims.slice(0, result.dims.length - kept);
  return {
    outputs: [result],
    backward([arriving]) {
      if (arriving === undefined) return [];
      const gradient = reshape(build, arriving, [...batch, ...rowDims, ...columnDims]);
      // A matrix on the right is the same for all rows of the left: one product instead of a sum over a stack.
      const isMatrix = b.dims.length === 2;
      const gradientOfLeft = () =>
        isMatrix
          ? product(build, rows(build, gradient), b, { b: true })
          : sumTo(build, matMul(build, gradient, swapLastTwo(build, b)), a.dims);
      const gradientOfRight = () =>
        isMatrix
          ? product(build, rows(build, a), rows(build, gradient), { a: true })
          : sumTo(build, matMul(build, swapLastTwo(build, a), gradient), b.dims);
      return [
        needsGradient[0] === true ? reshape(build, gradientOfLeft(), left.dims) : undefined,
        needsGradient[1] === true ? reshape(build, gradientOfRight(), right.dims) : undefined,
      ];
    },
  };
};

export const DENSE_RULES: GradientRules = { Gemm: gemm, MatMul: matrixProduct };
