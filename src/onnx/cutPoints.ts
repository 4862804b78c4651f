import type { Graph, Node } from './ir';

/** Operators that keep every value: their output separates the classes exactly as their input does. */
const VALUE_PRESERVING = new Set(['Identity', 'Dropout', 'Flatten', 'Reshape', 'Squeeze', 'Unsqueeze', 'Cast']);

/** Operators that belong to the layer whose output they finish: normalisation, activation, scale and shift. */
export const FINISHING: ReadonlySet<string> = new Set([
  ...['BatchNormalization', 'InstanceNormalization', 'GroupNormalization', 'LayerNormalization', 'LRN'],
  ...['Relu', 'LeakyRelu', 'PRelu', 'Elu', 'Selu', 'Celu', 'Sigmoid', 'HardSigmoid', 'HardSwish', 'Tanh', 'Clip'],
  ...['Softplus', 'Softsign', 'ThresholdedRelu', 'Gelu', 'Mish', 'Erf', 'Sqrt', 'Exp', 'Pow', 'Neg', 'Abs'],
  ...['Add', 'Sub', 'Mul', 'Div', 'Min', 'Max'],
]);

/**
 * The tensors through which ALL information from `input` to `output` flows: block outputs, where a network can be
 * cut in two. Within one layer (Conv → BatchNormalization → Relu) only the last tensor counts, and a tensor that
 * merely rearranges the one before it does not count at all.
 *
 * @returns names in topological order; the first is `input`, the last `output`. Linear in the size of the graph.
 */
export function findCutPoints(graph: Graph, input: string, output: string): string[] {
  const path = nodesBetween(graph, input, output);
  const remainingReaders = new Map<string, number>();
  for (const node of path)
    for (const name of node.inputs) remainingReaders.set(name, (remainingReaders.get(name) ?? 0) + 1);
  const onPath = new Set([input, ...path.flatMap((node) => node.outputs)]);

  const points = [input];
  const live = new Set([input]);
  let segment: Node[] = [];
  for (const node of path) {
    segment.push(node);
    for (const name of node.inputs) {
      const left = (remainingReaders.get(name) ?? 0) - 1;
      remainingReaders.set(name, left);
      if (left === 0) live.delete(name);
    }
    for (const name of node.outputs)
      if (onPath.has(name) && (remainingReaders.get(name) || name === output)) live.add(name);
    const only = live.size === 1 ? [...live][0] : undefined;
    if (only === undefined || only === points[points.length - 1]) continue;
    const preserved = segment.every((member) => VALUE_PRESERVING.has(member.opType));
    const finished = segment.every((member) => FINISHING.has(member.opType) || VALUE_PRESERVING.has(member.opType));
    if (preserved && only !== output) {
      segment = [];
      continue;
    }
    if (finished && points.length > 1) points.pop();
    points.push(only);
    segment = [];
  }
  return points;
}

/** Nodes that lie on some path from `input` to `output`, in topological order. */
function nodesBetween(graph: Graph, input: string, output: string): Node[] {
  const reached = new Set([input]);
  const downstream: Node[] = [];
  for (const node of graph.nodes) {
    if (!node.inputs.some((name) => reached.has(name))) continue;
    downstream.push(node);
    for (const name of node.outputs) if (name !== '') reached.add(name);
  }
  const needed = new Set([output]);
  const path: Node[] = [];
  for (const node of downstream.reverse()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    path.push(node);
    for (const name of node.inputs) needed.add(name);
  }
  return path.reverse();
}
