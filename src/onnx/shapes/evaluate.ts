import { intAttribute, intsAttribute, tensorAttribute } from '../attributes';
import { elementCount } from '../elementSize';
import type { DataType, Dimension, Shape } from '../ir';
import { normalizeAxis } from './dimensions';
import {
  broadcastValues,
  LARGEST_FOLLOWED_ELEMENTS,
  partialValueOfTensor,
  rearrange,
  scalar,
  vector,
  type PartialValue,
} from './partialValue';
import { numbersOf, type RuleContext } from './rule';
import { normalizeSlice } from './slice';

/**
 * The values a node computes from shapes and small constants: the integer arithmetic that exporters put in front
 * of Reshape, Slice, Resize and the like. undefined where the node is not of that sort.
 */
export function evaluateNode(context: RuleContext, outputShape: Shape): PartialValue | undefined {
  if (context.node.domain !== '') return undefined;
  const evaluator = EVALUATORS[context.node.opType];
  return evaluator?.(context, outputShape);
}

type Evaluator = (context: RuleContext, outputShape: Shape) => PartialValue | undefined;

const sameElements: Evaluator = (context, outputShape) => {
  const value = context.value(0);
  const dims = outputShape as readonly number[] | undefined;
  if (value === undefined || !dims?.every((dim) => typeof dim === 'number')) return undefined;
  return elementCount(dims) === value.elements.length ? { ...value, dims } : undefined;
};

const EVALUATORS: Readonly<Record<string, Evaluator>> = {
  Constant: ({ node }) => {
    const tensor = tensorAttribute(node, 'value');
    if (tensor !== undefined) return partialValueOfTensor(tensor);
    const plain = ['value_int', 'value_ints', 'value_float', 'value_floats']
      .map((name) => node.attributes.get(name))
      .find((attribute) => attribute !== undefined);
    if (plain?.kind === 'int') return scalar(plain.value);
    if (plain?.kind === 'ints') return vector(plain.value);
    if (plain?.kind === 'float') return scalar(plain.value, false);
    return plain?.kind === 'floats' ? vector(plain.value, false) : undefined;
  },
  Shape: (context) => {
    const shape = context.shape(0);
    if (shape === undefined) return undefined;
    const clamp = (axis: number) => Math.min(Math.max(axis < 0 ? axis + shape.length : axis, 0), shape.length);
    const start = clamp(intAttribute(context.node, 'start', 0));
    const end = clamp(intAttribute(context.node, 'end', shape.length));
    return vector(shape.slice(start, end));
  },
  Size: (context) => {
    const shape = context.shape(0);
    return shape?.every((dim) => typeof dim === 'number') ? scalar(elementCount(shape)) : undefined;
  },
  ConstantOfShape: (context, outputShape) => {
    const dims = outputShape?.every((dim) => typeof dim === 'number') ? outputShape : undefined;
    if (dims === undefined || elementCount(dims) > LARGEST_FOLLOWED_ELEMENTS) return undefined;
    const tensor = tensorAttribute(context.node, 'value');
    const fill = tensor === undefined ? scalar(0, false) : partialValueOfTensor(tensor);
    if (fill === undefined) return undefined;
    return {
      dims,
      elements: Array.from({ length: elementCount(dims) }, () => fill.elements[0]),
      integer: fill.integer,
    };
  },
  Identity: (context) => context.value(0),
  Squeeze: sameElements,
  Unsqueeze: sameElements,
  Reshape: sameElements,
  Flatten: sameElements,
  Cast: (context) => {
    const value = context.value(0);
    const to = CAST_TARGETS[intAttribute(context.node, 'to', 0)];
    if (value === undefined || to === undefined) return undefined;
    if (to === 'float32') return { ...value, integer: false };
    const convert = (element: Dimension) =>
      typeof element !== 'number' ? element : to === 'bool' ? Number(element !== 0) : Math.trunc(element);
    const elements = value.elements.map(convert);
    return { dims: value.dims, elements, integer: true };
  },
  Concat: (context) => {
    const parts = context.node.inputs.map((_, input) => context.value(input));
    if (!parts.every((part) => part?.dims.length === 1)) return undefined;
    const known = parts as PartialValue[];
    return vector(
      known.flatMap((part) => part.elements),
      known.every((part) => part.integer),
    );
  },
  Gather: (context) => {
    const data = context.value(0);
    const indices = context.value(1);
    if (data?.dims.length !== 1 || indices === undefined || intAttribute(context.node, 'axis', 0) > 0) return undefined;
    const elements = indices.elements.map((index) =>
      typeof index === 'number' ? data.elements[index < 0 ? index + data.elements.length : index] : undefined,
    );
    return { dims: indices.dims, elements, integer: data.integer };
  },
  Slice: (context) => {
    const data = context.value(0);
    const slices = normalizeSlice(context, data?.dims);
    if (data === undefined || slices === undefined) return undefined;
    const known = slices.filter((slice) => slice !== undefined);
    if (known.length !== data.dims.length) return undefined;
    return rearrange(
      data,
      known.map((slice) => slice.count),
      (position) => known.map((slice, axis) => slice.start + (position[axis] ?? 0) * slice.step),
    );
  },
  Transpose: (context) => {
    const data = context.value(0);
    if (data === undefined) return undefined;
    const order = intsAttribute(context.node, 'perm', [...data.dims.keys()].reverse());
    if (order.length !== data.dims.length) return undefined;
    return rearrange(
      data,
      order.map((axis) => data.dims[axis] ?? 0),
      (position) => data.dims.map((_, axis) => position[order.indexOf(axis)] ?? 0),
    );
  },
  Expand: (context) => {
    const data = context.value(0);
    const target = numbersOf(context, 1);
    if (data === undefined || target === undefined || elementCount(target) > LARGEST_FOLLOWED_ELEMENTS)
      return undefined;
    const frame = { dims: target, elements: Array.from({ length: elementCount(target) }, () => 0), integer: true };
    return broadcastValues([data, frame], ([element]) => element, data.integer);
  },
  Where: (context) => {
    const [condition, whenTrue, whenFalse] = [0, 1, 2].map((input) => context.value(input));
    if (condition === undefined || whenTrue === undefined || whenFalse === undefined) return undefined;
    return broadcastValues(
      [condition, whenTrue, whenFalse],
      ([test, yes, no]) => (typeof test === 'number' ? (test !== 0 ? yes : no) : yes === no ? yes : undefined),
      whenTrue.integer,
    );
  },
  Range: (context) => {
    const [start, limit, delta] = [0, 1, 2].map((input) => numbersOf(context, input)?.[0]);
    if (start === undefined || limit === undefined || delta === undefined || delta === 0) return undefined;
    const count = Math.max(0, Math.ceil((limit - start) / delta));
    if (count > LARGEST_FOLLOWED_ELEMENTS) return undefined;
    return vector(
      Array.from({ length: count }, (_, index) => start + index * delta),
      context.value(0)?.integer ?? true,
    );
  },
  ReduceProd: (context, outputShape) => reduceAll(context, outputShape, (left, right) => left * right, 1),
  ReduceSum: (context, outputShape) => reduceAll(context, outputShape, (left, right) => left + right, 0),
  ReduceMax: (context, outputShape) => reduceAll(context, outputShape, Math.max, -Infinity),
  ReduceMin: (context, outputShape) => reduceAll(context, outputShape, Math.min, Infinity),
  Add: binary((left, right) => left + right, 0),
  Sub: binary((left, right) => left - right, undefined, 0),
  Mul: binary((left, right) => left * right, 1),
  Div: (context, outputShape) => {
    const bothIntegers = context.value(0)?.integer === true && context.value(1)?.integer === true;
    const divide = (left: number, right: number) => (bothIntegers ? Math.trunc(left / right) : left / right);
    return binary(divide, undefined, 1)(context, outputShape);
  },
  Mod: binary((left, right) => left - right * Math.floor(left / right)),
  Min: variadic(Math.min),
  Max: variadic(Math.max),
  Equal: binary((left, right) => Number(left === right)),
  Greater: binary((left, right) => Number(left > right)),
  Less: binary((left, right) => Number(left < right)),
  Not: unary((value) => Number(value === 0)),
  Neg: unary((value) => -value),
  Abs: unary(Math.abs),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Sqrt: unary(Math.sqrt),
};

