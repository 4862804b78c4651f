import { intAttribute, intsAttribute, stringAttribute } from '../../attributes';
import { expected } from '../../../errors';
import { normalizeAxis } from '../../shapes/dimensions';
import { padAmounts, splitSizes } from '../../shapes/rearrangements';
import type { GraphBuilder, Value } from '../graphBuilder';
import { concat, expand, padZeros, reduceSum, reshape, slice, sub, sumTo, transpose } from '../operations';
import type { GradientRule, GradientRules } from '../rule';
import { SELECTION_RULES } from './selection';
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

function inverseOf(permutation: readonly number[]): number[] {
  return permutation.map((_, axis) => permutation.indexOf(axis));
}

const transposition: GradientRule = ({ build, node, required, needsGradient }) => {
  const input = required(0);
  const permutation = intsAttribute(node, 'perm', [...input.dims.keys()].reverse());
  return {
    outputs: [transpose(build, input, permutation)],
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined
        ? transpose(build, gradient, inverseOf(permutation))
        : undefined,
    ],
  };
};

/** Elements of `value` as `view`, its axes in another order, as `dims`. */
function shuffle(
  build: GraphBuilder,
  value: Value,
  view: readonly number[],
  permutation: readonly number[],
  dims: readonly number[],
): Value {
  return reshape(build, transpose(build, reshape(build, value, view), permutation), dims);
}

/** DepthToSpace and SpaceToDepth, which not every provider has: two Reshapes around a Transpose, and the same back. */
const blocks: GradientRule = ({ build, node, required, outputDims, needsGradient }) => {
  const input = required(0);
  const [batch = 1, channels = 1, height = 1, width = 1] = input.dims;
  const block = intAttribute(node, 'blocksize', 1);
  const output = outputDims[0]!;
  const depth = channels / block ** 2;
  const isColumnFirst = stringAttribute(node, 'mode', 'DCR') === 'CRD';
  const [view, permutation] =
    node.opType === 'SpaceToDepth'
      ? [
          [batch, channels, height / block, block, width / block, block],
          [0, 3, 5, 1, 2, 4],
        ]
      : isColumnFirst
        ? [
            [batch, depth, block, block, height, width],
            [0, 1, 4, 2, 5, 3],
          ]
        : [
            [batch, block, block, depth, height, width],
            [0, 3, 4, 1, 5, 2],
          ];
  const viewOfOutput = permutation.map((axis) => view[axis]!);
  return {
    outputs: [shuffle(build, input, view, permutation, output)],
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined
        ? shuffle(build, gradient, viewOfOutput, inverseOf(permutation), input.dims)
        : undefined,
    ],
  };
};

/** Pieces of these lengths along the axis, one after the other; undefined for those that are not wanted. */
function pieces(
  build: GraphBuilder,
  value: Value,
  axis: number,
  lengths: readonly number[],
  isWanted: (piece: number) => boolean,
): (Value | undefined)[] {
  let end = 0;
  return lengths.map((length, piece) => {
    const start = end;
    end += length;
    return isWanted(piece) ? slice(build, value, axis, start, end) : undefined;
  });
}

const concatenation: GradientRule = ({ build, node, inputs, required, needsGradient }) => {
  const parts = inputs.map((_, input) => required(input));
  const axis = normalizeAxis(intAttribute(node, 'axis', 1), parts[0]!.dims.length) ?? 0;
  const lengths = parts.map((part) => part.dims[axis]!);
  return {
    outputs: [concat(build, parts, axis)],
    backward: ([gradient]) =>
      gradient === undefined ? [] : pieces(build, gradient, axis, lengths, (input) => needsGradient[input] === true),
  };
};

/** Slices, which take no longer than a Split, and which every provider has for any number of pieces. */
const splitting: GradientRule = (scope) => {
  const { build, node, required, needsGradient } = scope;
  const input = required(0);
  const axis = normalizeAxis(intAttribute(node, 'axis', 0), input.dims.length) ?? 0;
  const lengths = splitSizes(shapeContext(scope), input.dims[axis])!;
  const outputs = pieces(build, input, axis, lengths, () => true) as Value[];
  return {
    outputs,
    backward(gradients) {
      if (needsGradient[0] !== true) return [];
      const zeros = (dims: readonly number[]) =>
        expand(
          build,
          build.constant(
            [0],
            dims.map(() => 1),
          ),
          dims,
        );
      return [
        concat(
          build,
          outputs.map((output, piece) => gradients[piece] ?? zeros(output.dims)),
          axis,
        ),
      ];
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
  const value = node.attributes.get('value');
  const stated = value?.kind === 'float' ? build.constant([value.value], []) : undefined;
  const filling = opset < 11 ? stated : inputs[2];
  const pads = [...begin, ...end];
  return {
    outputs: build.emit('Pad', [input, build.integers(pads), filling]),
    backward([gradient]) {
      if (gradient === undefined) return [];
      const inside = padZeros(
        build,
        gradient,
        pads.map((pad) => (pad === 0 ? 0 : -pad)),
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

const expansion: GradientRule = ({ build, required, outputDims, needsGradient }) => {
  const input = required(0);
  return {
    outputs: [expand(build, input, outputDims[0]!)],
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined ? sumTo(build, gradient, input.dims) : undefined,
    ],
  };
};

/** Copies along every axis: their number as an axis before each is what the gradient is summed over. */
const tiling: GradientRule = ({ build, required, outputDims, needsGradient }) => {
  const input = required(0);
  const view = input.dims.flatMap((size, axis) => [outputDims[0]![axis]! / size, size]);
  const counts = input.dims.map((_, axis) => 2 * axis);
  return {
    outputs: build.emit('Tile', [input, build.integers(counts.map((axis) => view[axis]!))]),
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined
        ? reduceSum(build, reshape(build, gradient, view), counts, false)
        : undefined,
    ],
  };
};

export const REARRANGEMENT_RULES: GradientRules = {
  Reshape: reshaping,
  Flatten: reshaping,
  Squeeze: reshaping,
  Unsqueeze: reshaping,
  Transpose: transposition,
  DepthToSpace: blocks,
  SpaceToDepth: blocks,
  Concat: concatenation,
  Split: splitting,
  Pad: padding,
  Expand: expansion,
  Tile: tiling,
  ...SELECTION_RULES,
};
