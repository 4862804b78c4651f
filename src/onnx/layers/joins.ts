import { intAttribute } from '../attributes';
import { keptPositions, type RemovedSlots } from '../channels/mask';
import { graphIndex } from '../graphIndex';
import type { Node } from '../ir';
import { normalizeAxis } from '../shapes/dimensions';
import { describeShape, isLinearLayer, isSameShape } from './dataFlow';
import type { GraphView } from './graphView';
import { outlineOfCut, outlineOfReplacement } from './outline';
import type { Candidate, Outline, Refusal, Removal, ReplaceEdit } from './types';

/** What a Concat along the channels joins: its branches, or the layers of a dense block. Each is listed once. */
export function joinedBranches(view: GraphView): Candidate[] {
  const { model, flow } = view;
  const { producers } = graphIndex(model.graph);
  const found = new Map<string, Candidate>();
  for (const node of model.graph.nodes) {
    const operands = joinedChannels(node, view);
    for (const operand of operands) {
      const name = producers.get(operand)?.key;
      if (name === undefined) continue;
      const isDense = operands.some((other) => other !== operand && flow.dependsOn(operand, other));
      const kind = isDense ? 'dense-layer' : 'branch';
      const known = found.get(name);
      // One tensor may be joined several times; that it is a layer of a dense block shows where its source is joined too.
      if (known === undefined || (known.kind === 'branch' && isDense))
        found.set(name, { kind, name, ...removalOf(operand, view) });
    }
  }
  return [...found.values()];
}

/** The operands of a Concat along the channel axis that vary; none for any other node. */
function joinedChannels(node: Node, { flow, shapes, membersOf }: GraphView): readonly string[] {
  if (node.domain !== '' || node.opType !== 'Concat' || node.inputs.length < 2) return [];
  const [output = ''] = node.outputs;
  const axis = normalizeAxis(intAttribute(node, 'axis') ?? 1, shapes.get(output)?.length ?? 0);
  const isChannelAxis = membersOf(output).some(({ member }) => member.axis === axis);
  return isChannelAxis ? flow.operands(node) : [];
}

function removalOf(tensor: string, view: GraphView): Removal | Refusal {
  const removed = slotsOf(tensor, view);
  if ('reason' in removed) return removed;
  const outline = outlineOfCut(view.model.graph, keptPositions(view.channels, removed.slots));
  if ('reason' in outline) return outline;
  const others = layersThatLoseChannels(outline, view);
  return {
    edit: { kind: 'channels', removed: removed.slots },
    outline,
    ...(others.length === 0
      ? {}
      : { detail: others.map((key) => `+${key}`).join(''), remark: `takes channels of ${others.join(', ')} along` }),
  };
}

/** Layers that stay but make some of the channels that go: an Add has tied them to the branch. */
function layersThatLoseChannels({ graph, kept }: Outline, { flow }: GraphView): string[] {
  return graph.nodes
    .filter((node) => kept.has(node.outputs[0] ?? '') && isLinearLayer(node, flow))
    .map(({ key }) => key);
}

/** All slots that a tensor shows, where each of them can go. */
function slotsOf(tensor: string, { membersOf }: GraphView): { readonly slots: RemovedSlots } | Refusal {
  const members = membersOf(tensor);
  const extent = members[0]?.member.slots.length ?? 0;
  const slots = new Map<string, readonly number[]>();
  let followed = 0;
  for (const { group, member } of members) {
    if (!group.prunable) return { reason: group.reason ?? 'its channels can not be cut' };
    const shown = member.slots.filter((slot) => slot >= 0);
    followed += shown.length;
    slots.set(
      group.id,
      [...new Set(shown)].sort((left, right) => left - right),
    );
  }
  if (followed === 0 || followed < extent) return { reason: 'it holds channels that no layer makes, which stay' };
  return { slots };
}

/**
 * Modules of parallel branches: everything from one tensor to a Concat that gives the same shape. Where the tensor at
 * which the branches start has another shape, the ones before it are tried, back to the join before.
 */
export function modules(view: GraphView): Candidate[] {
  const { model, flow, shapes } = view;
  const { producers } = graphIndex(model.graph);
  return model.graph.nodes.flatMap((node): Candidate[] => {
    const operands = joinedChannels(node, view);
    const isParallel = operands.every((one) => operands.every((other) => one === other || !flow.dependsOn(one, other)));
    const [output = ''] = node.outputs;
    const start = flow.entryOf(output);
    if (operands.length < 2 || !isParallel || start === undefined) return [];
    const layer = { kind: 'module', name: node.key } as const;
    const removalTo = (entry: string): Candidate => {
      const edit: ReplaceEdit = { kind: 'replace', tensor: output, by: entry, silenced: output };
      return { ...layer, edit, outline: outlineOfReplacement(model.graph, edit) };
    };
    for (let entry: string | undefined = start; entry !== undefined; entry = flow.entryOf(entry)) {
      const isWhole = isSameShape(shapes.get(entry), shapes.get(output));
      if (isWhole && flow.between(entry, output).some((inner) => isLinearLayer(inner, flow))) return [removalTo(entry)];
      const producer = producers.get(entry);
      if (producer === undefined || flow.operands(producer).length > 1) break;
    }
    const [before, after] = [shapes.get(start), shapes.get(output)].map(describeShape);
    return [{ ...layer, reason: `its input ${before} and its output ${after} can not be mapped onto each other` }];
  });
}
