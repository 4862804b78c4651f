import { intAttribute } from '../attributes';
import type { KeptPositions } from '../channels/rule';
import { LINEAR_OPERATORS } from '../channels/rules';
import { measureLayers } from '../cost';
import type { Graph, Model, Node } from '../ir';
import type { Parameter } from '../parameterRoles';
import type { ShapeMap } from '../shapes';
import type { Outline } from './types';

export interface Savings {
  readonly nodes: readonly string[];
  readonly parameters: number;
  readonly macs: number;
}

/** What the nodes of a graph cost, for one sample. */
export interface NodeCosts {
  readonly learned: ReadonlyMap<string, readonly Parameter[]>;
  readonly macs: ReadonlyMap<string, number>;
  readonly shapes: ShapeMap;
}

export function nodeCosts(model: Model, shapes: ShapeMap): NodeCosts {
  const { layers, learned } = measureLayers(model, shapes);
  return { learned, macs: new Map(layers.map(({ name, macs }) => [name, macs])), shapes };
}

/**
 * What a graph has less than the one it was made from: nodes, and channels (`kept`) that nodes which stay lose. Learned
 * values that a node which stays shares do not go.
 */
export function savingsOf(before: Graph, { graph: after, kept }: Outline, costs: NodeCosts): Savings {
  const alive = new Set(after.nodes.map(({ key }) => key));
  const gone = before.nodes.filter(({ key }) => !alive.has(key));
  const counted = new Set(after.nodes.flatMap(({ key }) => (costs.learned.get(key) ?? []).map(({ name }) => name)));
  const fresh = (node: Node): readonly Parameter[] =>
    (costs.learned.get(node.key) ?? []).filter(({ name }) => !counted.has(name) && counted.add(name));
  let parameters = gone.flatMap(fresh).reduce((sum, { count }) => sum + count, 0);
  let macs = gone.reduce((sum, { key }) => sum + (costs.macs.get(key) ?? 0), 0);
  if (kept.size > 0)
    for (const node of before.nodes) {
      if (!alive.has(node.key)) continue;
      const left = shareLeft(node, kept, costs.shapes);
      for (const [index, { count }] of (costs.learned.get(node.key) ?? []).entries())
        parameters += Math.round(count * (1 - (index === 0 ? left.weights : left.outputs)));
      macs += (costs.macs.get(node.key) ?? 0) * (1 - left.weights);
    }
  return { nodes: gone.map(({ key }) => key), parameters, macs };
}

/** Which part of its weights (the first of its learned values), and of everything by output channel, a node keeps. */
function shareLeft(
  node: Node,
  kept: ReadonlyMap<string, KeptPositions>,
  shapes: ShapeMap,
): { readonly weights: number; readonly outputs: number } {
  const share = (tensor = ''): number => {
    const left = kept.get(tensor);
    return left === undefined ? 1 : left.positions.length / left.size;
  };
  const outputs = share(node.outputs[0]);
  if (!LINEAR_OPERATORS.has(node.opType)) return { weights: outputs, outputs };
  const inputsPerGroup = Number(shapes.get(node.inputs[1] ?? '')?.[1] ?? 1);
  // Whole groups go where there are more of them than channels in one: then a filter stays as it is.
  const losesWholeGroups = intAttribute(node, 'group', 1) > inputsPerGroup;
  return { weights: losesWholeGroups ? outputs : share(node.inputs[0]) * share(node.inputs[1]) * outputs, outputs };
}
