import { tensorAttribute } from './attributes';
import { elementCount } from './elementSize';
import type { Node, Tensor } from './ir';
import { isFloatType } from './tensor';

/**
 * Which operands of an operator are learned. A constant is a parameter by its ROLE, not by being a constant: a
 * convolution's weight is one, the target of a Reshape or the epsilon of a normalisation is none.
 */
const LEARNED_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  ConvInteger: [1],
  QLinearConv: [3, 8],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  MatMulInteger: [1],
  QLinearMatMul: [3],
  Einsum: [0, 1, 2],
  BatchNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  LayerNormalization: [1, 2],
  GroupNormalization: [1, 2],
  RMSNormalization: [1],
  PRelu: [1],
  Gather: [0],
  LSTM: [1, 2, 3],
  GRU: [1, 2, 3],
  RNN: [1, 2, 3],
};

/** Stored, but set by averaging and not by gradients. PyTorch calls them buffers. */
const STATISTIC_INPUTS: Readonly<Record<string, readonly number[]>> = { BatchNormalization: [3, 4] };

/** Element-wise operators whose constant operand can be a learned scale or shift (a folded normalisation, a layer scale). */
const AFFINE = new Set(['Add', 'Sub', 'Mul', 'Div']);

/** Operators that may stand between a stored weight and the node that uses it. */
const TRANSPARENT = new Set([
  ...['Identity', 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Expand', 'Cast', 'DequantizeLinear'],
]);

/** A stored tensor that a node uses as a parameter; `name` tells whether two nodes share it. */
export interface Parameter {
  readonly name: string;
  readonly count: number;
  readonly kind: 'learned' | 'statistic';
}

/** Where constants of a graph come from: initializers, and nodes by what they write. */
export interface StoredTensors {
  readonly initializers: ReadonlyMap<string, Tensor>;
  readonly producers: ReadonlyMap<string, Node>;
}

/**
 * The parameters of a node. Element-wise constants of more than one element are learned where the other
 * operand has passed a layer with parameters; before the first layer they normalise the input and are not.
 */
export function parametersOf(
  stored: StoredTensors,
  node: Node,
  isAfterLayer: (tensor: string) => boolean,
): Parameter[] {
  if (node.domain !== '') return [];
  const learned = (LEARNED_INPUTS[node.opType] ?? affineInputs(node, isAfterLayer)).map(
    (input) => [input, 'learned'] as const,
  );
  const statistics = (STATISTIC_INPUTS[node.opType] ?? []).map((input) => [input, 'statistic'] as const);
  const minimum = AFFINE.has(node.opType) ? 2 : 1;
  return [...learned, ...statistics].flatMap(([input, kind]) => {
    const found = storedTensor(stored, node.inputs[input] ?? '');
    if (found === undefined || elementCount(found.tensor.dims) < minimum) return [];
    if (!isFloatType(found.tensor.dataType) && !found.quantized && !isQuantizedOperator(node)) return [];
    return [{ name: found.name, count: elementCount(found.tensor.dims), kind }];
  });
}

function isQuantizedOperator(node: Node): boolean {
  return node.opType.startsWith('QLinear') || node.opType.endsWith('Integer');
}

function affineInputs(node: Node, isAfterLayer: (tensor: string) => boolean): number[] {
  if (!AFFINE.has(node.opType)) return [];
  return [0, 1].filter((input) => isAfterLayer(node.inputs[1 - input] ?? ''));
}

/** The stored tensor behind an operand. */
function storedTensor(
  stored: StoredTensors,
  name: string,
): { readonly name: string; readonly tensor: Tensor; readonly quantized: boolean } | undefined {
  const initializer = stored.initializers.get(name);
  if (initializer !== undefined) return { name, tensor: initializer, quantized: false };
  const producer = stored.producers.get(name);
  if (producer?.domain !== '') return undefined;
  if (producer.opType === 'Constant') {
    const tensor = tensorAttribute(producer, 'value');
    return tensor && { name, tensor, quantized: false };
  }
  if (!TRANSPARENT.has(producer.opType)) return undefined;
  const source = storedTensor(stored, producer.inputs[0] ?? '');
  return source && { ...source, quantized: source.quantized || producer.opType === 'DequantizeLinear' };
}
