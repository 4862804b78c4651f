import { intsAttribute, tensorAttribute } from './attributes';
import { elementCount } from './elementSize';
import { graphIndex } from './graphIndex';
import type { Graph, Tensor } from './ir';
import type { ShapeMap } from './shapes';
import { isFloatType, tensorToFloat32 } from './tensor';

/** A constant float operand as a node reads it. */
export interface ConstantFloats {
  readonly dims: readonly number[];
  /** Row-major, widened or narrowed to float32. A fresh array. */
  readonly data: Float32Array;
  /** The stored tensor it comes from: its element type is what an edited operand keeps. */
  readonly stored: Tensor;
}

/** Operators between a stored weight and its reader that move no values, or only reorder them. */
const RESHAPING = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten']);

/**
 * The values of a constant float tensor: an initializer or Constant node, also through Identity, Transpose and the
 * reshaping operators. undefined when it depends on an input, is quantised, or is computed in another way.
 */
export function constantFloats(graph: Graph, name: string, shapes: ShapeMap): ConstantFloats | undefined {
  const stored = graph.initializers.get(name);
  if (stored !== undefined) return fromStored(stored);
  const producer = graphIndex(graph).producers.get(name);
  if (producer?.domain !== '') return undefined;
  if (producer.opType === 'Constant') {
    const tensor = tensorAttribute(producer, 'value');
    return tensor && fromStored(tensor);
  }
  const passes = producer.opType === 'Identity' || producer.opType === 'Transpose' || RESHAPING.has(producer.opType);
  const source = passes ? constantFloats(graph, producer.inputs[0] ?? '', shapes) : undefined;
  if (source === undefined || producer.opType === 'Identity') return source;
  if (producer.opType === 'Transpose')
    return transposed(source, intsAttribute(producer, 'perm', [...source.dims.keys()].reverse()));
  const dims = shapes.get(name);
  if (!dims?.every((dim) => typeof dim === 'number') || elementCount(dims) !== source.data.length) return undefined;
  return { ...source, dims };
}

function fromStored(stored: Tensor): ConstantFloats | undefined {
  return isFloatType(stored.dataType) ? { dims: stored.dims, data: tensorToFloat32(stored), stored } : undefined;
}

function transposed(source: ConstantFloats, order: readonly number[]): ConstantFloats | undefined {
  if (order.length !== source.dims.length) return undefined;
  return { ...source, ...permute(source.data, source.dims, order) };
}

/** Reorders axes: axis k of the result is axis `order[k]` of the source. */
export function permute(
  data: Float32Array,
  dims: readonly number[],
  order: readonly number[],
): { dims: number[]; data: Float32Array } {
  const strides = dims.map((_, axis) => elementCount(dims.slice(axis + 1)));
  const resultDims = order.map((axis) => dims[axis] ?? 1);
  const resultStrides = order.map((axis) => strides[axis] ?? 0);
  const result = new Float32Array(data.length);
  const position = new Array<number>(order.length).fill(0);
  let from = 0;
  for (let to = 0; to < result.length; to += 1) {
    result[to] = data[from] ?? 0;
    for (let axis = order.length - 1; axis >= 0; axis -= 1) {
      const stride = resultStrides[axis] ?? 0;
      const next = (position[axis] ?? 0) + 1;
      if (next < (resultDims[axis] ?? 1)) {
        position[axis] = next;
        from += stride;
        break;
      }
      from -= (next - 1) * stride;
      position[axis] = 0;
    }
  }
  return { dims: resultDims, data: result };
}

/** [rows, columns] → [columns, rows]. */
export function transposeMatrix(data: Float32Array, rows: number, columns: number): Float32Array {
  return permute(data, [rows, columns], [1, 0]).data;
}
