import { floatsAttribute, intAttribute, intsAttribute, stringAttribute } from '../attributes';
import type { Dimension, Shape } from '../ir';
import {
  addDimensions,
  broadcastDimension,
  divideProducts,
  normalizeAxis,
  productDimension,
  productOf,
  unknownOfRank,
  validDimension,
} from './dimensions';
import { numbersOf, type RuleContext, type ShapeRule, type ShapeRules } from './rule';
import { normalizeSlice, sliceBounds } from './slice';

const concat: ShapeRule = (context) => {
  const shapes = context.node.inputs.map((_, input) => context.shape(input));
  const rank = shapes.find((shape) => shape !== undefined)?.length;
  const axis = rank === undefined ? undefined : normalizeAxis(intAttribute(context.node, 'axis', 1), rank);
  if (rank === undefined || axis === undefined) return [];
  const sizes = Array.from({ length: rank }, (_, position): Dimension => {
    const along = shapes.map((shape) => shape?.[position]);
    if (position === axis) return along.reduce(addDimensions, 0);
    return along.find((size) => typeof size === 'number') ?? along.find((size) => size !== undefined);
  });
  return [sizes];
};

const split: ShapeRule = (context) => {
  const { node } = context;
  const input = context.shape(0);
  const axis = input && normalizeAxis(intAttribute(node, 'axis', 0), input.length);
  if (input === undefined || axis === undefined) return [];
  const parts = splitSizes(context, input[axis]);
  return node.outputs.map((_, output) => input.map((size, position) => (position === axis ? parts?.[output] : size)));
};

/** Lengths of the pieces along the split axis. */
export function splitSizes(context: RuleContext, length: Dimension): readonly number[] | undefined {
  const { node } = context;
  const stated = context.opset < 13 ? intsAttribute(node, 'split') : context.has(1) ? numbersOf(context, 1) : undefined;
  if (stated !== undefined) return stated;
  if ((context.opset >= 13 && context.has(1)) || typeof length !== 'number') return undefined;
  const count = intAttribute(node, 'num_outputs', node.outputs.length);
  const piece = Math.ceil(length / count);
  return node.outputs.map((_, index) => Math.max(0, Math.min(piece, length - index * piece)));
}

const slice: ShapeRule = (context) => {
  const input = context.shape(0);
  if (input === undefined) return [];
  const taken = normalizeSlice(context, input);
  if (taken === undefined) return [unknownOfRank(input.length)];
  const bounds = new Map(sliceBounds(context, input.length)?.map((bound) => [bound.axis, bound]));
  return [
    input.map((size, axis) => {
      const known = taken[axis];
      if (known !== undefined) return known.count;
      const bound = bounds.get(axis);
      const whole = bound === undefined || (bound.start === 0 && bound.step === 1 && bound.end >= 2 ** 31 - 1);
      return whole ? size : undefined;
    }),
  ];
};

/** Zeros (or values) before and after each axis; negative ones cut. Attribute form before opset 11. */
export function padAmounts(context: RuleContext, rank: number): { begin: number[]; end: number[] } | undefined {
  const stated =
    context.opset < 11
      ? (intsAttribute(context.node, 'pads') ?? intsAttribute(context.node, 'paddings'))
      : numbersOf(context, 1);
  const axes =
    context.opset >= 18 && context.has(3) ? numbersOf(context, 3) : Array.from({ length: rank }, (_, axis) => axis);
  if (stated === undefined || axes === undefined || stated.length !== 2 * axes.length) return undefined;
  const begin = new Array<number>(rank).fill(0);
  const end = new Array<number>(rank).fill(0);
  for (const [position, given] of axes.entries()) {
    const axis = normalizeAxis(given, rank);
    if (axis === undefined) return undefined;
    begin[axis] = stated[position] ?? 0;
    end[axis] = stated[axes.length + position] ?? 0;
  }
  return { begin, end };
}

const pad: ShapeRule = (context) => {
  const input = context.shape(0);
  if (input === undefined) return [];
  const amounts = padAmounts(context, input.length);
  if (amounts === undefined) return [unknownOfRank(input.length)];
  return [input.map((size, axis) => addDimensions(size, (amounts.begin[axis] ?? 0) + (amounts.end[axis] ?? 0)))];
};

