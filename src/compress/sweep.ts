import { throwIfAborted } from '../errors';
import { analyzeChannels } from '../onnx/channels/analyze';
import type { ChannelAnalysis, ChannelGroup } from '../onnx/channels/types';
import { graphIndex } from '../onnx/graphIndex';
import type { Model } from '../onnx/ir';
import { applyLinearEdits } from '../onnx/passes/applyLinearEdits';
import { applyBatchNormEdits, describeBatchNorm } from '../onnx/passes/batchNorm';
import { cutChannels } from '../onnx/passes/cutChannels';
import { describeLinearLayer, describeLinearLayers } from '../onnx/passes/linearLayers';
import { inferShapes, type ShapeMap } from '../onnx/shapes';
import { absorbOffset } from '../recovery/batchNorm';
import { refit } from '../recovery/leastSquares';
import type { Moments } from '../recovery/moments';
import { restrictMoments } from '../recovery/restrictMoments';
import type { BatchNormLayer, ChannelMask, LinearLayer } from '../types';
import type { Counts } from './allocation';
import { consumedSlots, isUniform, keptOf, maskFor, removedSlots, type RemovedSlots } from './groups';
import { momentsOf } from './layerMoments';
import type { Runtime, Samples } from './network';
import type { Classifier } from './open';
import { rankFromMoments, type Ranking } from './ranking';

export interface SweepPlan {
  readonly original: Classifier;
  readonly analysis: ChannelAnalysis;
  /** How many slots each group keeps; groups that are not in it stay whole. */
  readonly counts: Counts;
  /** Which: the first `counts` of each order. */
  readonly rankings: ReadonlyMap<string, Ranking>;
  /** Rank by reconstruction anew where a group is reached, on the network as it is by then. */
  readonly rerank: boolean;
  readonly refit: boolean;
  readonly samples: Samples;
  readonly runtime: Runtime;
}

export interface SweepResult {
  readonly model: Model;
  readonly removed: RemovedSlots;
  /** The same as channels of the original graph's tensors. */
  readonly mask: ChannelMask;
  /** By layer: squared error over the target's variance on held-back samples, before and after its re-fit. */
  readonly refits: readonly { readonly node: string; readonly before: number; readonly after: number }[];
}

interface State {
  readonly model: Model;
  readonly shapes: ShapeMap;
  readonly removed: RemovedSlots;
}

/**
 * Walks through the linear layers in topological order. Where a layer is the first to read a group, the group is cut;
 * then the layer is re-fitted by least squares so that, from the inputs it gets NOW, it gives what it gave in the
 * original network. Every layer thus also makes up for what the layers before it could not.
 */
export async function cutAndRefit(plan: SweepPlan): Promise<SweepResult> {
  const { original, analysis, runtime } = plan;
  const layers = describeLinearLayers(original.model, original.shapes);
  const groupsByLayer = groupsByFirstConsumer(plan);
  const refits: { node: string; before: number; after: number }[] = [];
  let state: State = { model: original.model, shapes: original.shapes, removed: new Map() };

  for (const [position, { node }] of layers.entries()) {
    throwIfAborted(runtime.signal);
    const groups = groupsByLayer.get(node) ?? [];
    let known: Moments | undefined;
    for (const { id } of groups) {
      const group = groupIn(state, id);
      // Where slots differ in cost, the budget was met with the ranking as it was.
      const ranked = plan.rerank && isUniform(group) ? await rankHere(group, plan, state) : undefined;
      const order = ranked?.order ?? plan.rankings.get(group.id)?.order ?? [];
      const removed = removedSlots(group, order, plan.counts.get(group.id) ?? group.size);
      const next = cutGroup(state, group, removed);
      const aloneHere = groups.length === 1 && group.consumers.length === 1;
      known = aloneHere && ranked !== undefined ? carryOver(ranked.moments.get(node), group, removed, next) : undefined;
      state = next;
    }
    if (plan.refit && state.removed.size > 0) {
      const step = await refitLayer(node, plan, state, known);
      if (step !== undefined) {
        state = step.state;
        refits.push(step.errors);
      }
    }
    runtime.onProgress?.({ stage: plan.refit ? 'cut and re-fit' : 'cut', fraction: (position + 1) / layers.length });
  }
  const masks = analysis.groups.map((group) => maskFor(group, state.removed.get(group.id) ?? new Set()));
  return { model: state.model, removed: state.removed, mask: Object.assign({}, ...masks) as ChannelMask, refits };
}

