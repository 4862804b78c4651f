import { neededTensors, tensorsRead } from '../graphIndex';
import type { Graph, Node } from '../ir';

/** Of graphs that are changed again and again: each search for a budget cuts one original dozens of times. */
const neededBefore = new WeakMap<Graph, ReadonlySet<string>>();

function neededOf(before: Graph): ReadonlySet<string> {
  const needed = neededBefore.get(before) ?? neededTensors(before);
  neededBefore.set(before, needed);
  return needed;
}

/**
 * `after` without the nodes, initializers and shape notes that `before` needed for its outputs and `after` needs no
 * more. What nobody needed in `before` stays as it was, as it was not this change that made it useless; except for nodes
 * that read what is gone.
 */
export function removeNewlyDead(before: Graph, after: Graph): Graph {
  const needed = neededTensors(after);
  const orphaned = new Set([...neededOf(before)].filter((name) => !needed.has(name)));
  if (orphaned.size === 0) return after;
  const gone = new Set<string>();
  const nodes: Node[] = [];
  const dropped: Node[] = [];
  for (const node of after.nodes) {
    const isOrphaned = node.outputs.some((name) => orphaned.has(name));
    const readsGone = tensorsRead(node).some((name) => gone.has(name));
    const isDead = (isOrphaned || readsGone) && !node.outputs.some((name) => needed.has(name));
    (isDead ? dropped : nodes).push(node);
    if (isDead) for (const name of node.outputs) gone.add(name);
  }
  const read = new Set(nodes.flatMap(tensorsRead));
  const readByDropped = new Set(dropped.flatMap(tensorsRead));
  const stays = (name: string): boolean => read.has(name) || !(orphaned.has(name) || readByDropped.has(name));
  return {
    ...after,
    nodes,
    initializers: new Map([...after.initializers].filter(([name]) => stays(name))),
    valueInfo: new Map([...after.valueInfo].filter(([name]) => !gone.has(name) && !orphaned.has(name))),
  };
}
