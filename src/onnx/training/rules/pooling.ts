/**
 * Pools. Milliseconds of one CPU core for 2×2 windows every 2 at [128,16,32,32], [128,32,16,16] and [128,64,8,8] (medians,
 * 2 threads on a busy EPYC Zen 4, alternating):
 * largest, forward and backward: masks by Resize 10, 5.2, 2.8; indices with MaxUnpool 15, 9, 4.2; with ScatterElements 20, 10, 5;
 * (counting ties adds 1.6 to the first);
 * average, backward: Resize 2.4, 1.4, 0.9; depthwise ConvTranspose 4.5, 3.0, 2.9; Expand of an inner axis 21, 10, 4.6.
 */
import { intAttribute } from '../../attributes';
import { elementCount } from '../../elementSize';
import type { GraphBuilder, Value } from '../graphBuilder';
import { div, expand, isEqual, mul, reduceSum, reshape, scale } from '../operations';
import type { Differentiable, GradientRule, GradientRules, RuleScope } from '../rule';
import {
  areTiles,
  averageBack,
  coveredByTiles,
  fillUp,
  isEverySite,
  overTiles,
  poolWindows,
  reciprocalCounts,
  spreadOverWindows,
  sumOverWindows,
  toSites,
  type PoolWindows,
} from './poolingWindows';
import { REDUCTION_RULES, spreadAlong } from './reduction';

function poolAttributes(scope: RuleScope, windows: PoolWindows) {
  return {
    kernel_shape: windows.kernel,
    strides: windows.strides,
    pads: [...windows.padsBegin, ...windows.padsEnd],
    ceil_mode: intAttribute(scope.node, 'ceil_mode', 0),
  };
}

/**
 * A tie gives its gradient to the first of the largest where the operator tells their positions, as torch does; where they are
 * found by comparison, they share it. Ties are common: maps of flat parts of an image, a pool of a pool.
 */
const maxPool: GradientRule = (scope) => {
  const windows = poolWindows(scope);
  const isIndexed = (scope.node.outputs[1] ?? '') !== '';
  if (isIndexed || scope.needsGradient[0] !== true) return maxByPositions(scope, windows);
  if (areTiles(windows)) return maxByTiles(scope, windows);
  return scope.settings.device === 'webgpu' ? maxByTaps(scope, windows) : maxByPositions(scope, windows);
};

function emitMaxPool(scope: RuleScope, windows: PoolWindows, withPositions: boolean): Value[] {
  const attributes = {
    ...poolAttributes(scope, windows),
    dilations: windows.dilations,
    storage_order: withPositions ? intAttribute(scope.node, 'storage_order', 0) : undefined,
  };
  const options = withPositions ? { outputs: 2, dataTypes: ['float32', 'int64'] as const } : {};
  return scope.build.emit('MaxPool', [scope.required(0)], attributes, options);
}

function maxByTiles(scope: RuleScope, windows: PoolWindows): Differentiable {
  const { build, required } = scope;
  const [output] = emitMaxPool(scope, windows, false);
  return {
    outputs: [output!],
    backward([gradient]) {
      if (gradient === undefined) return [];
      const sites = toSites(build, required(0), coveredByTiles(windows));
      const isLargest = isEqual(build, sites, overTiles(build, windows, output!));
      const share = div(build, gradient, countInTiles(build, windows, isLargest));
      return [fillUp(build, mul(build, overTiles(build, windows, share), isLargest), windows.dims)];
    },
  };
}

/** How many ones there are in each tile; full tiles by AveragePool, which is faster than sums of any windows. */
function countInTiles(build: GraphBuilder, windows: PoolWindows, sites: Value): Value {
  const { kernel, strides, counts } = windows;
  const areFull = kernel.every((size, axis) => counts[axis]! * size === sites.dims[axis + 2]);
  if (!areFull) return sumOverWindows(build, { ...windows, dims: sites.dims }, sites);
  const mean = build.emit('AveragePool', [sites], { kernel_shape: kernel, strides })[0]!;
  return scale(build, mean, elementCount(kernel));
}

