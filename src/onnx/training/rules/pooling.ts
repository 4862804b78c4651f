import { intAttribute, intsAttribute } from '../../attributes';
import { elementCount } from '../../elementSize';
import { readWindow, type Window } from '../../shapes/windows';
import type { GraphBuilder, Value } from '../graphBuilder';
import { expand, mul, reshape, scale } from '../operations';
import type { GradientRule, GradientRules, RuleScope } from '../rule';
import { REDUCTION_RULES } from './reduction';

function windowOf({ node, required }: RuleScope): Window {
  return readWindow(node, intsAttribute(node, 'kernel_shape', []), required(0).dims.slice(2));
}

function poolAttributes({ kernel, strides, dilations, padsBegin, padsEnd }: Window) {
  return {
    kernel_shape: kernel,
    strides,
    dilations,
    pads: [...padsBegin, ...padsEnd].map((pad) => pad ?? 0),
  };
}

const maxPool: GradientRule = (scope) => {
  const { build, node, needsGradient, required } = scope;
  const input = required(0);
  const attributes = { ...poolAttributes(windowOf(scope)), ceil_mode: intAttribute(node, 'ceil_mode', 0) };
  const [output, indices] = build.emit('MaxPool', [input], attributes, {
    outputs: 2,
    dataTypes: ['float32', 'int64'],
  });
  return {
    outputs: [output!, indices!],
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined
        ? scatterAdd(build, input.dims, indices!, gradient)
        : undefined,
    ],
  };
};

/** Zeros of shape `dims`, and at each of the positions (counted over all axes) the values that belong there added up. */
function scatterAdd(build: GraphBuilder, dims: readonly number[], positions: Value, values: Value): Value {
  const count = elementCount(values.dims);
  const zeros = expand(build, build.constant([0], [1]), [elementCount(dims)]);
  const flat = [zeros, reshape(build, positions, [count]), reshape(build, values, [count])];
  return reshape(build, build.emit('ScatterElements', flat, { axis: 0, reduction: 'add' })[0]!, dims);
}

/** Sums of the sites that a window covers, where the gradient of one is: the adjoint of a sum over windows. */
function spreadOverWindows(build: GraphBuilder, window: Window, gradient: Value, dims: readonly number[]): Value {
  const [batch, channels, ...spatial] = dims as readonly [number, number, ...number[]];
  const { kernel, strides, dilations, padsBegin } = window;
  const begins = padsBegin.map((pad) => pad ?? 0);
  const narrow = gradient.dims.slice(2);
  // Where windows end before the input does, zeros follow; where they reach beyond it, that part is cut off.
  const ends = spatial.map(
    (size, axis) =>
      (narrow[axis]! - 1) * strides[axis]! + (kernel[axis]! - 1) * dilations[axis]! + 1 - begins[axis]! - size,
  );
  const ones = build.constant(new Float32Array(elementCount(kernel)).fill(1), [1, 1, ...kernel]);
  const images = reshape(build, gradient, [batch * channels, 1, ...narrow]);
  const attributes = {
    kernel_shape: kernel,
    strides,
    dilations,
    pads: [...begins, ...ends.map((end) => Math.max(0, end))],
    output_padding: ends.map((end) => Math.max(0, -end)),
  };
  return reshape(build, build.emit('ConvTranspose', [images, ones], attributes)[0]!, dims);
}

/** Of each window: 1 / the number of sites it averages over, as [1, 1, …]. */
function reciprocalCounts(window: Window, input: readonly number[], output: readonly number[], countsPads: boolean) {
  const { kernel, strides, dilations, padsBegin, padsEnd } = window;
  const along = output.map((positions, axis) =>
    Array.from({ length: positions }, (_, position) => {
      const start = position * strides[axis]! - (padsBegin[axis] ?? 0);
      const first = countsPads ? -(padsBegin[axis] ?? 0) : 0;
      const end = input[axis]! + (countsPads ? (padsEnd[axis] ?? 0) : 0);
      let count = 0;
      for (let site = 0; site < kernel[axis]!; site += 1) {
        const at = start + site * dilations[axis]!;
        if (at >= first && at < end) count += 1;
      }
      return count;
    }),
  );
  const counts = along.reduce((outer, inner) => outer.flatMap((a) => inner.map((b) => a * b)), [1]);
  return counts.map((count) => 1 / count);
}

const averagePool: GradientRule = (scope) => {
  const { build, node, needsGradient, required, outputDims } = scope;
  const input = required(0);
  const window = windowOf(scope);
  const countsPads = intAttribute(node, 'count_include_pad', 0);
  const { kernel_shape, strides, pads } = poolAttributes(window);
  const attributes = { kernel_shape, strides, pads, count_include_pad: countsPads };
  const output = outputDims[0]!.slice(2);
  const factors = reciprocalCounts(window, input.dims.slice(2), output, countsPads !== 0);
  return {
    outputs: build.emit('AveragePool', [input], { ...attributes, ceil_mode: intAttribute(node, 'ceil_mode', 0) }),
    backward([gradient]) {
      if (gradient === undefined || needsGradient[0] !== true) return [];
      const isUniform = factors.every((factor) => factor === factors[0]);
      const weighted = isUniform
        ? scale(build, gradient, factors[0]!)
        : mul(build, gradient, build.constant(factors, output));
      return [spreadOverWindows(build, window, weighted, input.dims)];
    },
  };
};

const globalAveragePool: GradientRule = ({ build, needsGradient, required }) => {
  const input = required(0);
  const sites = elementCount(input.dims.slice(2));
  return {
    outputs: build.emit('GlobalAveragePool', [input]),
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined
        ? expand(build, scale(build, gradient, 1 / sites), input.dims)
        : undefined,
    ],
  };
};

export const POOLING_RULES: GradientRules = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  GlobalAveragePool: globalAveragePool,
  ...REDUCTION_RULES,
};
