import { LINEAR_OPERATORS } from '../channels/rules';
import { graphIndex, tensorsRead } from '../graphIndex';
import type { Graph, Node, Shape } from '../ir';

/** How values flow from the inputs of a graph: constants are no part of it, and neither are sizes (`Shape`, `Size`). */
export interface DataFlow {
  /** Whether a tensor's values depend on those of an input. */
  readonly varies: (tensor: string) => boolean;
  /** The tensors a node reads that vary, each once. */
  readonly operands: (node: Node) => readonly string[];
  /**
   * The last tensor before `tensor` through which everything flows that it depends on: the entry of the smallest region
   * with a single entry that ends in `tensor`. undefined for an input, and where there is no such tensor.
   */
  readonly entryOf: (tensor: string) => string | undefined;
  /** The tensors whose `entryOf` is this one, in topological order. */
  readonly exitsOf: (tensor: string) => readonly string[];
  /** Whether `tensor` is `source` or computed from it. */
  readonly dependsOn: (tensor: string, source: string) => boolean;
  /** The nodes on the way from `entry` to `tensor`, the one that writes it included, in topological order. */
  readonly between: (entry: string, tensor: string) => readonly Node[];
}

/** Takes time linear in the graph, times its depth in nested regions; a query takes time linear in what it walks. */
export function analyzeDataFlow(graph: Graph): DataFlow {
  const { producers } = graphIndex(graph);
  const parents = new Map<string, string | undefined>(graph.inputs.map(({ name }) => [name, undefined]));
  const depths = new Map<string, number>(graph.inputs.map(({ name }) => [name, 1]));
  const exits = new Map<string, string[]>();
  const varies = (tensor: string): boolean => depths.has(tensor);
  const operands = (node: Node): readonly string[] => tensorsRead(node).filter(varies);

  const commonEntry = (first: string | undefined, second: string | undefined): string | undefined => {
    let [left, right] = [first, second];
    while (left !== right) {
      if (left === undefined || right === undefined) return undefined;
      if ((depths.get(left) ?? 0) >= (depths.get(right) ?? 0)) left = parents.get(left);
      else right = parents.get(right);
    }
    return left;
  };
  for (const node of graph.nodes) {
    const read = operands(node);
    if (read.length === 0 || isSizeOnly(node)) continue;
    const entry = read.reduce<string | undefined>(commonEntry, read[0]);
    for (const output of node.outputs) {
      if (output === '') continue;
      parents.set(output, entry);
      depths.set(output, (entry === undefined ? 0 : (depths.get(entry) ?? 0)) + 1);
      if (entry !== undefined) exits.set(entry, [...(exits.get(entry) ?? []), output]);
    }
  }

  /** The tensors that `tensor` depends on, itself included; nothing before `entry`. */
  const ancestors = (tensor: string, entry?: string): Set<string> => {
    const seen = new Set([tensor]);
    const open = [tensor];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      const node = name === entry ? undefined : producers.get(name);
      for (const read of node === undefined ? [] : operands(node))
        if (!seen.has(read)) {
          seen.add(read);
          open.push(read);
        }
    }
    return seen;
  };
  const known = new Map<string, ReadonlySet<string>>();
  return {
    varies,
    operands,
    entryOf: (tensor) => parents.get(tensor),
    exitsOf: (tensor) => exits.get(tensor) ?? [],
    dependsOn(tensor, source) {
      const found = known.get(tensor) ?? ancestors(tensor);
      known.set(tensor, found);
      return found.has(source);
    },
    between(entry, tensor) {
      const within = ancestors(tensor, entry);
      within.delete(entry);
      return graph.nodes.filter((node) => node.outputs.some((name) => within.has(name)));
    },
  };
}

function isSizeOnly(node: Node): boolean {
  return node.domain === '' && (node.opType === 'Shape' || node.opType === 'Size');
}

/** What a layer with weights (Conv, Gemm … with one constant operand) reads; undefined for any other node. */
export function linearInput(node: Node, flow: DataFlow): string | undefined {
  if (node.domain !== '' || !LINEAR_OPERATORS.has(node.opType)) return undefined;
  const [first = '', second = ''] = node.inputs;
  if (flow.varies(first) === flow.varies(second)) return undefined;
  return flow.varies(first) ? first : second;
}

export function isLinearLayer(node: Node, flow: DataFlow): boolean {
  return linearInput(node, flow) !== undefined;
}

/** Whether two shapes are known and the same; a symbolic size is the same as itself. */
export function isSameShape(left: Shape, right: Shape): boolean {
  if (left === undefined || left.length !== right?.length) return false;
  return left.every((dimension, axis) => dimension !== undefined && dimension === right[axis]);
}

export function describeShape(shape: Shape): string {
  if (shape === undefined) return 'an unknown shape';
  return `[${shape.map((dimension) => dimension ?? '?').join(', ')}]`;
}
