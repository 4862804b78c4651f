import type { LayerEdit, RemovableLayer } from '../layers/types';
import { graphIndex } from '../graphIndex';
import type { Graph, Model, Node } from '../ir';
import type { ShapeMap } from '../shapes';
import { isSameShape } from '../layers/dataFlow';
import { newNames, newNode, requireHead, type NewNames, type SizedHead } from './attachHead';
import { maskSlots } from './maskChannels';
import { lookUp, type RemovalOptions } from './removeLayer';

/** Where takes any element type from operator set 9 on; before, zeros come from a product. */
const FIRST_OPSET_WITH_WHERE = 9;

/**
 * The reference that a graph without a layer must equal: the ORIGINAL graph, all its nodes there, with the layer silenced
 * by nodes that are put in. What it computes is set to zero (channels of a Concat right where each node writes them, as
 * `maskChannels` does), and what takes its place is added.
 *
 * @throws as `removeLayer` does
 */
export function bypassLayer(model: Model, { id }: Pick<RemovableLayer, 'id'>, options: RemovalOptions = {}): Model {
  const { edit, layer, found } = lookUp(model, id, options);
  if (edit.kind === 'channels') return maskSlots(model, found.channels, edit.removed);
  if (edit.kind === 'replace') return { ...model, graph: bypassRegion(model, edit) };
  const head = options.head && requireHead(options.head, layer);
  return { ...model, graph: head ? bypassByHead(model, edit, head) : bypassTail(model, edit, found.shapes) };
}

type Replacement = Extract<LayerEdit, { kind: 'replace' }>;
type Tail = Extract<LayerEdit, { kind: 'tail' }>;

function bypassRegion(model: Model, { tensor, by, silenced }: Replacement): Graph {
  const { graph } = model;
  const names = newNames(graph, silenced);
  if (silenced === tensor) return withSum(model, tensor, by, [], names);
  // A residual branch: the join itself adds the shortcut to zeros.
  const { output, nodes } = silence(model, silenced, names);
  const after = graph.nodes.flatMap((node) => {
    if (!node.outputs.includes(tensor)) return [node];
    return [...nodes, { ...node, inputs: node.inputs.map((name) => (name === silenced ? output : name)) }];
  });
  return withConstants({ ...graph, nodes: after }, names);
}

function bypassTail(model: Model, { tensor, headInput }: Tail, shapes: ShapeMap): Graph {
  const { graph } = model;
  if (isSameShape(shapes.get(tensor), shapes.get(headInput)))
    return withSum(model, headInput, tensor, [], newNames(graph, headInput));
  // The height and width differ: what pools them away does so for both, and the sum follows it.
  const pools = graphIndex(graph).consumers.get(headInput) ?? [];
  return pools.reduce((current, pool) => {
    const names = newNames(current, headInput);
    const [output = ''] = pool.outputs;
    const pooled = names.name(`${output}_of_rest`);
    const copy = { ...pool, inputs: [tensor, ...pool.inputs.slice(1)], outputs: [pooled], key: pooled, name: pooled };
    return withSum({ ...model, graph: current }, output, pooled, [copy], names);
  }, graph);
}

/** The new head as plain arithmetic: a mean, a matrix product and a sum. */
function bypassByHead(model: Model, { tensor, logits }: Tail, head: SizedHead): Graph {
  const names = newNames(model.graph, tensor);
  const transposed = Float32Array.from({ length: head.weight.length }, (_, at) => {
    const [input, output] = [Math.floor(at / head.outputs), at % head.outputs];
    return head.weight[output * head.inputs + input] ?? 0;
  });
  const weight = names.add('bypass_weight', [head.inputs, head.outputs], transposed);
  const bias = names.add('bypass_bias', [head.outputs], head.bias);
  const [pooled, flat, product, scores] = ['pooled', 'flat', 'product', 'scores'].map((part) =>
    names.name(`bypass_${part}`),
  ) as [string, string, string, string];
  const nodes = [
    newNode('GlobalAveragePool', [tensor], pooled),
    newNode('Flatten', [pooled], flat, { axis: 1 }),
    newNode('MatMul', [flat, weight], product),
    newNode('Add', [product, bias], scores),
  ];
  return withSum(model, logits, scores, nodes, names);
}

/** `tensor` becomes zero times what it was plus `by`; `nodes` compute that, and stand right before. */
function withSum(model: Model, tensor: string, by: string, nodes: readonly Node[], names: NewNames): Graph {
  const { graph } = model;
  const original = names.name(`${tensor}_original`);
  const silenced = silence(model, original, names);
  const sum = { ...newNode('Add', [silenced.output, by], tensor), key: names.name(`${tensor}_bypass`), name: '' };
  const after = graph.nodes.flatMap((node) => {
    if (!node.outputs.includes(tensor)) return [node];
    const renamed = { ...node, outputs: node.outputs.map((name) => (name === tensor ? original : name)) };
    return [renamed, ...silenced.nodes, ...nodes, sum];
  });
  return withConstants({ ...graph, nodes: after }, names);
}

function silence(
  model: Model,
  tensor: string,
  names: NewNames,
): { readonly output: string; readonly nodes: readonly Node[] } {
  const output = names.name(`${tensor}_silenced`);
  const zero = names.add(`${tensor}_zero`, [], [0]);
  if ((model.opsets.get('') ?? 0) < FIRST_OPSET_WITH_WHERE)
    return { output, nodes: [newNode('Mul', [tensor, zero], output)] };
  // A product with zero would keep what is not finite: a condition that never holds does not.
  const never = names.addFlag(`${tensor}_never`, false);
  return { output, nodes: [newNode('Where', [never, tensor, zero], output)] };
}

function withConstants(graph: Graph, names: NewNames): Graph {
  return { ...graph, initializers: new Map([...graph.initializers, ...names.constants]) };
}
