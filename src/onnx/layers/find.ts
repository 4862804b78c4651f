import { analyzeChannels } from '../channels/analyze';
import type { ChannelAnalysis } from '../channels/types';
import type { Model } from '../ir';
import { inferShapes, type ShapeMap } from '../shapes';
import { analyzeDataFlow } from './dataFlow';
import { membershipsByTensor, type GraphView } from './graphView';
import { joinedBranches, modules } from './joins';
import { residualBlocks } from './residual';
import { nodeCosts, savingsOf } from './savings';
import { sequentialLayers } from './sequential';
import { tails } from './tails';
import type { Candidate, LayerAnalysis, LayerEdit, RemovableLayer } from './types';

/** Layers with the edits that remove them, in the channels of the same graph. */
export interface FoundLayers extends LayerAnalysis {
  readonly channels: ChannelAnalysis;
  readonly shapes: ShapeMap;
  readonly edits: ReadonlyMap<string, LayerEdit>;
}

/**
 * What can be taken out of a network as a whole: residual blocks, layers of dense blocks, branches and modules,
 * sequential layers, tails. Found by structure (regions with one entry and one exit around Add and Concat), not by
 * names. Layers may lie inside one another.
 *
 * @param channels of the same model, as `analyzeChannels` gives them
 */
export function findRemovableLayers(model: Model, shapes: ShapeMap, channels: ChannelAnalysis): LayerAnalysis {
  const { layers, notRemovable } = findLayers(model, shapes, channels);
  return { layers, notRemovable };
}

const found = new WeakMap<Model, FoundLayers>();

/** The layers of a model with their edits; models are immutable, so the answer is kept with the model. */
export function layersOf(model: Model): FoundLayers {
  const shapes = inferShapes(model);
  const known = found.get(model) ?? findLayers(model, shapes, analyzeChannels(model, shapes));
  found.set(model, known);
  return known;
}

function findLayers(model: Model, shapes: ShapeMap, channels: ChannelAnalysis): FoundLayers {
  const memberships = membershipsByTensor(channels);
  const view: GraphView = {
    model,
    shapes,
    channels,
    flow: analyzeDataFlow(model.graph),
    membersOf: (tensor) => memberships.get(tensor) ?? [],
  };
  const costs = nodeCosts(model, shapes);
  const candidates = [residualBlocks, joinedBranches, modules, sequentialLayers, tails].flatMap((find) => find(view));
  const edits = new Map<string, LayerEdit>();
  const layers = candidates.flatMap((candidate): RemovableLayer[] => {
    if ('reason' in candidate) return [];
    const { kind, name, detail = '', edit, outline, head, remark } = candidate;
    const id = `${kind}:${name}${detail}`;
    const savings = savingsOf(model.graph, outline, costs);
    // Nothing goes where the graph does not need the layer: then it was of no use before.
    if (savings.nodes.length === 0) return [];
    edits.set(id, edit);
    return [{ id, kind, name, ...savings, ...(head && { head }), ...(remark === undefined ? {} : { remark }) }];
  });
  return { layers, notRemovable: refusals(candidates, layers), channels, shapes, edits };
}

/** A linear layer that changes the shape may still go with a block or branch around it; then it is not listed. */
function refusals(candidates: readonly Candidate[], layers: readonly RemovableLayer[]): LayerAnalysis['notRemovable'] {
  const covered = new Set(layers.flatMap((layer) => (layer.kind === 'tail' ? [] : layer.nodes)));
  return candidates.flatMap((candidate) => {
    if (!('reason' in candidate)) return [];
    if (candidate.kind === 'sequential' && covered.has(candidate.name)) return [];
    return [{ name: candidate.name, reason: candidate.reason }];
  });
}
