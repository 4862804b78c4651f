import { intAttribute, tensorAttribute } from './attributes';
import type { DataType, Graph, Node } from './ir';

const TYPE_OF_CODE: readonly DataType[] = [
  ...(['other', 'float32', 'uint8', 'int8', 'uint16', 'int16', 'int32', 'int64', 'string', 'bool'] as const),
  ...(['float16', 'float64', 'uint32', 'uint64', 'other', 'other', 'bfloat16'] as const),
];

/** The number that ONNX gives an element type, as attributes such as `to` of Cast hold it. 0, which is none, for 'other'. */
export function codeOfElementType(type: DataType): number {
  return type === 'other' ? 0 : TYPE_OF_CODE.indexOf(type);
}

/** undefined for a number that names no element type this package knows. */
export function elementTypeOfCode(code: number): DataType | undefined {
  return TYPE_OF_CODE[code];
}

const ALWAYS: Readonly<Record<string, DataType>> = {
  ...{ And: 'bool', Equal: 'bool', Greater: 'bool', GreaterOrEqual: 'bool', IsInf: 'bool', IsNaN: 'bool' },
  ...{ Less: 'bool', LessOrEqual: 'bool', Not: 'bool', Or: 'bool', Xor: 'bool' },
  ...{ ArgMax: 'int64', ArgMin: 'int64', NonZero: 'int64', Shape: 'int64', Size: 'int64' },
};

/**
 * Element types of the tensors of a graph, as far as the standard operators that keep, name or fix their type
 * tell. Linear in the size of the graph.
 */
export function elementTypes(graph: Graph): ReadonlyMap<string, DataType> {
  const types = new Map<string, DataType>();
  for (const info of [...graph.inputs, ...graph.valueInfo.values(), ...graph.outputs])
    types.set(info.name, info.dataType);
  for (const tensor of graph.initializers.values()) types.set(tensor.name, tensor.dataType);
  for (const node of graph.nodes)
    for (const [index, output] of node.outputs.entries()) {
      if (types.has(output)) continue;
      const type = typeOfOutput(node, index, types);
      if (type !== undefined) types.set(output, type);
    }
  return types;
}

function typeOfOutput(node: Node, index: number, types: ReadonlyMap<string, DataType>): DataType | undefined {
  if (node.domain !== '') return undefined;
  if (index > 0 && node.opType === 'Dropout') return 'bool';
  if (index > 0 && (node.opType === 'MaxPool' || node.opType === 'TopK')) return 'int64';
  if (node.opType === 'Constant') return tensorAttribute(node, 'value')?.dataType ?? typeOfPlainConstant(node);
  if (node.opType === 'ConstantOfShape') return tensorAttribute(node, 'value')?.dataType ?? 'float32';
  if (node.opType === 'Cast') return elementTypeOfCode(intAttribute(node, 'to', 0));
  const like = node.opType === 'Where' ? node.inputs[1] : node.inputs[0];
  return ALWAYS[node.opType] ?? types.get(like ?? '');
}

function typeOfPlainConstant({ attributes }: Node): DataType {
  if (attributes.has('value_int') || attributes.has('value_ints')) return 'int64';
  return attributes.has('value_string') || attributes.has('value_strings') ? 'string' : 'float32';
}
