import { expected } from '../../errors';
import { constantTensor } from '../constants';
import { measureLayers } from '../cost';
import { elementCount } from '../elementSize';
import { graphIndex } from '../graphIndex';
import type { Model, Tensor } from '../ir';
import { withAttribute } from '../attributes';
import type { ShapeMap } from '../shapes';
import { float32Tensor, isFloatType, tensorToFloat32 } from '../tensor';

/** A stored tensor of the model as a part of a flat vector. */
export interface FlatTensor {
  /** Name in the model: an initializer, or the output of a Constant node. */
  readonly name: string;
  readonly dims: readonly number[];
  /** Position of its first element, and how many there are. */
  readonly offset: number;
  readonly count: number;
}

export interface FlatVector {
  readonly length: number;
  readonly tensors: readonly FlatTensor[];
}

/** What training changes, as few long vectors: one operation updates thousands of tensors. */
export interface StateLayout {
  /** Weights of layers: they decay. */
  readonly decayed: FlatVector;
  /** Biases, scales and shifts of normalisations: they do not, unless asked for. */
  readonly undecayed: FlatVector;
  /** Running means and variances. */
  readonly statistics: FlatVector;
}

export interface TrainableOptions {
  /** Whether a learned tensor, used by the layer `node`, stays as it is. Default: none does. */
  readonly isFrozen?: (tensor: string, node: string) => boolean;
  /** Let weight decay act on biases and normalisations too, as a plain torch optimizer does. Default false. */
  readonly decayAll?: boolean;
}

/**
 * The learned tensors of a model and its running statistics, each once, in the order of the graph.
 *
 * ERR_MODEL_UNSUPPORTED where nothing is left to train.
 */
export function planState(model: Model, shapes: ShapeMap, options: TrainableOptions = {}): StateLayout {
  const { isFrozen = () => false, decayAll = false } = options;
  const decayed = new Map<string, Tensor>();
  const undecayed = new Map<string, Tensor>();
  for (const [node, parameters] of measureLayers(model, shapes).learned) {
    for (const { name } of parameters) {
      const tensor = constantTensor(model.graph, name);
      if (tensor === undefined || !isFloatType(tensor.dataType) || isFrozen(name, node)) continue;
      (decayAll || isWeight(tensor) ? decayed : undecayed).set(name, tensor);
    }
  }
  if (decayed.size + undecayed.size === 0)
    throw expected('ERR_MODEL_UNSUPPORTED', 'learned tensors', 'a model to train', 'none that is not frozen');
  const statistics = new Map<string, Tensor>();
  for (const { opType, domain, inputs } of model.graph.nodes) {
    if (opType !== 'BatchNormalization' || domain !== '') continue;
    for (const name of inputs.slice(3, 5)) {
      const tensor = constantTensor(model.graph, name);
      if (tensor !== undefined) statistics.set(name, tensor);
    }
  }
  return { decayed: flatten(decayed), undecayed: flatten(undecayed), statistics: flatten(statistics) };
}

/** A bias broadcast as [C, 1, 1] is none. */
function isWeight({ dims }: Tensor): boolean {
  return dims.filter((size) => size > 1).length > 1;
}

function flatten(tensors: ReadonlyMap<string, Tensor>): FlatVector {
  let length = 0;
  const parts = [...tensors].map(([name, { dims }]) => {
    const count = elementCount(dims);
    const offset = length;
    length += count;
    return { name, dims, offset, count };
  });
  return { length, tensors: parts };
}

/** The vector as the model stores it. */
export function readVector(model: Model, vector: FlatVector): Float32Array {
  const values = new Float32Array(vector.length);
  for (const { name, offset } of vector.tensors) {
    const tensor = constantTensor(model.graph, name);
    if (tensor !== undefined) values.set(tensorToFloat32(tensor), offset);
  }
  return values;
}

/** The model with the tensors of a vector replaced: same names, sizes and element types. `values` is [vector.length]. */
export function writeVector(model: Model, vector: FlatVector, values: Float32Array): Model {
  if (values.length !== vector.length)
    throw expected('ERR_SHAPE', `${vector.length} values`, 'the trained parameters', values);
  const initializers = new Map(model.graph.initializers);
  const { producers } = graphIndex(model.graph);
  const constants = new Map<string, Tensor>();
  for (const { name, dims, offset, count } of vector.tensors) {
    const data = values.subarray(offset, offset + count);
    const stored = initializers.get(name);
    if (stored !== undefined) initializers.set(name, float32Tensor(name, dims, data, stored));
    else constants.set(name, float32Tensor(name, dims, data, constantTensor(model.graph, name)));
  }
  const nodes = model.graph.nodes.map((node) => {
    const value = constants.get(node.outputs[0] ?? '');
    return value !== undefined && producers.get(node.outputs[0] ?? '') === node
      ? withAttribute(node, 'value', { kind: 'tensor', value })
      : node;
  });
  return { ...model, graph: { ...model.graph, nodes, initializers } };
}
