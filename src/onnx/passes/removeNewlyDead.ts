import { tensorsRead } from '../graphIndex';
import type { Graph, Node } from '../ir';

/**
 * `after` without the nodes, initializers and shape notes that `before` needed for its outputs and `after` needs no
 * more. What nobody needed in `before` stays as it was: it was not this change that made it useless.
 */
export function removeNewlyDead(before: Graph, after: Graph): Graph {
  const needed = neededTensors(after);
  const orphaned = new Set([...neededTensors(before)].filter((name) => !needed.has(name)));
  if (orphaned.size === 0) return after;
  const isDead = (node: Node) =>
    node.outputs.some((name) => orphaned.has(name)) && !node.outputs.some((name) => needed.has(name));
  return {
    ...after,
    nodes: after.nodes.filter((node) => !isDead(node)),
    initializers: new Map([...after.initializers].filter(([name]) => !orphaned.has(name))),
    valueInfo: new Map([...after.valueInfo].filter(([name]) => !orphaned.has(name))),
  };
}

/** Tensors that the graph's outputs depend on, those that subgraphs read included. */
function neededTensors(graph: Graph): Set<string> {
  const needed = new Set(graph.outputs.map((info) => info.name));
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    for (const name of tensorsRead(node)) needed.add(name);
  }
  return needed;
}
