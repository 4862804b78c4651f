import type { Graph, Node } from './ir';

const NONE: readonly string[] = [];

/** Tensors of the surrounding graphs that a node's subgraphs read; a name may come more than once. */
export function subgraphReferences(node: Node): readonly string[] {
  let references = NONE;
  for (const attribute of node.attributes.values()) {
    if (attribute.kind === 'opaque') references = [...references, ...attribute.references];
    if (attribute.kind === 'graph') references = [...references, ...outerReferences(attribute.value)];
  }
  return references;
}

/** Names that a graph reads and does not define itself. */
function outerReferences({ inputs, initializers, nodes, outputs }: Graph): string[] {
  const own = new Set([
    ...inputs.map(({ name }) => name),
    ...initializers.keys(),
    ...nodes.flatMap((node) => node.outputs),
  ]);
  const read = [
    ...nodes.flatMap((node) => [...node.inputs, ...subgraphReferences(node)]),
    ...outputs.map(({ name }) => name),
  ];
  return [...new Set(read)].filter((name) => name !== '' && !own.has(name));
}
