import { elementCount } from '../elementSize';
import type { Dimension, Tensor } from '../ir';
import { isFloatType, isIntegerType, tensorToNumbers } from '../tensor';

/**
 * A small tensor whose elements are known in part: numbers, symbols (a dimension that Shape read), or unknown.
 * Row-major. `integer` decides how division rounds.
 */
export interface PartialValue {
  readonly dims: readonly number[];
  readonly elements: readonly Dimension[];
  readonly integer: boolean;
}

/** Larger tensors are weights, not shapes: their values are not followed. */
export const LARGEST_FOLLOWED_ELEMENTS = 4096;

export function partialValueOfTensor(tensor: Tensor): PartialValue | undefined {
  if (elementCount(tensor.dims) > LARGEST_FOLLOWED_ELEMENTS) return undefined;
  const integer = isIntegerType(tensor.dataType);
  if (!integer && !isFloatType(tensor.dataType)) return undefined;
  return { dims: tensor.dims, elements: tensorToNumbers(tensor), integer };
}

export function vector(elements: readonly Dimension[], integer = true): PartialValue {
  return { dims: [elements.length], elements, integer };
}

export function scalar(element: Dimension, integer = true): PartialValue {
  return { dims: [], elements: [element], integer };
}

/** Applies `operation` element by element with NumPy broadcasting; undefined when the shapes do not fit. */
export function broadcastValues(
  operands: readonly PartialValue[],
  operation: (elements: readonly Dimension[]) => Dimension,
  integer: boolean,
): PartialValue | undefined {
  const rank = Math.max(0, ...operands.map((operand) => operand.dims.length));
  const dims: number[] = [];
  for (let axis = 0; axis < rank; axis += 1) {
    const sizes = operands.map((operand) => operand.dims[axis - rank + operand.dims.length] ?? 1);
    const size = sizes.find((candidate) => candidate !== 1) ?? 1;
    if (sizes.some((candidate) => candidate !== 1 && candidate !== size)) return undefined;
    dims.push(size);
  }
  const count = elementCount(dims);
  if (count > LARGEST_FOLLOWED_ELEMENTS) return undefined;
  const elements = Array.from({ length: count }, (_, index) =>
    operation(operands.map((operand) => operand.elements[sourceIndex(index, dims, operand.dims)])),
  );
  return { dims, elements, integer };
}

/** A value of shape `dims` whose element at each position is the one `sourceOf` names in `value`. */
export function rearrange(
  value: PartialValue,
  dims: readonly number[],
  sourceOf: (position: readonly number[]) => readonly number[],
): PartialValue {
  const elements = Array.from({ length: elementCount(dims) }, (_, index) => {
    const position: number[] = [];
    let rest = index;
    for (const size of [...dims].reverse()) {
      position.unshift(rest % size);
      rest = Math.floor(rest / size);
    }
    const offset = sourceOf(position).reduce((sum, along, axis) => sum * (value.dims[axis] ?? 1) + along, 0);
    return value.elements[offset];
  });
  return { dims, elements, integer: value.integer };
}

/** Position in a tensor of shape `from` that broadcasting to `to` reads for the row-major `index`. */
function sourceIndex(index: number, to: readonly number[], from: readonly number[]): number {
  let rest = index;
  let stride = 1;
  let position = 0;
  for (let axis = to.length - 1; axis >= 0; axis -= 1) {
    const size = to[axis] ?? 1;
    const along = rest % size;
    rest = (rest - along) / size;
    const own = from[axis - to.length + from.length];
    if (own === undefined) continue;
    if (own !== 1) position += along * stride;
    stride *= own;
  }
  return position;
}
