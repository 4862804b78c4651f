import { intAttribute, intsAttribute } from '../attributes';
import { constantTensor, constantValue } from '../constants';
import { elementCount, elementSize } from '../elementSize';
import { elementTypeOfCode, elementTypes } from '../elementTypes';
import { graphIndex, tensorsRead } from '../graphIndex';
import type { DataType, Graph, Model, Tensor } from '../ir';
import { inferShapes, type ShapeMap } from '../shapes';
import {
  computedTensor,
  float32Tensor,
  int64Tensor,
  isFloatType,
  rawTensor,
  tensorToFloat32,
  transposeTensor,
} from '../tensor';
import type { GraphFacts } from './rule';
import { range } from './rule';
import { findShuffles } from './shuffles';

const known = new WeakMap<Model, GraphFacts>();

/** The facts of a model whose shapes are all its own; models are immutable, so they are gathered once. */
export function factsOf(model: Model): GraphFacts {
  const facts = known.get(model) ?? createFacts(model, inferShapes(model));
  known.set(model, facts);
  return facts;
}

/** Answers the questions of operator rules about one graph; each answer is computed once. */
export function createFacts(model: Model, shapes: ShapeMap): GraphFacts {
  const { graph } = model;
  const opset = model.opsets.get('') ?? 0;
  const types = elementTypes(graph);
  const unvarying = unvaryingTensors(graph);
  const shuffles = findShuffles(graph, shapes);
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
    shuffleOf: (node) => shuffles.get(node.key),
    readersOf: (name) => graphIndex(graph).consumers.get(name) ?? [],
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
    if ((reads.length > 0 || node.opType === 'Constant') && reads.every((name) => names.has(name)))
      for (const name of node.outputs) if (name !== '') names.add(name);
  }
  return names;
}

/** Weights as they are stored, also behind operators that only rearrange or convert them. */
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
  if (opType !== 'Transpose' && opType !== 'Cast' && !RESHAPING.has(opType)) return undefined;
  const source = constant(producer.inputs[0] ?? '');
  if (source === undefined) return undefined;
  if (opType === 'Transpose')
    return transposeTensor(source, intsAttribute(producer, 'perm', range(source.dims.length).reverse()), name);
  if (opType === 'Cast') return converted(source, elementTypeOfCode(intAttribute(producer, 'to', 0)), name);
  const dims = shapes.get(name);
  if (!dims?.every((dim) => typeof dim === 'number') || elementCount(dims) !== elementCount(source.dims))
    return undefined;
  return computedTensor(name, dims, source.dataType, { bytes: source.bytes });
}

const RESHAPING: ReadonlySet<string> = new Set(['Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten']);

/** Between floating-point types, as runtimes convert; float64 goes to float32 alone, lest it be rounded twice. */
function converted(source: Tensor, dataType: DataType | undefined, name: string): Tensor | undefined {
  if (dataType === undefined || !isFloatType(source.dataType) || !isFloatType(dataType)) return undefined;
  if (source.dataType === dataType) return computedTensor(name, source.dims, dataType, { bytes: source.bytes });
  if (source.dataType === 'float64' && dataType !== 'float32') return undefined;
  const like = rawTensor(name, [0], dataType, new Uint8Array(0));
  const convert = () => float32Tensor(name, source.dims, tensorToFloat32(source), like).bytes();
  return computedTensor(name, source.dims, dataType, { bytes: convert });
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
