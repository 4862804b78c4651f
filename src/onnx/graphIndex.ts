import type { Graph, Node } from './ir';
import { subgraphReferences } from './subgraphs';

export interface GraphIndex {
  /** The node that writes a tensor. Inputs and initializers have none. */
  readonly producers: ReadonlyMap<string, Node>;
  /** The nodes that read a tensor, in graph order, each once; readers inside a node's subgraph count as that node. */
  readonly consumers: ReadonlyMap<string, readonly Node[]>;
  readonly nodesByKey: ReadonlyMap<string, Node>;
  /** Names of the graph's outputs. */
  readonly outputs: ReadonlySet<string>;
}

const indexes = new WeakMap<Graph, GraphIndex>();

/** Who writes and who reads what. Graphs are immutable, so the answer is computed once and kept with the graph. */
export function graphIndex(graph: Graph): GraphIndex {
  const known = indexes.get(graph);
  if (known !== undefined) return known;
  const index = buildIndex(graph);
  indexes.set(graph, index);
  return index;
}

function buildIndex(graph: Graph): GraphIndex {
  const producers = new Map<string, Node>();
  const consumers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const output of node.outputs) if (output !== '') producers.set(output, node);
    for (const name of tensorsRead(node)) {
      const readers = consumers.get(name);
      if (readers === undefined) consumers.set(name, [node]);
      else readers.push(node);
    }
  }
  return {
    producers,
    consumers,
    nodesByKey: new Map(graph.nodes.map((node) => [node.key, node])),
    outputs: new Set(graph.outputs.map((output) => output.name)),
  };
}

/** Names of all tensors a node reads, also from within its subgraphs; each once, without left-out inputs. */
export function tensorsRead(node: Node): readonly string[] {
  const { inputs } = node;
  const references = subgraphReferences(node);
  const isPlain = references.length === 0 && inputs.every((name, at) => name !== '' && inputs.indexOf(name) === at);
  if (isPlain) return inputs;
  const names = new Set([...inputs, ...references]);
  names.delete('');
  return [...names];
}

/** Tensors that the graph's outputs depend on, those that subgraphs read included. */
export function neededTensors(graph: Graph): ReadonlySet<string> {
  const needed = new Set(graph.outputs.map((info) => info.name));
  for (let at = graph.nodes.length - 1; at >= 0; at--) {
    const node = graph.nodes[at];
    if (node?.outputs.some((name) => needed.has(name)) !== true) continue;
    for (const name of tensorsRead(node)) needed.add(name);
  }
  return needed;
}

/** Every name that is taken in the graph, so that a new tensor can avoid them. */
export function takenNames(graph: Graph): Set<string> {
  const names = new Set<string>([
    ...graph.initializers.keys(),
    ...graph.valueInfo.keys(),
    ...graph.inputs.map((input) => input.name),
    ...graph.outputs.map((output) => output.name),
  ]);
  for (const node of graph.nodes) {
    for (const name of tensorsRead(node)) names.add(name);
    for (const name of node.outputs) names.add(name);
  }
  return names;
}

/** `wanted`, or `wanted_2`, `wanted_3` … where it is taken; the result is added to `taken`. */
export function freshName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let suffix = 2; taken.has(name); suffix += 1) name = `${wanted}_${suffix}`;
  taken.add(name);
  return name;
}
