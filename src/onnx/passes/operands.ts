import { freshName, graphIndex, takenNames } from '../graphIndex';
import type { Graph, Node, Tensor } from '../ir';
import { float32Tensor } from '../tensor';

/** A new value for one operand of a node. */
export interface OperandEdit {
  readonly input: number;
  readonly dims: readonly number[];
  readonly data: Float32Array;
  /** The tensor whose element type the new one keeps; none for an operand the node did not have. */
  readonly like: Tensor | undefined;
  /** What the operand is, for the name of a new tensor: "weight", "bias" … */
  readonly role: string;
}

/**
 * Sets operands of the node with that key. An initializer that nothing else reads is replaced in place; a shared
 * one, or a constant that a node computes, stays as it is and the node gets a tensor of its own.
 */
export function setOperands(graph: Graph, nodeKey: string, edits: readonly OperandEdit[]): Graph {
  const { nodesByKey, consumers, outputs } = graphIndex(graph);
  const node = nodesByKey.get(nodeKey);
  if (node === undefined) return graph;
  const initializers = new Map(graph.initializers);
  const inputs = [...node.inputs];
  let taken: Set<string> | undefined;
  for (const edit of edits) {
    const current = node.inputs[edit.input] ?? '';
    const isOwn =
      initializers.has(current) &&
      !outputs.has(current) &&
      consumers.get(current)?.length === 1 &&
      node.inputs.filter((name) => name === current).length === 1;
    let name = current;
    if (!isOwn) {
      taken ??= takenNames(graph);
      name = freshName(`${nodeKey}.${edit.role}`, taken);
    }
    initializers.set(name, float32Tensor(name, edit.dims, edit.data, edit.like));
    while (inputs.length < edit.input) inputs.push('');
    inputs[edit.input] = name;
  }
  return replaceNode({ ...graph, initializers }, { ...node, inputs });
}

/** The graph with the node of the same key replaced; the same graph inputs keep the node as it is. */
export function replaceNode(graph: Graph, node: Node): Graph {
  return { ...graph, nodes: graph.nodes.map((other) => (other.key === node.key ? node : other)) };
}
