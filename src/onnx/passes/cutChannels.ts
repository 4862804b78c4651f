import { expected } from '../../errors';
import type { ChannelMask } from '../../types';
import { factsOf } from '../channels/facts';
import { keptByMask, keptPositions, type RemovedSlots } from '../channels/mask';
import type { CutContext, GraphFacts, KeptPositions } from '../channels/rule';
import { ruleOf } from '../channels/rules';
import { isSizeArithmetic } from '../channels/sizes';
import type { ChannelAnalysis } from '../channels/types';
import { freshName, takenNames } from '../graphIndex';
import type { Graph, Model, Tensor, ValueInfo } from '../ir';
import { describeSelections, selectPositions } from '../selectPositions';
import { int64Tensor } from '../tensor';
import { dropEmptied, emptiedTensors, withoutSingleConcats } from './dropEmptied';
import { removeNewlyDead } from './removeNewlyDead';

/** A constant that takes the place of another one at some nodes. */
interface Replacement {
  readonly instead: string;
  readonly tensor: Tensor;
}

/**
 * Removes channels: the positions that `mask` names, in every tensor of their groups, with the weights that made
 * and read them. The result computes what `maskChannels` computes, in smaller tensors.
 *
 * A constant that several nodes read and that is cut differently for them (or not at all for some) is copied, so
 * that each node has its own; otherwise names stay. Nodes that only computed a size which is a constant now are
 * left out. An empty mask gives the same model.
 *
 * @throws ERR_OPTION as `resolveMask` does
 */
export function cutChannels(model: Model, analysis: ChannelAnalysis, mask: ChannelMask): Model {
  return cutKept(model, keptByMask(analysis, mask));
}

/**
 * The same for slots of groups. A tensor may lose all its channels where only such tensors and Concats read it: what
 * writes it goes then, and the Concat goes on with its other operands.
 *
 * @throws ERR_OPTION where a node would have nothing left to read
 */
export function cutSlots(model: Model, analysis: ChannelAnalysis, removed: RemovedSlots): Model {
  return cutKept(model, keptPositions(analysis, removed));
}

function cutKept(model: Model, kept: ReadonlyMap<string, KeptPositions>): Model {
  if (kept.size === 0) return model;
  const { graph, starved } = dropEmptied(model.graph, emptiedTensors(kept));
  if (starved !== undefined)
    throw expected('ERR_OPTION', 'something left to read', `${starved.opType} "${starved.key}"`, 'no channels', {
      remedy: 'Keep a channel of every tensor that it reads.',
    });
  const facts = factsOf(model);
  const replacements = new Map<string, Replacement>();
  const context = cutContext(facts, kept, replacements);
  const affected = affectedTensors(graph, kept);
  const isAffected = (name: string) => affected.has(name);
  const nodes = graph.nodes.map((node) => {
    if (!node.inputs.some(isAffected) && !node.outputs.some(isAffected)) return node;
    return ruleOf(node)?.cut?.(node, context) ?? node;
  });
  const cut = removeNewlyDead(model.graph, { ...graph, nodes });
  const written = withReplacements(withValueInfo(cut, kept), replacements);
  return { ...model, graph: withoutSingleConcats(model.graph, written) };
}

/** Tensors that are cut, and sizes computed from such. */
function affectedTensors(graph: Graph, kept: ReadonlyMap<string, KeptPositions>): Set<string> {
  const affected = new Set(kept.keys());
  for (const node of graph.nodes)
    if ((node.opType === 'Shape' && node.domain === '') || isSizeArithmetic(node))
      if (node.inputs.some((name) => affected.has(name))) for (const name of node.outputs) affected.add(name);
  return affected;
}

function cutContext(
  facts: GraphFacts,
  kept: ReadonlyMap<string, KeptPositions>,
  replacements: Map<string, Replacement>,
): CutContext {
  const replace = (instead: string, detail: string, build: () => Tensor) => {
    const standIn = `${instead}\0${detail}`;
    if (!replacements.has(standIn)) replacements.set(standIn, { instead, tensor: build() });
    return standIn;
  };
  return {
    ...facts,
    kept: (tensor) => (tensor === undefined ? undefined : kept.get(tensor)),
    slice: (constant, selections) =>
      replace(constant, describeSelections(selections), () =>
        selectPositions(requireConstant(facts.constant(constant)), selections),
      ),
    integersAs: (instead, values) =>
      replace(instead, JSON.stringify(values), () => int64Tensor(instead, [values.length], values)),
  };
}

function requireConstant(tensor: Tensor | undefined): Tensor {
  if (tensor === undefined) throw new TypeError('only constants can be sliced');
  return tensor;
}

/** The name of what is replaced goes to its first replacement, unless the original is still read. */
function withReplacements(graph: Graph, replacements: ReadonlyMap<string, Replacement>): Graph {
  const taken = takenNames(graph);
  const names = new Map<string, string>();
  const initializers = new Map(graph.initializers);
  for (const [standIn, { instead, tensor }] of replacements) {
    const name = freshName(instead, taken);
    names.set(standIn, name);
    initializers.set(name, { ...tensor, name });
  }
  const nodes = graph.nodes.map((node) =>
    node.inputs.some((name) => names.has(name))
      ? { ...node, inputs: node.inputs.map((name) => names.get(name) ?? name) }
      : node,
  );
  return { ...graph, nodes, initializers };
}

function withValueInfo(graph: Graph, kept: ReadonlyMap<string, KeptPositions>): Graph {
  const update = (info: ValueInfo): ValueInfo => {
    const left = kept.get(info.name);
    if (left === undefined) return info;
    return {
      ...info,
      shape: info.shape?.map((dimension, axis) => (axis === left.axis ? left.positions.length : dimension)),
    };
  };
  const valueInfo = new Map([...graph.valueInfo].map(([name, info]) => [name, update(info)]));
  return { ...graph, valueInfo };
}
