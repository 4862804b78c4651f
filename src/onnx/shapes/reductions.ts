import { intAttribute, intsAttribute } from '../attributes';
import type { Shape } from '../ir';
import { normalizeAxis, unknownOfRank } from './dimensions';
import { numbersOf, type RuleContext, type ShapeRule, type ShapeRules } from './rule';

/** First operator set in which the axes are an input. */
export const AXES_INPUT_SINCE: Readonly<Record<string, number>> = { ReduceSum: 13 };

const reduce: ShapeRule = (context) => {
  const { node } = context;
  const input = context.shape(0);
  if (input === undefined) return [];
  const keep = intAttribute(node, 'keepdims', 1) !== 0;
  const asInput = context.opset >= (AXES_INPUT_SINCE[node.opType] ?? 18);
  const axes = asInput ? (context.has(1) ? numbersOf(context, 1) : []) : intsAttribute(node, 'axes', []);
  if (axes === undefined) return [keep ? unknownOfRank(input.length) : undefined];
  if (axes.length === 0 && asInput && intAttribute(node, 'noop_with_empty_axes', 0) !== 0) return [input];
  return [withoutAxes(input, axes.length === 0 ? input.map((_, axis) => axis) : axes, keep)];
};

function withoutAxes(shape: NonNullable<Shape>, axes: readonly number[], keep: boolean): Shape {
  const normalized = new Set(axes.map((axis) => normalizeAxis(axis, shape.length)));
  if (normalized.has(undefined)) return undefined;
  return keep
    ? shape.map((size, axis) => (normalized.has(axis) ? 1 : size))
    : shape.filter((_, axis) => !normalized.has(axis));
}

const argument: ShapeRule = (context) => {
  const input = context.shape(0);
  if (input === undefined) return [];
  const axis = intAttribute(context.node, 'axis', 0);
  return [withoutAxes(input, [axis], intAttribute(context.node, 'keepdims', 1) !== 0)];
};

const topK: ShapeRule = (context) => {
  const input = context.shape(0);
  const axis = input && normalizeAxis(intAttribute(context.node, 'axis', -1), input.length);
  const count = context.opset < 10 ? intAttribute(context.node, 'k') : countOf(context);
  const output = axis === undefined ? undefined : input?.map((size, position) => (position === axis ? count : size));
  return [output, output];
};

function countOf(context: RuleContext): number | undefined {
  return numbersOf(context, 1)?.[0];
}

const REDUCTIONS =
  'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare';

export const REDUCTION_RULES: ShapeRules = {
  ...Object.fromEntries(REDUCTIONS.split(' ').map((op) => [op, reduce])),
  ArgMax: argument,
  ArgMin: argument,
  TopK: topK,
};