/** Element type codes of Cast that shape arithmetic uses. */
const CAST_TARGETS: Readonly<Record<number, DataType | undefined>> = {
  1: 'float32',
  2: 'int32',
  3: 'int32',
  4: 'int32',
  5: 'int32',
  6: 'int32',
  7: 'int64',
  9: 'bool',
  10: 'float32',
  11: 'float32',
  12: 'int32',
  13: 'int64',
};

function unary(operation: (value: number) => number): Evaluator {
  return (context) => {
    const value = context.value(0);
    if (value === undefined) return undefined;
    const elements = value.elements.map((element) => (typeof element === 'number' ? operation(element) : undefined));
    return { ...value, elements };
  };
}

/** `neutral` (either side) or `neutralRight` leaves a symbol as it is: batch · 1 = batch. */
function binary(
  operation: (left: number, right: number) => number,
  neutral?: number,
  neutralRight: number | undefined = neutral,
): Evaluator {
  return (context) => {
    const left = context.value(0);
    const right = context.value(1);
    if (left === undefined || right === undefined) return undefined;
    return broadcastValues(
      [left, right],
      ([first, second]) => {
        if (typeof first === 'number' && typeof second === 'number') return finite(operation(first, second));
        if (neutral !== undefined && first === neutral) return second;
        return neutralRight !== undefined && second === neutralRight ? first : undefined;
      },
      left.integer && right.integer,
    );
  };
}

function variadic(operation: (...values: number[]) => number): Evaluator {
  return (context) => {
    const operands = context.node.inputs.map((_, input) => context.value(input));
    if (operands.length === 0 || operands.includes(undefined)) return undefined;
    const known = operands as PartialValue[];
    return broadcastValues(
      known,
      (elements) => (elements.every((element) => typeof element === 'number') ? operation(...elements) : undefined),
      known.every((operand) => operand.integer),
    );
  };
}

/** Reduction of a vector to one number: the only form that shape arithmetic uses. */
function reduceAll(
  context: RuleContext,
  outputShape: Shape,
  operation: (left: number, right: number) => number,
  start: number,
): PartialValue | undefined {
  const value = context.value(0);
  const elements = numbersOf(context, 0);
  const axes = context.has(1) ? numbersOf(context, 1) : intsAttribute(context.node, 'axes', [0]);
  if (value?.dims.length !== 1 || elements === undefined || axes === undefined || outputShape === undefined)
    return undefined;
  if (axes.length > 0 && normalizeAxis(axes[0] ?? 0, 1) !== 0) return undefined;
  if (elementCount(outputShape as readonly number[]) !== 1) return undefined;
  const result = elements.reduce((left, right) => operation(left, right), start);
  return { dims: outputShape as readonly number[], elements: [finite(result)], integer: value.integer };
}

function finite(value: number): Dimension {
  return Number.isFinite(value) ? value : undefined;
}
