import { codeOfElementType } from '../elementTypes';
import { expected } from '../../errors';
import { elementCount } from '../elementSize';
import type { Attribute, DataType, Graph, Model, Node, Tensor, ValueInfo } from '../ir';
import { float32Tensor, int64Tensor, isFloatType, rawTensor, tensorToFloat32 } from '../tensor';
import { applyRule, contextOf } from '../shapes/inferShapes';
import { partialValueOfTensor, type PartialValue } from '../shapes/partialValue';

/** Operator set of generated graphs: the newest that every provider's kernels are complete for. */
export const GENERATED_OPSET = 17;
const GENERATED_IR_VERSION = 8;

/** A tensor of a graph that is being built; every size is known. */
export interface Value {
  readonly name: string;
  readonly dims: readonly number[];
  readonly dataType: DataType;
}

/** Numbers are int attributes, lists of numbers ints; floats are given as `float(value)`. */
export type Attributes = Readonly<Record<string, number | string | readonly number[] | Attribute | undefined>>;

export interface EmitOptions {
  /** How many outputs the node has. Default 1. */
  readonly outputs?: number;
  /** Element type of each output; by default that of the first input. */
  readonly dataTypes?: readonly DataType[];
  /** What the outputs are called, as far as the names are free. */
  readonly name?: string;
  /** Operator set that the operator is of; '' is the standard one. For others `outputDims` says what comes out. */
  readonly domain?: string;
  readonly outputDims?: readonly (readonly number[])[];
}

/**
 * Writes a graph of standard operators (operator set 17), node by node. Shapes follow from the inputs' by the operators'
 * definitions; a node that was written before, with the same inputs and attributes, is not written again.
 */
export interface GraphBuilder {
  input(name: string, dims: readonly number[], dataType?: DataType): Value;
  /** A float32 tensor, or with `scalar` dims []; equal small ones are stored once. */
  constant(data: Float32Array | readonly number[], dims: readonly number[], name?: string): Value;
  integers(values: readonly number[], dims?: readonly number[]): Value;
  /** A stored tensor of a model; floats of other precision become float32. */
  stored(tensor: Tensor): Value;
  /** ERR_SHAPE where the operator's definition does not tell the outputs' sizes. */
  emit(opType: string, inputs: readonly (Value | undefined)[], attributes?: Attributes, options?: EmitOptions): Value[];
  /** `value` under a name of its own, as an output of the graph. */
  output(name: string, value: Value): void;
  build(name: string): Model;
}

export function float(value: number): Attribute {
  return { kind: 'float', value };
}

/** The attribute `to` of Cast. */
export function elementType(dataType: DataType): number {
  return codeOfElementType(dataType);
}

const LARGEST_COMPARED_CONSTANT = 256;