const reshape: ShapeRule = (context) => {
  const input = context.shape(0);
  const target = context.value(1)?.elements ?? intsAttribute(context.node, 'shape');
  if (target === undefined) {
    const rank = context.shape(1)?.[0];
    return typeof rank === 'number' ? [unknownOfRank(rank)] : [];
  }
  const allowZero = intAttribute(context.node, 'allowzero', 0) !== 0;
  const copied = target.map((size, axis): Dimension => (size === 0 && !allowZero ? input?.[axis] : size));
  const open = copied.indexOf(-1);
  const unknowns = copied.flatMap((size, axis) => (size === undefined ? [axis] : []));
  // One entry that is not known is what the others leave over, exactly as a stated -1 would be.
  const free = open >= 0 ? open : unknowns.length === 1 ? unknowns[0] : undefined;
  if (free === undefined || input === undefined) return [copied.map((size) => (size === -1 ? undefined : size))];
  const rest = divideProducts(productOf(input), productOf(copied.filter((_, axis) => axis !== free)));
  return [copied.map((size, axis) => (axis === free ? (rest ?? leftOver(input, copied, axis)) : size))];
};

/** With an unknown dimension that is copied as it stands (0 in the target), the rest still divides. */
function leftOver(input: readonly Dimension[], copied: readonly Dimension[], free: number): Dimension {
  const kept = copied.flatMap((size, axis) =>
    axis !== free && size === undefined && input[axis] === undefined ? [axis] : [],
  );
  const unknown = input.flatMap((size, axis) => (size === undefined ? [axis] : []));
  if (unknown.length === 0 || unknown.some((axis) => !kept.includes(axis))) return undefined;
  return divideProducts(
    productOf(input.filter((_, axis) => !kept.includes(axis))),
    productOf(copied.filter((_, axis) => axis !== free && !kept.includes(axis))),
  );
}

const flatten: ShapeRule = (context) => {
  const input = context.shape(0);
  if (input === undefined) return [unknownOfRank(2)];
  const stated = intAttribute(context.node, 'axis', 1);
  const axis = stated < 0 ? stated + input.length : stated;
  return [[productDimension(input.slice(0, axis)), productDimension(input.slice(axis))]];
};

function axesOf(context: RuleContext, inputSince: number): readonly number[] | undefined | 'absent' {
  if (context.opset < inputSince) return intsAttribute(context.node, 'axes') ?? 'absent';
  return context.has(1) ? numbersOf(context, 1) : 'absent';
}

const squeeze: ShapeRule = (context) => {
  const input = context.shape(0);
  const axes = axesOf(context, 13);
  if (input === undefined || axes === undefined) return [];
  if (axes === 'absent') {
    // Only where every size is a number can one tell which axes vanish.
    return input.every((size) => typeof size === 'number') ? [input.filter((size) => size !== 1)] : [];
  }
  const removed = new Set(axes.map((axis) => normalizeAxis(axis, input.length)));
  return removed.has(undefined) ? [] : [input.filter((_, axis) => !removed.has(axis))];
};

const unsqueeze: ShapeRule = (context) => {
  const input = context.shape(0);
  const axes = axesOf(context, 13);
  if (input === undefined || axes === undefined || axes === 'absent') return [];
  const rank = input.length + axes.length;
  const added = new Set(axes.map((axis) => normalizeAxis(axis, rank)));
  if (added.has(undefined) || added.size !== axes.length) return [];
  const rest = [...input];
  return [Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : rest.shift()))];
};

const transpose: ShapeRule = (context) => {
  const input = context.shape(0);
  if (input === undefined) return [];
  const order = intsAttribute(context.node, 'perm', [...input.keys()].reverse());
  return order.length === input.length ? [order.map((axis) => input[axis])] : [];
};

const gather: ShapeRule = (context) => {
  const data = context.shape(0);
  const indices = context.shape(1);
  const axis = data && normalizeAxis(intAttribute(context.node, 'axis', 0), data.length);
  if (data === undefined || indices === undefined || axis === undefined) return [];
  return [[...data.slice(0, axis), ...indices, ...data.slice(axis + 1)]];
};

const gatherND: ShapeRule = (context) => {
  const data = context.shape(0);
  const indices = context.shape(1);
  const depth = indices?.at(-1);
  if (data === undefined || indices === undefined || typeof depth !== 'number') return [];
  return [[...indices.slice(0, -1), ...data.slice(intAttribute(context.node, 'batch_dims', 0) + depth)]];
};

const expand: ShapeRule = (context) => {
  const input = context.shape(0);
  const target = context.value(1)?.elements;
  if (input === undefined || target === undefined) return [];
  const rank = Math.max(input.length, target.length);
  return [
    Array.from({ length: rank }, (_, axis) => {
      const own = axis - rank + input.length;
      const wanted = axis - rank + target.length;
      return broadcastDimension(own < 0 ? 1 : input[own], wanted < 0 ? 1 : target[wanted]);
    }),
  ];
};

