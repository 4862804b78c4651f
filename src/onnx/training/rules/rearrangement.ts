import { intAttribute, intsAttribute, stringAttribute } from '../../attributes';
import { expected } from '../../../errors';
import { normalizeAxis } from '../../shapes/dimensions';
import { padAmounts } from '../../shapes/rearrangements';
import { normalizeSlice, type AxisSlice } from '../../shapes/slice';
import type { GraphBuilder, Value } from '../graphBuilder';
import { concat, matMul, padZeros, reduceSum, reshape, slice, sub, transpose } from '../operations';
import type { GradientRule, GradientRules } from '../rule';
import { shapeContext } from './shapeContext';

/** The same elements in another shape. */
const reshaping: GradientRule = ({ build, required, outputDims, needsGradient }) => {
  const input = required(0);
  return {
    outputs: [reshape(build, input, outputDims[0]!)],
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined ? reshape(build, gradient, input.dims) : undefined,
    ],
  };
};

const transposition: GradientRule = ({ build, node, required, needsGradient }) => {
  const input = required(0);
  const permutation = intsAttribute(node, 'perm', [...input.dims.keys()].reverse());
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return {
    outputs: [transpose(build, input, permutation)],
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined ? transpose(build, gradient, inverse) : undefined,
    ],
  };
};

const concatenation: GradientRule = ({ build, node, inputs, required, needsGradient }) => {
  const parts = inputs.map((_, input) => required(input));
  const axis = normalizeAxis(intAttribute(node, 'axis', 1), parts[0]!.dims.length) ?? 0;
  return {
    outputs: [concat(build, parts, axis)],
    backward([gradient]) {
      if (gradient === undefined) return [];
      let start = 0;
      return parts.map((part, input) => {
        const begin = start;
        start += part.dims[axis]!;
        return needsGradient[input] === true ? slice(build, gradient, axis, begin, start) : undefined;
      });
    },
  };
};

const padding: GradientRule = (scope) => {
  const { build, node, inputs, required, needsGradient, opset } = scope;
  const input = required(0);
  const mode = stringAttribute(node, 'mode', 'constant');
  if (mode !== 'constant')
    throw expected('ERR_MODEL_UNSUPPORTED', 'mode constant', `Pad node "${node.key}" in training`, mode);
  const { begin, end } = padAmounts(shapeContext(scope), input.dims.length)!;
  const filling = opset < 11 ? undefined : inputs[2];
  const value = node.attributes.get('value');
  const stated = value?.kind === 'float' ? build.constant([value.value], []) : undefined;
  return {
    outputs: build.emit('Pad', [input, build.integers([...begin, ...end]), filling ?? stated]),
    backward([gradient]) {
      if (gradient === undefined) return [];
      const inside = padZeros(
        build,
        gradient,
        [...begin, ...end].map((pad) => -pad),
      );
      const sumOf = (part: Value) => reduceSum(build, part, [...part.dims.keys()], false);
      return [
        needsGradient[0] === true ? inside : undefined,
        undefined,
        filling !== undefined && needsGradient[2] === true
          ? reshape(build, sub(build, sumOf(gradient), sumOf(inside)), filling.dims)
          : undefined,
      ];
    },
  };
};

const slicing: GradientRule = (scope) => {
  const { build, required, needsGradient } = scope;
  const input = required(0);
  const taken = normalizeSlice(shapeContext(scope), input.dims) as readonly AxisSlice[];
  const isWhole = ({ start, step, count }: AxisSlice, axis: number) =>
    start === 0 && step === 1 && count === input.dims[axis];
  const output = taken.reduce((value, part, axis) => {
    if (isWhole(part, axis)) return value;
    const { start, step, count } = part;
    const end = start + step * count;
    // A negative end would be counted from behind; this one lies before the first element whatever the size.
    return slice(build, value, axis, start, end < 0 ? -(2 ** 31) : end, step);
  }, input);
  return {
    outputs: [output],
    backward([gradient]) {
      if (gradient === undefined || needsGradient[0] !== true) return [];
      const spread = taken.reduce(
        (value, { start, step, count }, axis) =>
          step === 1
            ? value
            : addAtPositions(
                build,
                value,
                axis,
                Array.from({ length: count }, (_, position) => start + position * step),
                input.dims[axis]!,
              ),
        gradient,
      );
      const before = taken.map(({ start, step }) => (step === 1 ? start : 0));
      const after = taken.map(({ step, count }, axis) => (step === 1 ? input.dims[axis]! - count - before[axis]! : 0));
      return [padZeros(build, spread, [...before, ...after])];
    },
  };
};

/** Zeros of `length` along the axis, and element k of `value` added at `positions[k]`: a product with a 0/1 matrix. */
export function addAtPositions(
  build: GraphBuilder,
  value: Value,
  axis: number,
  positions: readonly number[],
  length: number,
): Value {
  const product = (sizes: readonly number[]) => sizes.reduce((total, size) => total * size, 1);
  const outer = product(value.dims.slice(0, axis));
  const inner = product(value.dims.slice(axis + 1));
  const count = positions.length;
  const dims = value.dims.map((size, position) => (position === axis ? length : size));
  const selection = new Float32Array(length * count);
  const isLast = inner === 1;
  for (const [column, row] of positions.entries()) selection[isLast ? column * length + row : row * count + column] = 1;
  const result = isLast
    ? matMul(build, reshape(build, value, [outer, count]), build.constant(selection, [count, length]))
    : matMul(build, build.constant(selection, [length, count]), reshape(build, value, [outer, count, inner]));
  return reshape(build, result, dims);
}

export const REARRANGEMENT_RULES: GradientRules = {
  Reshape: reshaping,
  Flatten: reshaping,
  Squeeze: reshaping,
  Unsqueeze: reshaping,
  Transpose: transposition,
  Concat: concatenation,
  Pad: padding,
  Slice: slicing,
};