function maxByPositions(scope: RuleScope, windows: PoolWindows): Differentiable {
  const { build, node, needsGradient } = scope;
  const wantsPositions = needsGradient[0] === true || (node.outputs[1] ?? '') !== '';
  const [output, positions] = emitMaxPool(scope, windows, wantsPositions);
  // Positions counted column by column are another count than ScatterElements needs: they are found a second time.
  const rowByRow = () =>
    intAttribute(node, 'storage_order', 0) === 0
      ? positions!
      : emitMaxPool({ ...scope, node: { ...node, attributes: withoutOrder(node.attributes) } }, windows, true)[1]!;
  return {
    outputs: positions === undefined ? [output!] : [output!, positions],
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined
        ? addAt(build, windows.dims, rowByRow(), gradient)
        : undefined,
    ],
  };
}

function withoutOrder<Kind>(attributes: ReadonlyMap<string, Kind>): ReadonlyMap<string, Kind> {
  return new Map([...attributes].filter(([name]) => name !== 'storage_order'));
}

/** Zeros of shape `dims`, and at each position (counted over all axes) the sum of the values that belong there. */
function addAt(build: GraphBuilder, dims: readonly number[], positions: Value, values: Value): Value {
  const count = elementCount(values.dims);
  const zeros = expand(build, build.constant([0], [1]), [elementCount(dims)]);
  const flat = [zeros, reshape(build, positions, [count]), reshape(build, values, [count])];
  return reshape(build, build.emit('ScatterElements', flat, { axis: 0, reduction: 'add' })[0]!, dims);
}

/** Every tap of the window by itself, as channels that a Conv with a 1 in each filter takes, and a ConvTranspose puts back. */
function maxByTaps(scope: RuleScope, windows: PoolWindows): Differentiable {
  const { build, required } = scope;
  const { dims, kernel, counts } = windows;
  const [output] = emitMaxPool(scope, windows, false);
  const planes = dims[0]! * dims[1]!;
  const taps = elementCount(kernel);
  const identity = Float32Array.from({ length: taps * taps }, (_, at) => (at % (taps + 1) === 0 ? 1 : 0));
  const filters = build.constant(identity, [taps, 1, ...kernel]);
  const alone = { ...windows, dims: [planes, 1, ...dims.slice(2)] };
  return {
    outputs: [output!],
    backward([gradient]) {
      if (gradient === undefined) return [];
      const ofWindows = (value: Value) => reshape(build, value, [planes, 1, ...counts]);
      const atTaps = sumOverWindows(build, alone, reshape(build, required(0), alone.dims), filters);
      const isLargest = isEqual(build, atTaps, ofWindows(output!));
      const share = div(build, ofWindows(gradient), reduceSum(build, isLargest, [1], true));
      const spread = spreadOverWindows(build, alone, mul(build, share, isLargest), filters);
      return [reshape(build, spread, dims)];
    },
  };
}

const averagePool: GradientRule = (scope) => {
  const { build, node, needsGradient, required } = scope;
  const input = required(0);
  const windows = poolWindows(scope);
  const countsPads = intAttribute(node, 'count_include_pad', 0);
  const factors = reciprocalCounts(windows, countsPads !== 0);
  const weighted = (value: Value, own: readonly number[]) =>
    own.every((factor) => factor === own[0])
      ? scale(build, value, own[0]!)
      : mul(build, value, build.constant(own, windows.counts));
  const attributes = { ...poolAttributes(scope, windows), count_include_pad: countsPads };
  // Dilated windows came with operator set 19, and a last window beyond the pads was counted otherwise before.
  const isPlain = windows.dilations.every((dilation) => dilation === 1) && (countsPads === 0 || !attributes.ceil_mode);
  return {
    outputs: isPlain
      ? build.emit('AveragePool', [input], attributes)
      : [weighted(sumOverWindows(build, windows, input), factors)],
    backward([gradient]) {
      if (gradient === undefined || needsGradient[0] !== true) return [];
      if (!isEverySite(windows)) return [spreadOverWindows(build, windows, weighted(gradient, factors))];
      const taps = elementCount(windows.kernel);
      const sums = factors.map((factor) => Math.fround(factor * taps));
      return [averageBack(build, windows, weighted(gradient, sums))];
    },
  };
};

const globalAveragePool: GradientRule = ({ build, needsGradient, required }) => {
  const input = required(0);
  const spatial = input.dims.slice(2);
  const axes = spatial.map((_, axis) => axis + 2);
  return {
    outputs: build.emit('GlobalAveragePool', [input]),
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined
        ? spreadAlong(build, gradient, axes, input.dims, 1 / elementCount(spatial))
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
