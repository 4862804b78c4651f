import type { Dimension, Shape } from '../ir';

/** Arithmetic on dimensions that may be symbolic ("batch") or unknown. What can not be told is undefined. */

export function isKnown(shape: Shape): shape is readonly number[] {
  return shape?.every((dimension) => typeof dimension === 'number') ?? false;
}

/** The axis counted from the front; undefined when it lies outside the rank. */
export function normalizeAxis(axis: number, rank: number): number | undefined {
  const positive = axis < 0 ? axis + rank : axis;
  return Number.isInteger(positive) && positive >= 0 && positive < rank ? positive : undefined;
}

export function broadcastDimension(left: Dimension, right: Dimension): Dimension {
  if (left === 1) return right;
  if (right === 1) return left;
  if (typeof left === 'number') return left;
  if (typeof right === 'number') return right;
  return left === right ? left : undefined;
}

/** Multidirectional (NumPy) broadcasting; undefined as soon as one rank is unknown. */
export function broadcastShapes(shapes: readonly Shape[]): Shape {
  let result: readonly Dimension[] = [];
  for (const shape of shapes) {
    if (shape === undefined) return undefined;
    const rank = Math.max(result.length, shape.length);
    const left = result;
    result = Array.from({ length: rank }, (_, axis) => {
      const fromLeft = axis - (rank - left.length);
      const fromRight = axis - (rank - shape.length);
      return broadcastDimension(fromLeft < 0 ? 1 : left[fromLeft], fromRight < 0 ? 1 : shape[fromRight]);
    });
  }
  return result;
}

/** A product of dimensions: a number times symbols. undefined as soon as one factor is unknown. */
export interface Product {
  readonly factor: number;
  readonly symbols: readonly string[];
}

export function productOf(dimensions: readonly Dimension[]): Product | undefined {
  let factor = 1;
  const symbols: string[] = [];
  for (const dimension of dimensions) {
    if (dimension === undefined) return undefined;
    if (typeof dimension === 'number') factor *= dimension;
    else symbols.push(dimension);
  }
  return { factor, symbols };
}

export function productDimension(dimensions: readonly Dimension[]): Dimension {
  if (dimensions.includes(0)) return 0;
  const product = productOf(dimensions);
  return product === undefined ? undefined : asDimension(product);
}

/** whole / part, where that is one number or one symbol. */
export function divideProducts(whole: Product | undefined, part: Product | undefined): Dimension {
  if (whole === undefined || part === undefined || part.factor === 0) return undefined;
  const rest = [...whole.symbols];
  for (const symbol of part.symbols) {
    const at = rest.indexOf(symbol);
    if (at < 0) return undefined;
    rest.splice(at, 1);
  }
  const factor = whole.factor / part.factor;
  return Number.isInteger(factor) ? asDimension({ factor, symbols: rest }) : undefined;
}

function asDimension({ factor, symbols }: Product): Dimension {
  if (symbols.length === 0) return factor;
  return symbols.length === 1 && factor === 1 ? symbols[0] : undefined;
}

export function addDimensions(left: Dimension, right: Dimension): Dimension {
  if (typeof left === 'number' && typeof right === 'number') return left + right;
  if (left === 0) return right;
  return right === 0 ? left : undefined;
}

/** Sizes are never negative: where arithmetic says so the model contradicts itself, and nothing is known. */
export function validDimension(value: number): Dimension {
  return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** No runtime takes tensors of more axes; a file that states a rank beyond this is not to be believed. */
const LARGEST_RANK = 64;

export function unknownOfRank(rank: number): Shape {
  if (rank > LARGEST_RANK) return undefined;
  return Array.from({ length: rank }, () => undefined);
}
