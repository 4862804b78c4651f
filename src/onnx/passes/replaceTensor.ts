import { expected } from '../../errors';
import { freshName, graphIndex, tensorsRead } from '../graphIndex';
import type { Graph, Node } from '../ir';

/**
 * The graph in which everything that read `tensor` reads `by`, which must be written before. Where the name has to stay
 * (an output of the graph, a tensor that a subgraph reads) an Identity writes it. Nothing is left out: what is not needed
 * any more goes with `removeNewlyDead`.
 */
export function replaceTensor(graph: Graph, tensor: string, by: string): Graph {
  const { consumers, outputs } = graphIndex(graph);
  const isBound =
    outputs.has(tensor) ||
    (consumers.get(tensor) ?? []).some((node) => !node.inputs.includes(tensor) || readsInside(node, tensor));
  const nodes = graph.nodes.map((node): Node => {
    if (isBound && node.outputs.includes(tensor)) return identity(graph, node, tensor, by);
    return !node.inputs.includes(tensor)
      ? node
      : { ...node, inputs: node.inputs.map((name) => (name === tensor ? by : name)) };
  });
  return { ...graph, nodes };
}

function readsInside(node: Node, tensor: string): boolean {
  return tensorsRead({ ...node, inputs: [] }).includes(tensor);
}

function identity(graph: Graph, producer: Node, output: string, input: string): Node {
  if (producer.outputs.length > 1)
    throw expected('ERR_MODEL_UNSUPPORTED', 'a node with one output', `the writer of "${output}"`, producer.opType);
  const key = freshName(`${output}_by_passed`, new Set(graph.nodes.map((node) => node.key)));
  return { name: key, key, opType: 'Identity', domain: '', inputs: [input], outputs: [output], attributes: new Map() };
}

/** Operators that change nothing when they are applied a second time. */
const IDEMPOTENT = new Set(['Relu', 'Clip']);

/**
 * After readers of `tensor` were made to read `by`: an activation may now follow an equal one (the ReLU behind a residual
 * block that went, and the ReLU of the block before). The second is left out.
 */
export function withoutRepeats(
  before: Graph,
  after: Graph,
  { tensor, by }: { readonly tensor: string; readonly by: string },
): Graph {
  const first = graphIndex(after).producers.get(by);
  const readers = graphIndex(before).consumers.get(tensor) ?? [];
  if (first === undefined || !IDEMPOTENT.has(first.opType)) return after;
  return readers
    .filter((reader) => isSameOperation(first, reader))
    .reduce((graph, { outputs: [output = ''] }) => replaceTensor(graph, output, by), after);
}

function isSameOperation(first: Node, second: Node): boolean {
  if (first.domain !== second.domain || first.opType !== second.opType) return false;
  const parameters = ({ inputs, attributes }: Node): string =>
    JSON.stringify([inputs.slice(1), [...attributes].sort()]);
  return parameters(first) === parameters(second);
}
