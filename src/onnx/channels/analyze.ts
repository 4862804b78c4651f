import type { ShapeMap } from '../shapes';
import type { Dimension, Model, Node } from '../ir';
import { subgraphReferences } from '../subgraphs';
import { createFacts } from './facts';
import { collectGroups } from './groups';
import type { LinearUse } from './groups';
import type { FlowContext, GraphFacts } from './rule';
import { LINEAR_OPERATORS, ruleOf } from './rules';
import type { SizeLabel } from './sizes';
import { isSizeArithmetic, labelOfArithmetic, labelOfShape } from './sizes';
import type { ChannelLabel, PlacedLabel, SlotForest } from './slots';
import { createSlotForest, FIXED } from './slots';
import type { ChannelAnalysis } from './types';

/** What one walk over the graph finds out; tensors in the order in which they are defined. */
interface Walk {
  readonly forest: SlotForest;
  readonly labels: Map<string, PlacedLabel>;
  readonly sizes: Map<string, SizeLabel>;
  readonly uses: LinearUse[];
}

/**
 * Finds the channel groups of a graph: which channels of which tensors can only be removed together, which layers
 * make them and which read them. A layer's outputs start as slots of their own; each operator's rule says where
 * they go. What no rule describes, or a rule refuses, freezes the slots that reach it, and so do graph outputs and
 * tensors that a subgraph reads; the reason names the node.
 *
 * Runs in time linear in the nodes and in the channels of all tensors.
 */
export function analyzeChannels(model: Model, shapes: ShapeMap): ChannelAnalysis {
  const facts = createFacts(model, shapes);
  const walk: Walk = { forest: createSlotForest(), labels: new Map(), sizes: new Map(), uses: [] };
  for (const node of model.graph.nodes) visit(node, facts, walk);
  for (const output of model.graph.outputs) {
    const reason = `"${output.name}" is an output of the graph`;
    freezeTensor(output.name, reason, walk);
  }
  return collectGroups(model.graph, walk);
}

function visit(node: Node, facts: GraphFacts, walk: Walk): void {
  for (const name of subgraphReferences(node))
    freezeTensor(name, `${node.opType} "${node.key}" reads "${name}" inside a subgraph`, walk);

  const use: LinearUse | undefined = isLinear(node, facts)
    ? { node: node.key, produced: [], consumed: [], output: node.outputs[0] ?? '', refusal: undefined }
    : undefined;
  if (followShuffle(node, facts, walk)) return;
  const refusal = followSizes(node, facts, walk) ? undefined : followChannels(node, facts, walk, use);
  if (use !== undefined) walk.uses.push({ ...use, refusal });
}

/** A product of two computed tensors is no layer: it has no weights. */
function isLinear(node: Node, facts: GraphFacts): boolean {
  if (node.domain !== '' || !LINEAR_OPERATORS.has(node.opType)) return false;
  const [first = '', second = ''] = node.inputs;
  return (facts.constant(first) === undefined) !== (facts.constant(second) === undefined);
}

/**
 * The channels go from the source of a shuffle right to its result: a cut makes one Gather of the nodes, so what lies
 * between has none. The shapes they take are not needed then, but must not change without the source being cut.
 *
 * @returns true where the node was part of a shuffle of channels
 */
function followShuffle(node: Node, facts: GraphFacts, walk: Walk): boolean {
  const part = facts.shuffleOf(node);
  const label = part && walk.labels.get(part.shuffle.source);
  if (part === undefined || label === undefined) return false;
  const own = new Set(label.slots.map((slot) => walk.forest.root(slot)));
  const strangers = (walk.sizes.get(node.inputs[1] ?? '')?.slots ?? []).filter(
    (slot) => !own.has(walk.forest.root(slot)),
  );
  walk.forest.freeze(strangers, `${describe(node)} computes with their number`);
  const { axis, order } = part.shuffle;
  const slots = label.axis === axis ? order.map((position) => label.slots[position] ?? FIXED) : label.slots;
  if (part.isLast) walk.labels.set(node.outputs[0] ?? '', { ...label, slots });
  return true;
}

