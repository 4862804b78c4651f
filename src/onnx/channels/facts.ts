import { intsAttribute } from '../attributes';
import { constantTensor, constantValue } from '../constants';
import { elementCount, elementSize } from '../elementSize';
import { elementTypes } from '../elementTypes';
import { graphIndex, tensorsRead } from '../graphIndex';
import type { DataType, Graph, Model, Tensor } from '../ir';
import type { ShapeMap } from '../shapes';
import { float32Tensor, int64Tensor, isFloatType, rawTensor } from '../tensor';
import type { GraphFacts } from './rule';
import { range } from './rule';

/** Answers the questions of operator rules about one graph; each answer is computed once. */
export function createFacts(model: Model, shapes: ShapeMap): GraphFacts {
  const { graph } = model;
  const opset = model.opsets.get('') ?? 0;
  const types = elementTypes(graph);
  const unvarying = unvaryingTensors(graph);
  const constants = new Map<string, Tensor | undefined>();
  const integers = new Map<string, readonly number[] | undefined>();
  const constant = (name: string): Tensor | undefined => {
    if (!unvarying.has(name)) return undefined;
    if (!constants.has(name))
      constants.set(name, readConstant(graph, name, shapes, constant) ?? computeConstant(graph, name, opset, types));
    return constants.get(name);
  };
  return {
    opset,
    shapeOf: (name) => shapes.get(name),
    constant,
    integers(name) {
      if (name === '') return undefined;
      if (!integers.has(name)) integers.set(name, constantValue(graph, name, { shapes, opset })?.values);
      return integers.get(name);
    },
  };
}

/** Tensors that depend on no input of the graph. Random operators have none either, but are no constants. */
function unvaryingTensors(graph: Graph): ReadonlySet<string> {
  const names = new Set(graph.initializers.keys());
  for (const node of graph.nodes) {
    if (node.domain !== '' || node.opType.startsWith('Random') || node.opType === 'Bernoulli') continue;
    const reads = tensorsRead(node);
    if ((reads.size > 0 || node.opType === 'Constant') && [...reads].every((name) => names.has(name)))
      for (const name of node.outputs) if (name !== '') names.add(name);
  }
  return names;
}

/** Weights as they are stored, also behind operators that only rearrange them; bytes are moved, not converted. */
function readConstant(
  graph: Graph,
  name: string,
  shapes: ShapeMap,
  constant: (name: string) => Tensor | undefined,
): Tensor | undefined {
  const stored = constantTensor(graph, name);
  if (stored !== undefined) return elementSize(stored.dataType) === undefined ? undefined : { ...stored, name };
  const producer = graphIndex(graph).producers.get(name);
  if (producer?.domain !== '') return undefined;
  const { opType } = producer;
  const source = opType === 'Transpose' || RESHAPING.has(opType) ? constant(producer.inputs[0] ?? '') : undefined;
  if (source === undefined) return undefined;
  if (opType === 'Transpose') {
    const permutation = intsAttribute(producer, 'perm', range(source.dims.length).reverse());
    return transpose(source, permutation, name);
  }
  const dims = shapes.get(name);
  if (!dims?.every((dim) => typeof dim === 'number') || elementCount(dims) !== elementCount(source.dims))
    return undefined;
  return rawTensor(name, dims, source.dataType, source.bytes());
}

const RESHAPING: ReadonlySet<string> = new Set(['Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten']);

function transpose(source: Tensor, permutation: readonly number[], name: string): Tensor {
  const dims = permutation.map((axis) => source.dims[axis] ?? 1);
  const size = elementSize(source.dataType) ?? 1;
  const strides = source.dims.map((_, axis) => elementCount(source.dims.slice(axis + 1)));
  const from = source.bytes();
  const bytes = new Uint8Array(from.length);
  const count = elementCount(dims);
  for (let at = 0; at < count; at++) {
    let rest = at;
    let position = 0;
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      const extent = dims[axis] ?? 1;
      position += (rest % extent) * (strides[permutation[axis] ?? 0] ?? 0);
      rest = Math.floor(rest / extent);
    }
    for (let byte = 0; byte < size; byte++) bytes[at * size + byte] = from[position * size + byte] ?? 0;
  }
  return rawTensor(name, dims, source.dataType, bytes);
}

/** Small constants that the graph computes from other constants. */
function computeConstant(
  graph: Graph,
  name: string,
  opset: number,
  types: ReadonlyMap<string, DataType>,
): Tensor | undefined {
  const value = constantValue(graph, name, { opset });
  const dataType = types.get(name);
  if (value === undefined || dataType === undefined) return undefined;
  if (dataType === 'int64') return int64Tensor(name, value.dims, value.values);
  if (!isFloatType(dataType)) return undefined;
  return float32Tensor(name, value.dims, value.values, rawTensor(name, [0], dataType, new Uint8Array(0)));
}
