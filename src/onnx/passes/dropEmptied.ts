import type { KeptPositions } from '../channels/rule';
import { tensorsRead } from '../graphIndex';
import type { Graph, Node } from '../ir';
import { removeNewlyDead } from './removeNewlyDead';
import { replaceTensor } from './replaceTensor';

/** Tensors of which no channel is left. */
export function emptiedTensors(kept: ReadonlyMap<string, KeptPositions>): ReadonlySet<string> {
  return new Set([...kept].filter(([, { positions }]) => positions.length === 0).map(([tensor]) => tensor));
}

/**
 * The graph without what writes the emptied tensors, and without what only these needed. A Concat goes on with the
 * operands that are left. `starved` is a node that would still be there and still read an emptied tensor: then the
 * graph is not valid.
 */
export function dropEmptied(
  graph: Graph,
  emptied: ReadonlySet<string>,
): { readonly graph: Graph; readonly starved: Node | undefined } {
  if (emptied.size === 0) return { graph, starved: undefined };
  const nodes = graph.nodes.flatMap((node) => {
    if (node.outputs.every((name) => name === '' || emptied.has(name))) return [];
    if (node.domain !== '' || node.opType !== 'Concat') return [node];
    const inputs = node.inputs.filter((name) => !emptied.has(name));
    return [inputs.length === node.inputs.length ? node : { ...node, inputs }];
  });
  const left = removeNewlyDead(graph, { ...graph, nodes });
  const isEmptied = (name: string): boolean => emptied.has(name);
  const starved = left.nodes.find((node) => tensorsRead(node).some(isEmptied) || node.outputs.some(isEmptied));
  return { graph: left, starved };
}

/** A Concat that is left with one operand, where it had several before, is left out. */
export function withoutSingleConcats(before: Graph, after: Graph): Graph {
  const operandsBefore = new Map(before.nodes.map((node) => [node.key, node.inputs.length]));
  const single = after.nodes.filter(
    (node) =>
      node.domain === '' && node.opType === 'Concat' && node.inputs.length === 1 && operandsBefore.get(node.key) !== 1,
  );
  return single.reduce((graph, { key }) => {
    const node = graph.nodes.find((candidate) => candidate.key === key);
    const [tensor = ''] = node?.outputs ?? [];
    const [operand = ''] = node?.inputs ?? [];
    return removeNewlyDead(graph, replaceTensor(graph, tensor, operand));
  }, after);
}