/** @returns true where the node only computes sizes, so that no channel flows through it. */
function followSizes(node: Node, facts: GraphFacts, walk: Walk): boolean {
  const { labels, sizes } = walk;
  if (node.opType === 'Shape' && node.domain === '') {
    const [input = ''] = node.inputs;
    const label = labels.get(input);
    if (label !== undefined) setOrDelete(sizes, node.outputs[0] ?? '', labelOfShape(node, label));
    return true;
  }
  const found = node.inputs.map((name) => sizes.get(name));
  if (found.every((label) => label === undefined)) return false;
  if (isSizeArithmetic(node) && node.inputs.every((name) => !labels.has(name))) {
    setOrDelete(sizes, node.outputs[0] ?? '', labelOfArithmetic(node, found, facts));
    return true;
  }
  const replaceable = labels.has(node.inputs[0] ?? '') ? (ruleOf(node)?.sizeInputs ?? []) : [];
  for (const [index, name] of node.inputs.entries())
    if (!replaceable.includes(index))
      walk.forest.freeze(sizes.get(name)?.slots ?? [], `${describe(node)} computes with their number`);
  return false;
}

/** @returns why the slots could not be followed. */
function followChannels(node: Node, facts: GraphFacts, walk: Walk, use: LinearUse | undefined): string | undefined {
  const rule = ruleOf(node);
  if (use === undefined && node.inputs.every((name) => !walk.labels.has(name))) return undefined;
  const written = new Map<string, ChannelLabel>();
  const fixedReason = `${describe(node)} joins them with channels that are fixed`;
  const context: FlowContext = {
    ...facts,
    label: (tensor) => walk.labels.get(tensor),
    countsChannels: (tensor) => walk.sizes.has(tensor),
    countedBy: (tensor) => walk.sizes.get(tensor)?.counts,
    sameSlots: (first, second) =>
      first.length === second.length &&
      first.every((slot, at) => walk.forest.root(slot) === walk.forest.root(second[at] ?? slot)),
    write(tensor, label) {
      if (tensor !== undefined && tensor !== '' && label !== undefined) written.set(tensor, label);
    },
    fresh: walk.forest.fresh,
    tie: (first, second) => walk.forest.tie(first, second, fixedReason),
    freeze: walk.forest.freeze,
    produces: (slots) => use?.produced.push(...slots),
    consumes: (slots) => use?.consumed.push(slots),
  };
  const refusal = rule === undefined ? 'is not known' : rule.flow(node, context);
  if (refusal === undefined) {
    for (const [tensor, label] of written) {
      const shape = facts.shapeOf(tensor);
      if (shape !== undefined && agrees(label, shape)) walk.labels.set(tensor, { ...label, rank: shape.length });
      else
        walk.forest.freeze(label.slots, `${describe(node)} writes "${tensor}", whose shape is not known well enough`);
    }
    return undefined;
  }
  const reason = `${describe(node)} ${refusal}`;
  for (const name of node.inputs) freezeTensor(name, reason, walk);
  return reason;
}

/** Rules and shape inference must come to the same number of channels: two witnesses against a wrong graph. */
function agrees(label: ChannelLabel, shape: readonly Dimension[]): boolean {
  return shape[label.axis] === label.slots.length;
}

function freezeTensor(tensor: string, reason: string, walk: Walk): void {
  walk.forest.freeze(walk.labels.get(tensor)?.slots ?? [], reason);
  walk.forest.freeze(walk.sizes.get(tensor)?.slots ?? [], reason);
}

function describe(node: Node): string {
  const domain = node.domain === '' ? '' : `${node.domain}.`;
  return `${domain}${node.opType} "${node.key}"`;
}

function setOrDelete<V>(map: Map<string, V>, key: string, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
