import { createRandom } from '../../random';
import { intAttribute } from '../attributes';
import { constantTensor } from '../constants';
import { elementCount } from '../elementSize';
import type { Model, Node } from '../ir';
import { tensorToFloat32 } from '../tensor';
import { writeVector, type StateLayout } from './state';

type Fill = (count: number) => Float32Array;

/** Inputs of normalisations: scale, shift, mean, variance. */
const NORMALIZATIONS: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [1, 0, 0, 1],
  InstanceNormalization: [1, 0],
  LayerNormalization: [1, 0],
  GroupNormalization: [1, 0],
};

/**
 * The model before any training: weights and biases of convolutions and linear layers uniform within ±1/√fan-in, as torch
 * initialises them (Kaiming uniform with a = √5), normalisations at identity. Other learned tensors stay as they are.
 * Equal seeds give equal weights.
 */
export function reinitialize(model: Model, layout: StateLayout, seed: number): Model {
  const random = createRandom(seed);
  const uniform =
    (limit: number): Fill =>
    (count) =>
      Float32Array.from({ length: count }, () => limit * (2 * random.uniform() - 1));
  const fills = new Map<string, Fill>();
  for (const node of model.graph.nodes) {
    const constants = NORMALIZATIONS[node.opType];
    constants?.forEach((value, position) => {
      fills.set(node.inputs[position + 1] ?? '', (count) => new Float32Array(count).fill(value));
    });
    const fanIn = fanInOf(model, node);
    if (fanIn === undefined) continue;
    for (const input of [1, 2]) fills.set(node.inputs[input] ?? '', uniform(1 / Math.sqrt(fanIn)));
  }
  let result = model;
  for (const vector of [layout.decayed, layout.undecayed, layout.statistics]) {
    const values = new Float32Array(vector.length);
    for (const { name, offset, count } of vector.tensors) {
      const fill = fills.get(name);
      const stored = constantTensor(model.graph, name);
      if (fill !== undefined) values.set(fill(count), offset);
      else if (stored !== undefined) values.set(tensorToFloat32(stored), offset);
    }
    result = writeVector(result, vector, values);
  }
  return result;
}

/** How many inputs one output of a linear layer sums; undefined for another operator. */
function fanInOf(model: Model, node: Node): number | undefined {
  const weight = constantTensor(model.graph, node.inputs[1] ?? '');
  if (weight === undefined || node.domain !== '') return undefined;
  const [first = 1, second = 1, ...kernel] = weight.dims;
  switch (node.opType) {
    case 'Conv':
    // Of a ConvTranspose torch counts the second axis of the weight too.
    case 'ConvTranspose':
      return second * elementCount(kernel);
    case 'Gemm':
      return intAttribute(node, 'transB', 0) === 1 ? second : first;
    case 'MatMul':
      return weight.dims.at(-2) ?? first;
    default:
      return undefined;
  }
}
