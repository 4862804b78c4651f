import { expected } from '../../errors';
import type { RemovableLayer } from '../layers/types';
import { elementTypes } from '../elementTypes';
import { freshName, graphIndex, takenNames } from '../graphIndex';
import type { Graph, Node, Tensor } from '../ir';
import { float32Tensor, rawTensor } from '../tensor';

/** A linear layer on the mean of every channel: logits = weight · mean + bias. */
export interface NewHead {
  /** [classes, channels], row-major. */
  readonly weight: Float32Array;
  /** [classes]; zero where it is left out. */
  readonly bias?: Float32Array;
}

/** A head with all its sizes, for the tensor that it is attached to. */
export interface SizedHead extends Required<NewHead> {
  readonly inputs: number;
  readonly outputs: number;
}

/** Throws ERR_SHAPE where the values are not as many as the layer says. */
export function requireHead({ weight, bias }: NewHead, { id, head }: RemovableLayer): SizedHead {
  const { inputs, outputs } = head ?? { inputs: 0, outputs: 0 };
  if (weight.length !== inputs * outputs)
    throw expected('ERR_SHAPE', `${inputs * outputs} weights [${outputs}, ${inputs}]`, `the head of "${id}"`, weight);
  if (bias !== undefined && bias.length !== outputs)
    throw expected('ERR_SHAPE', `${outputs} biases`, `the head of "${id}"`, bias);
  return { weight, bias: bias ?? new Float32Array(outputs), inputs, outputs };
}

/**
 * The graph in which `logits` is the new head's result on `features` [N, C, H, W], for any height and width. The nodes
 * that wrote the logits before are left to `removeNewlyDead`, except the last.
 */
export function attachHead(graph: Graph, features: string, logits: string, head: SizedHead): Graph {
  const old = graphIndex(graph).producers.get(logits);
  const { name, constants, add } = newNames(graph, features);
  const pooled = name('head_pooled');
  const flat = name('head_features');
  const weight = add('head_weight', [head.outputs, head.inputs], head.weight);
  const bias = add('head_bias', [head.outputs], head.bias);
  const added = [
    newNode('GlobalAveragePool', [features], pooled),
    newNode('Flatten', [pooled], flat, { axis: 1 }),
    { ...newNode('Gemm', [flat, weight, bias], logits, { transB: 1 }), key: name('head'), name: '' },
  ];
  const nodes = graph.nodes.flatMap((node) => (node === old ? added : [node]));
  return { ...graph, nodes, initializers: new Map([...graph.initializers, ...constants]) };
}

export interface NewNames {
  readonly name: (wanted: string) => string;
  readonly constants: ReadonlyMap<string, Tensor>;
  /** Adds a constant of the element type of the network. */
  readonly add: (wanted: string, dims: readonly number[], data: ArrayLike<number>) => string;
  readonly addFlag: (wanted: string, value: boolean) => string;
}

/** Names that neither a tensor nor a node has; constants get the element type of the tensor `like`. */
export function newNames(graph: Graph, like: string): NewNames {
  const taken = takenNames(graph);
  for (const { key } of graph.nodes) taken.add(key);
  const dataType = elementTypes(graph).get(like) ?? 'float32';
  const constants = new Map<string, Tensor>();
  const name = (wanted: string): string => freshName(wanted, taken);
  const keep = (tensor: Tensor): string => {
    constants.set(tensor.name, tensor);
    return tensor.name;
  };
  return {
    name,
    constants,
    add(wanted, dims, data) {
      const like = rawTensor(wanted, [0], dataType, new Uint8Array(0));
      return keep(float32Tensor(name(wanted), dims, data, like));
    },
    addFlag: (wanted, value) => keep(rawTensor(name(wanted), [], 'bool', Uint8Array.of(Number(value)))),
  };
}

export function newNode(
  opType: string,
  inputs: readonly string[],
  output: string,
  integers: Readonly<Record<string, number>> = {},
): Node {
  const attributes = new Map(Object.entries(integers).map(([key, value]) => [key, { kind: 'int', value } as const]));
  return { name: output, key: output, opType, domain: '', inputs, outputs: [output], attributes };
}
