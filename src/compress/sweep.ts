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
import type { BatchNormLayer, ChannelMask, LinearLayer } from '../types';
import type { Counts } from './allocation';
import { keptOf, maskIndices } from './groups';
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
  /** Channels removed, by the tensor that defines their group in the original graph. */
  readonly mask: ChannelMask;
  /** By layer: squared error over the target's variance on held-back samples, before and after its re-fit. */
  readonly refits: readonly { readonly node: string; readonly before: number; readonly after: number }[];
}

interface State {
  readonly model: Model;
  readonly shapes: ShapeMap;
  readonly removed: ReadonlyMap<string, ReadonlySet<number>>;
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
    for (const group of groupsByLayer.get(node) ?? []) {
      const order = plan.rerank ? await rankHere(group, plan, state) : (plan.rankings.get(group.id)?.order ?? []);
      state = cutGroup(state, group, new Set(order.slice(plan.counts.get(group.id))));
    }
    if (plan.refit && state.removed.size > 0) {
      const step = await refitLayer(node, plan, state);
      if (step !== undefined) {
        state = step.state;
        refits.push(step.errors);
      }
    }
    runtime.onProgress?.({ stage: plan.refit ? 'cut and re-fit' : 'cut', fraction: (position + 1) / layers.length });
  }
  const mask = Object.fromEntries(
    analysis.groups.flatMap((group) => {
      const removed = state.removed.get(group.id);
      return removed === undefined ? [] : [[group.id, maskIndices(group, removed)] as const];
    }),
  );
  return { model: state.model, mask, refits };
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

function cutGroup(state: State, group: ChannelGroup, removed: ReadonlySet<number>): State {
  if (removed.size === 0) return state;
  const analysis = analyzeChannels(state.model, state.shapes);
  const model = cutChannels(state.model, analysis, { [group.id]: maskIndices(group, removed) });
  return { model, shapes: inferShapes(model), removed: new Map([...state.removed, [group.id, removed]]) };
}

async function rankHere(group: ChannelGroup, plan: SweepPlan, state: State): Promise<readonly number[]> {
  const { original, analysis, samples, runtime } = plan;
  const layers = group.consumers.flatMap((node) => describeLinearLayer(state.model, node, state.shapes) ?? []);
  const requests = layers.map((layer) => ({ layer, keptOutputs: keptOf(analysis, layer.output, state.removed) }));
  const inner = withoutProgress(runtime);
  const moments = await momentsOf(requests, { original, current: state, samples, runtime: inner });
  const byNode = new Map(layers.map((layer, index) => [layer.node, moments[index]!]));
  return (await rankFromMoments(group, layers, byNode, { threads: runtime.threads, signal: runtime.signal })).order;
}

async function refitLayer(
  node: string,
  plan: SweepPlan,
  state: State,
): Promise<{ state: State; errors: { node: string; before: number; after: number } } | undefined> {
  const { original, analysis, samples, runtime } = plan;
  const layer = describeLinearLayer(state.model, node, state.shapes);
  // The image is what it always was: a layer that reads it has nothing to make up for.
  if (layer === undefined || layer.input === original.input.name) return undefined;
  const request = { layer, keptOutputs: keptOf(analysis, layer.output, state.removed) };
  const inner = withoutProgress(runtime);
  const [moments] = await momentsOf([request], { original, current: state, samples, runtime: inner });
  const norm = layer.bias === undefined ? followingBatchNorm(state.model, layer) : undefined;
  const fit = await refit(layer, moments!, {
    offsetAbsorbed: norm !== undefined,
    threads: runtime.threads,
    signal: runtime.signal,
  });
  let model = applyLinearEdits(state.model, [fit.edit]);
  if (norm !== undefined && fit.offset !== undefined) model = applyBatchNormEdits(model, [absorbOffset(norm, fit.offset)]);
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