export function createGraphBuilder(): GraphBuilder {
  const taken = new Set<string>();
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const nodes: Node[] = [];
  const initializers = new Map<string, Tensor>();
  const values = new Map<string, PartialValue>();
  const dimsOf = new Map<string, readonly number[]>();
  const written = new Map<string, Value[]>();
  const constants = new Map<string, Value>();

  const fresh = (wanted: string): string => {
    let name = wanted;
    for (let suffix = 2; taken.has(name); suffix += 1) name = `${wanted}_${suffix}`;
    taken.add(name);
    return name;
  };
  const define = (name: string, dims: readonly number[], dataType: DataType): Value => {
    dimsOf.set(name, dims);
    return { name, dims, dataType };
  };
  const store = (tensor: Tensor): Value => {
    initializers.set(tensor.name, tensor);
    const value = tensor.dataType === 'int64' ? partialValueOfTensor(tensor) : undefined;
    if (value !== undefined) values.set(tensor.name, value);
    return define(tensor.name, tensor.dims, tensor.dataType);
  };
  const storeOnce = (key: string | undefined, make: () => Tensor): Value => {
    const known = key === undefined ? undefined : constants.get(key);
    if (known !== undefined) return known;
    const value = store(make());
    if (key !== undefined) constants.set(key, value);
    return value;
  };
  const keyOf = (type: string, dims: readonly number[], data: ArrayLike<number>): string | undefined =>
    data.length > LARGEST_COMPARED_CONSTANT ? undefined : `${type} ${dims.join()} ${Array.from(data, exactly).join()}`;

  return {
    input(name, dims, dataType = 'float32') {
      const own = fresh(name);
      inputs.push({ name: own, dataType, shape: dims });
      return define(own, dims, dataType);
    },
    constant(data, dims, name = 'constant') {
      return storeOnce(keyOf('float32', dims, data), () => float32Tensor(fresh(name), dims, data));
    },
    integers(data, dims = [data.length]) {
      return storeOnce(keyOf('int64', dims, data), () => int64Tensor(fresh('integers'), dims, data));
    },
    stored(tensor) {
      const name = fresh(tensor.name);
      return store(
        isFloatType(tensor.dataType) && tensor.dataType !== 'float32'
          ? float32Tensor(name, tensor.dims, tensorToFloat32(tensor))
          : rawTensor(name, tensor.dims, tensor.dataType, tensor.bytes()),
      );
    },
    emit(opType, operands, attributes = {}, options = {}) {
      const list = attributeMap(attributes);
      const names = operands.map((operand) => operand?.name ?? '');
      const { domain = '' } = options;
      const attributeTexts = [...list].map(describeAttribute);
      const key = JSON.stringify([domain, opType, names, attributeTexts, options.outputs, options.dataTypes]);
      const known = written.get(key);
      if (known !== undefined) return known;
      const count = options.outputs ?? 1;
      const results = Array.from({ length: count }, () => fresh(options.name ?? opType.toLowerCase()));
      const name = results[0] ?? '';
      const node: Node = {
        name,
        key: name,
        opType,
        domain,
        inputs: names,
        outputs: results,
        attributes: list,
      };
      const context = contextOf(
        node,
        GENERATED_OPSET,
        (tensor) => dimsOf.get(tensor),
        (tensor) => values.get(tensor),
      );
      const shapes = options.outputDims ?? applyRule(context);
      const defined = results.map((result, index) => {
        const shape = shapes[index];
        const dataType = options.dataTypes?.[index] ?? operands.find((operand) => operand !== undefined)?.dataType;
        return define(result, requireDims(shape, node, operands), dataType ?? 'float32');
      });
      nodes.push(node);
      written.set(key, defined);
      return defined;
    },
    output(name, value) {
      const own = fresh(name);
      nodes.push({
        name: own,
        key: own,
        opType: 'Identity',
        domain: '',
        inputs: [value.name],
        outputs: [own],
        attributes: new Map(),
      });
      outputs.push({ name: own, dataType: value.dataType, shape: value.dims });
    },
    build(name) {
      const needed = new Set(outputs.map((output) => output.name));
      const kept: Node[] = [];
      for (const node of [...nodes].reverse()) {
        if (!node.outputs.some((output) => needed.has(output))) continue;
        for (const operand of node.inputs) needed.add(operand);
        kept.push(node);
      }
      const graph: Graph = {
        name,
        inputs,
        outputs,
        nodes: kept.reverse(),
        initializers: new Map([...initializers].filter(([tensor]) => needed.has(tensor))),
        valueInfo: new Map(),
      };
      return {
        irVersion: GENERATED_IR_VERSION,
        opsets: new Map([
          ['', GENERATED_OPSET],
          ...kept.flatMap(({ domain }) => (domain === '' ? [] : [[domain, 1] as const])),
        ]),
        metadata: new Map(),
        graph,
      };
    },
  };
}

function requireDims(
  shape: readonly unknown[] | undefined,
  node: Node,
  operands: readonly (Value | undefined)[],
): readonly number[] {
  if (shape?.every((size): size is number => typeof size === 'number')) return shape;
  const received = operands.map((operand) => (operand === undefined ? '-' : `[${operand.dims.join(', ')}]`));
  throw expected('ERR_SHAPE', 'operands that fit', `a generated ${node.opType}`, received.join(' '));
}

function attributeMap(attributes: Attributes): ReadonlyMap<string, Attribute> {
  const map = new Map<string, Attribute>();
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    if (typeof value === 'number') map.set(name, { kind: 'int', value });
    else if (typeof value === 'string') map.set(name, { kind: 'string', value });
    else if ('kind' in value) map.set(name, value);
    else map.set(name, { kind: 'ints', value });
  }
  return map;
}

function describeAttribute([name, attribute]: [string, Attribute]): unknown {
  if (attribute.kind === 'opaque') throw expected('ERR_USAGE', 'a plain attribute', `"${name}"`, attribute.type);
  if (attribute.kind !== 'tensor') return [name, attribute.kind, attribute.value];
  return [name, attribute.value.dataType, attribute.value.dims, Array.from(attribute.value.bytes())];
}

/** −0 is not 0 where constants are compared. */
function exactly(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

export function countOf(value: Value): number {
  return elementCount(value.dims);
}
