import type * as OnnxRuntime from 'onnxruntime-node';

import { codeOfElementType } from '../../../src/onnx/elementTypes';
import type { Attribute, Model, Node, Tensor } from '../../../src/onnx/ir';
import { toModelBytes } from '../../../src/onnx/save';
import { rawTensor, tensorToFloat32 } from '../../../src/onnx/tensor';
import type { NamedTensor } from './torchReference';

// eslint-disable-next-line @typescript-eslint/no-require-imports -- the native module is CommonJS
const ort = require('onnxruntime-node') as typeof OnnxRuntime;

const STEP = 1e-5;

/** The same model in float64, with these initializers as inputs. */
export function toDoublePrecision(model: Model, leaves: readonly string[]): Model {
  const { graph } = model;
  const asInputs = leaves.filter((name) => graph.initializers.has(name));
  const inputs = [
    ...graph.inputs.map((info) => ({ ...info, dataType: widen(info.dataType) })),
    ...asInputs.map((name) => ({
      name,
      dataType: 'float64' as const,
      shape: graph.initializers.get(name)!.dims,
    })),
  ];
  return {
    ...model,
    graph: {
      ...graph,
      inputs,
      outputs: graph.outputs.map((info) => ({ ...info, dataType: widen(info.dataType) })),
      initializers: new Map(
        [...graph.initializers]
          .filter(([name]) => !asInputs.includes(name))
          .map(([name, tensor]) => [name, widenTensor(tensor)]),
      ),
      nodes: graph.nodes.map(widenNode),
      valueInfo: new Map(),
    },
  };
}

function widen<Type extends string>(dataType: Type): Type | 'float64' {
  return dataType === 'float32' ? 'float64' : dataType;
}

function widenTensor(tensor: Tensor): Tensor {
  if (tensor.dataType !== 'float32') return tensor;
  const data = Float64Array.from(tensorToFloat32(tensor));
  return rawTensor(tensor.name, tensor.dims, 'float64', new Uint8Array(data.buffer));
}

function widenNode(node: Node): Node {
  const attributes = new Map<string, Attribute>();
  for (const [name, attribute] of node.attributes) {
    if (attribute.kind === 'tensor') attributes.set(name, { kind: 'tensor', value: widenTensor(attribute.value) });
    else if (node.opType === 'Cast' && name === 'to' && attribute.kind === 'int' && attribute.value === 1)
      attributes.set(name, { kind: 'int', value: codeOfElementType('float64') });
    else if (node.opType === 'Constant' && (attribute.kind === 'float' || attribute.kind === 'floats')) {
      const isScalar = attribute.kind === 'float';
      const values = Float64Array.from(isScalar ? [attribute.value] : attribute.value);
      const value = rawTensor('', isScalar ? [] : [values.length], 'float64', new Uint8Array(values.buffer));
      attributes.set('value', { kind: 'tensor', value });
    } else attributes.set(name, attribute);
  }
  return { ...node, attributes };
}

export interface Probe {
  readonly leaf: string;
  readonly element: number;
  readonly derivative: number;
}

/**
 * Central differences of Σ output · seed in float64, for these elements of the leaves. Rejects where ONNX Runtime cannot
 * compute the model in float64.
 */
export async function centralDifferences(
  model: Model,
  feeds: ReadonlyMap<string, NamedTensor>,
  seeds: ReadonlyMap<string, NamedTensor>,
  elements: ReadonlyMap<string, readonly number[]>,
): Promise<Probe[]> {
  const { bytes } = toModelBytes(toDoublePrecision(model, [...elements.keys()]));
  const session = await ort.InferenceSession.create(bytes, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
  });
  try {
    const inputs: Record<string, OnnxRuntime.Tensor> = {};
    const arrays = new Map<string, Float64Array>();
    for (const [name, { dims, data }] of feeds) {
      if (data instanceof Float32Array) {
        const values = Float64Array.from(data);
        arrays.set(name, values);
        inputs[name] = new ort.Tensor('float64', values, dims);
      } else inputs[name] = new ort.Tensor('int64', data, dims);
    }
    const loss = async (): Promise<number> => {
      const results = await session.run(inputs);
      let total = 0;
      for (const [name, seed] of seeds) {
        const output = results[name]!.data as Float64Array;
        for (let index = 0; index < output.length; index += 1) total += output[index]! * Number(seed.data[index]);
      }
      return total;
    };
    const probes: Probe[] = [];
    for (const [leaf, positions] of elements)
      for (const element of positions) {
        const values = arrays.get(leaf)!;
        const original = values[element]!;
        values[element] = original + STEP;
        const above = await loss();
        values[element] = original - STEP;
        const below = await loss();
        values[element] = original;
        probes.push({ leaf, element, derivative: (above - below) / (2 * STEP) });
      }
    return probes;
  } finally {
    await session.release();
  }
}