/** Groups that shrink, by the node that reads them first; those that no linear layer reads come with their producer. */
function groupsByFirstConsumer({ analysis, counts }: SweepPlan): Map<string, ChannelGroup[]> {
  const byNode = new Map<string, ChannelGroup[]>();
  for (const group of analysis.groups) {
    const node = group.consumers[0] ?? group.producers.at(-1);
    if (node === undefined || (counts.get(group.id) ?? group.size) >= group.size) continue;
    byNode.set(node, [...(byNode.get(node) ?? []), group]);
  }
  return byNode;
}

/** A group as it is by now: cutting others has moved its channels in the tensors it shares with them, as after a Concat. */
function groupIn({ model, shapes }: State, id: string): ChannelGroup {
  return analyzeChannels(model, shapes).groups.find((group) => group.id === id)!;
}

function cutGroup(state: State, group: ChannelGroup, removed: ReadonlySet<number>): State {
  if (removed.size === 0) return state;
  const analysis = analyzeChannels(state.model, state.shapes);
  const model = cutChannels(state.model, analysis, maskFor(group, removed));
  return { model, shapes: inferShapes(model), removed: new Map([...state.removed, [group.id, removed]]) };
}

interface RankedHere {
  readonly order: readonly number[];
  /** By consumer. */
  readonly moments: ReadonlyMap<string, Moments>;
}

async function rankHere(group: ChannelGroup, plan: SweepPlan, state: State): Promise<RankedHere> {
  const { original, analysis, samples, runtime } = plan;
  const layers = group.consumers.flatMap((node) => describeLinearLayer(state.model, node, state.shapes) ?? []);
  const requests = layers.map((layer) => ({ layer, keptOutputs: keptOf(analysis, layer.output, state.removed) }));
  const collected = await momentsOf(requests, { original, current: state, samples, runtime: withoutProgress(runtime) });
  const moments = new Map(layers.map((layer, index) => [layer.node, collected[index]!]));
  const { order } = await rankFromMoments(group, layers, moments, { threads: runtime.threads, signal: runtime.signal });
  return { order, moments };
}

/** What the ranking has measured serves the re-fit too: cutting the group leaves its other channels' values alone. */
function carryOver(
  moments: Moments | undefined,
  group: ChannelGroup,
  removed: ReadonlySet<number>,
  { model, shapes }: State,
): Moments | undefined {
  const layer = moments && describeLinearLayer(model, moments.layer.node, shapes);
  if (layer?.groups !== 1 || moments === undefined) return undefined;
  const kept = [...consumedSlots(group, moments.layer)].flatMap((slot, channel) =>
    removed.has(slot) ? [] : [channel],
  );
  return restrictMoments(moments, layer, kept);
}

async function refitLayer(
  node: string,
  plan: SweepPlan,
  state: State,
  known: Moments | undefined,
): Promise<{ state: State; errors: { node: string; before: number; after: number } } | undefined> {
  const { original, analysis, samples, runtime } = plan;
  const layer = describeLinearLayer(state.model, node, state.shapes);
  // The image is what it always was: a layer that reads it has nothing to make up for.
  if (layer === undefined || layer.input === original.input.name) return undefined;
  const request = { layer, keptOutputs: keptOf(analysis, layer.output, state.removed) };
  const inputs = { original, current: state, samples, runtime: withoutProgress(runtime) };
  const moments = known ?? (await momentsOf([request], inputs))[0]!;
  const norm = layer.bias === undefined ? followingBatchNorm(state.model, layer) : undefined;
  const fit = await refit(layer, moments, {
    offsetAbsorbed: norm !== undefined,
    threads: runtime.threads,
    signal: runtime.signal,
  });
  let model = applyLinearEdits(state.model, [fit.edit]);
  if (norm !== undefined && fit.offset !== undefined)
    model = applyBatchNormEdits(model, [absorbOffset(norm, fit.offset)]);
  return {
    state: { ...state, model },
    errors: { node, before: fit.relativeErrorBefore, after: fit.relativeErrorAfter },
  };
}

/** The batch normalisation that alone reads a layer's output, if that is so. */
function followingBatchNorm(model: Model, layer: LinearLayer): BatchNormLayer | undefined {
  const { consumers, outputs } = graphIndex(model.graph);
  const readers = consumers.get(layer.output) ?? [];
  const [reader] = readers;
  if (readers.length !== 1 || reader === undefined || outputs.has(layer.output)) return undefined;
  const norm = describeBatchNorm(model, reader.key);
  return norm?.input === layer.output ? norm : undefined;
}

function withoutProgress(runtime: Runtime): Runtime {
  return { ...runtime, onProgress: undefined };
}
