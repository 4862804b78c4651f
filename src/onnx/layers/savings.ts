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
 * What a graph has less than the one it was made from: nodes, and channels that nodes which stay lose. A learned tensor
 * that several nodes share counts once, or once for each way in which it is cut.
 */
export function savingsOf(before: Graph, { graph: after, kept }: Outline, costs: NodeCosts): Savings {
  const alive = new Set(after.nodes.map(({ key }) => key));
  const nodes: string[] = [];
  const [had, left] = [new Map<string, number>(), new Map<string, number>()];
  let macs = 0;
  for (const node of before.nodes) {
    const cost = costs.macs.get(node.key) ?? 0;
    const learned = costs.learned.get(node.key) ?? [];
    for (const { name, count } of learned) had.set(name, count);
    if (!alive.has(node.key)) {
      nodes.push(node.key);
      macs += cost;
      continue;
    }
    const share = shareLeft(node, kept, costs.shapes);
    macs += cost * (1 - share.weights);
    for (const [index, { name, count }] of learned.entries()) {
      const part = index === 0 ? share.weights : share.outputs;
      left.set(`${part} ${name}`, Math.round(count * part));
    }
  }
  return { nodes, parameters: sum(had) - sum(left), macs };
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((total, count) => total + count, 0);
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