const tile: ShapeRule = (context) => {
  const input = context.shape(0);
  const repeats = context.value(1)?.elements;
  if (input === undefined) return [];
  return [input.map((size, axis) => productDimension([size, repeats?.[axis]]))];
};

const constantOfShape: ShapeRule = (context) => {
  const target = context.value(0)?.elements;
  if (target !== undefined) return [target];
  const rank = context.shape(0)?.[0];
  return typeof rank === 'number' ? [unknownOfRank(rank)] : [];
};

const resize: ShapeRule = (context) => {
  const { node } = context;
  const input = context.shape(0);
  if (input === undefined) return [];
  const isUpsample = node.opType === 'Upsample';
  const scalesInput = isUpsample || context.opset < 11 ? 1 : 2;
  const sizes = !isUpsample && context.has(3) ? context.value(3)?.elements : undefined;
  const scales = floatsAttribute(node, 'scales') ?? numbersOf(context, scalesInput);
  const stated = context.opset >= 18 ? intsAttribute(node, 'axes') : undefined;
  const axes = stated?.map((axis) => normalizeAxis(axis, input.length)) ?? [...input.keys()];
  const policy = stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch');
  if (sizes !== undefined && policy !== 'stretch') return [resizeKeepingAspect(input, sizes, axes, policy)];
  return [
    input.map((size, axis): Dimension => {
      const position = axes.indexOf(axis);
      if (position < 0) return size;
      if (sizes !== undefined) return sizes[position];
      const scale = scales?.[position];
      if (scale === 1) return size;
      return scale !== undefined && typeof size === 'number' ? validDimension(Math.floor(size * scale)) : undefined;
    }),
  ];
};

function resizeKeepingAspect(
  input: readonly Dimension[],
  sizes: readonly Dimension[],
  axes: readonly (number | undefined)[],
  policy: string,
): Shape {
  const ratios = axes.map((axis, position) => {
    const from = axis === undefined ? undefined : input[axis];
    const to = sizes[position];
    return typeof from === 'number' && typeof to === 'number' ? to / from : NaN;
  });
  const scale = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  return input.map((size, axis) => {
    if (!axes.includes(axis)) return size;
    return typeof size === 'number' ? validDimension(Math.round(size * scale)) : undefined;
  });
}

const depthToSpace: ShapeRule = (context) => rescaleBlocks(context, -1);
const spaceToDepth: ShapeRule = (context) => rescaleBlocks(context, 1);

/** `power` 1: space shrinks by the block size and depth grows by its square; −1 the other way round. */
function rescaleBlocks(context: RuleContext, power: 1 | -1): readonly Shape[] {
  const input = context.shape(0);
  const block = intAttribute(context.node, 'blocksize', 1);
  if (input?.length !== 4) return [];
  const scaled = (size: Dimension, factor: number) =>
    typeof size === 'number' ? validDimension(size * factor) : undefined;
  const space = power === 1 ? 1 / block : block;
  return [[input[0], scaled(input[1], block ** (2 * power)), scaled(input[2], space), scaled(input[3], space)]];
}

const oneHot: ShapeRule = (context) => {
  const indices = context.shape(0);
  if (indices === undefined) return [];
  const axis = normalizeAxis(intAttribute(context.node, 'axis', -1), indices.length + 1);
  const depth = numbersOf(context, 1)?.[0];
  return axis === undefined ? [] : [[...indices.slice(0, axis), depth, ...indices.slice(axis)]];
};

export const REARRANGEMENT_RULES: ShapeRules = {
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Gather: gather,
  GatherElements: (context) => [context.shape(1)],
  GatherND: gatherND,
  Expand: expand,
  Tile: tile,
  ConstantOfShape: constantOfShape,
  Resize: resize,
  Upsample: resize,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
  OneHot: oneHot,
  Shape: (context) => {
    const rank = context.shape(0)?.length;
    if (rank === undefined) return [unknownOfRank(1)];
    const clamp = (axis: number) => Math.min(Math.max(axis < 0 ? axis + rank : axis, 0), rank);
    const start = clamp(intAttribute(context.node, 'start', 0));
    return [[Math.max(0, clamp(intAttribute(context.node, 'end', rank)) - start)]];
  },
  Size: () => [[]],
  Range: (context) => {
    const [start, limit, delta] = [0, 1, 2].map((input) => numbersOf(context, input)?.[0]);
    if (start === undefined || limit === undefined || delta === undefined) return [unknownOfRank(1)];
    return [[validDimension(Math.max(0, Math.ceil((limit - start) / delta)))]];
  },
  NonZero: (context) => [[context.shape(0)?.length, undefined]],
};
