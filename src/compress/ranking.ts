import { collectActivations } from '../activations/activations';
import type { Model } from '../onnx/ir';
import type { ChannelGroup } from '../onnx/channels/types';
import { describeLinearLayer } from '../onnx/passes/linearLayers';
import { keepOnlyOutputs } from '../onnx/passes/outputs';
import type { ShapeMap } from '../onnx/shapes';
import { channelNorms, rankAscending, rankChannels, rankRandomly } from '../recovery/channelRanking';
import type { Moments } from '../recovery/moments';
import { selectFilters, type SelectFiltersOptions } from '../separation';
import type { LinearLayer, ProgressListener } from '../types';
import { uniformDeficit } from './allocation';
import type { Criterion } from './api';
import { consumedSlots, memberOf, producedSlots } from './groups';
import { momentsOf, type MomentsInputs } from './layerMoments';
import { labelsOf, withSession } from './network';
import { namingNonFinite } from './nonFinite';
import { slotFeatures } from './slotFeatures';

/** The slots of a group, the ones to keep longest first, and what is lost by keeping only so many of them. */
export interface Ranking {
  readonly order: readonly number[];
  /** deficit[k]: what keeping the first k slots of `order` loses, k = 0 .. size. Never rises with k. */
  readonly deficit: ArrayLike<number>;
}

export type RankingCriterion = Exclude<Criterion, 'auto'>;

/** As in the re-fit that follows. */
const ELIMINATION_RIDGE = 1e-3;

/** For a first ranking, which says how many channels each group keeps; it is made anew where a group is cut. */
const RANKED_SAMPLES = 1000;

/** Moments are held for all groups that are ranked in one pass over the data, up to this share of the memory budget. */
const MOMENTS_SHARE = 0.5;

/** Ranks the slots of each group on the network in `inputs.current`. */
export async function rankGroups(
  groups: readonly ChannelGroup[],
  criterion: RankingCriterion,
  inputs: MomentsInputs,
): Promise<Map<string, Ranking>> {
  switch (criterion) {
    case 'random':
      return new Map(
        groups.map((group, position) => {
          const order = rankRandomly(group.size, inputs.runtime.seed * 100_003 + position);
          return [group.id, { order: [...order], deficit: uniformDeficit(group.size) }];
        }),
      );
    case 'l1':
      return new Map(groups.map((group) => [group.id, rankByNorm(group, inputs)]));
    case 'reconstruction':
      return rankByReconstruction(groups, inputs);
    case 'si':
    case 'si-rank':
    case 'csi':
      return rankBySeparation(groups, criterion, inputs);
  }
}

function rankByNorm(group: ChannelGroup, { current }: MomentsInputs): Ranking {
  const producers = layersOf(current.model, current.shapes, group.producers).map((layer) => ({
    layer,
    channelUnits: producedSlots(group, layer),
  }));
  const removedFirst = rankAscending(channelNorms(producers, group.size));
  return { order: [...removedFirst].reverse(), deficit: uniformDeficit(group.size) };
}

async function rankByReconstruction(
  groups: readonly ChannelGroup[],
  inputs: MomentsInputs,
): Promise<Map<string, Ranking>> {
  const rankings = new Map<string, Ranking>();
  const { current, runtime } = inputs;
  const control = { threads: runtime.threads, signal: runtime.signal };
  const chunks = chunksByMoments(groups, inputs);
  for (const [position, chunk] of chunks.entries()) {
    const onProgress: ProgressListener = (event) =>
      runtime.onProgress?.({ ...event, fraction: (position + event.fraction) / chunks.length });
    const layers = layersOf(current.model, current.shapes, [...new Set(chunk.flatMap((group) => group.consumers))]);
    const { dataset, indices } = inputs.samples;
    const moments = await momentsOf(
      layers.map((layer) => ({ layer, keptOutputs: undefined })),
      {
        ...inputs,
        samples: { dataset, indices: indices.subarray(0, RANKED_SAMPLES) },
        runtime: { ...runtime, onProgress },
      },
    );
    const momentsByNode = new Map(layers.map((layer, index) => [layer.node, moments[index]!]));
    for (const group of chunk) {
      rankings.set(group.id, await rankFromMoments(group, layers, momentsByNode, control));
    }
  }
  return rankings;
}

/** The ranking of one group from the moments of its consumers. */
export async function rankFromMoments(
  group: ChannelGroup,
  layers: readonly LinearLayer[],
  moments: ReadonlyMap<string, Moments>,
  control: { readonly threads: number | undefined; readonly signal: AbortSignal | undefined },
): Promise<Ranking> {
  const problems = layers
    .filter((layer) => group.consumers.includes(layer.node))
    .map((layer) => ({
      layer,
      moments: moments.get(layer.node)!,
      channelUnits: consumedSlots(group, layer),
      offsetAbsorbed: true,
    }));
  if (problems.length === 0) {
    return { order: Array.from({ length: group.size }, (_, slot) => slot), deficit: uniformDeficit(group.size) };
  }
  const { order, errorAfter } = await rankChannels(problems, group.size, { ridge: ELIMINATION_RIDGE, ...control });
  // What all channels together can not explain is lost in any case.
  const deficit = new Float64Array(group.size + 1);
  for (let kept = group.size - 1; kept >= 0; kept--) {
    deficit[kept] = Math.max(deficit[kept + 1]!, errorAfter[group.size - 1 - kept]!);
  }
  return { order: [...order].reverse(), deficit };
}

async function rankBySeparation(
  groups: readonly ChannelGroup[],
  criterion: 'si' | 'si-rank' | 'csi',
  inputs: MomentsInputs,
): Promise<Map<string, Ranking>> {
  const { original, current, samples, runtime } = inputs;
  const labels = labelsOf(samples);
  const rankings = new Map<string, Ranking>();
  const tensorOf = new Map(groups.map((group) => [group.id, measuredTensor(group, current.model, current.shapes)]));
  const taps = [...new Set(tensorOf.values())];
  await withSession(keepOnlyOutputs(current.model, taps, current.shapes), runtime, async (session) => {
    const passes = collectActivations({
      session,
      input: original.input,
      dataset: samples.dataset,
      indices: samples.indices,
      taps,
      batchSize: runtime.batchSize,
      memoryBudgetBytes: runtime.memoryBudgetBytes,
      signal: runtime.signal,
    });
    for await (const pass of passes) {
      for (const group of groups) {
        const tensor = tensorOf.get(group.id) ?? '';
        const activation = pass.get(tensor);
        const member = memberOf(group, tensor);
        if (activation === undefined || member === undefined) continue;
        const dims = [activation.rows, ...activation.dims];
        const { features, ...shape } = slotFeatures(activation.features, dims, member.axis, member.slots, group.size);
        const selection: SelectFiltersOptions = {
          rows: shape.rows,
          filters: shape.slots,
          dims: shape.dims,
          strategy: criterion === 'si' ? 'si' : 'si-rank',
          index: criterion === 'csi' ? 'center' : 'separation',
          threads: runtime.threads,
          signal: runtime.signal,
        };
        const { order, curve } = await namingNonFinite(
          { tensor, features: activation.features, indices: samples.indices },
          () => selectFilters(features, labels, selection),
        );
        rankings.set(group.id, { order: [...order], deficit: deficitOfCurve(curve) });
        runtime.onProgress?.({ stage: 'rank', fraction: rankings.size / groups.length });
      }
    }
  });
  return rankings;
}

/**
 * What the best prefix of at most k filters falls short of the best of all: the smallest prefix within a tolerance of
 * the maximum is what Saffar et al. keep.
 */
function deficitOfCurve(curve: Float64Array): Float64Array {
  const best = Math.max(...curve);
  const deficit = new Float64Array(curve.length + 1);
  deficit[0] = best;
  let highest = -Infinity;
  curve.forEach((index, position) => {
    highest = Math.max(highest, index);
    deficit[position + 1] = best - highest;
  });
  return deficit;
}

/** What the next layer reads, after normalisation and activation; the group's own tensor where nothing reads it. */
function measuredTensor(group: ChannelGroup, model: Model, shapes: ShapeMap): string {
  for (const layer of layersOf(model, shapes, group.consumers)) {
    if (memberOf(group, layer.input) !== undefined) return layer.input;
  }
  return group.id;
}

function layersOf(model: Model, shapes: ShapeMap, nodes: readonly string[]): LinearLayer[] {
  return nodes.flatMap((node) => describeLinearLayer(model, node, shapes) ?? []);
}

function chunksByMoments(groups: readonly ChannelGroup[], { current, runtime }: MomentsInputs): ChannelGroup[][] {
  const limit = runtime.memoryBudgetBytes * MOMENTS_SHARE;
  const chunks: ChannelGroup[][] = [];
  let bytes = Infinity;
  for (const group of groups) {
    const needed = layersOf(current.model, current.shapes, group.consumers).reduce((sum, layer) => {
      const regressors = layer.inputsPerGroup * layer.kernel[0] * layer.kernel[1] + 1;
      return sum + 3 * 8 * layer.groups * regressors ** 2;
    }, 0);
    if (bytes + needed > limit) {
      chunks.push([]);
      bytes = 0;
    }
    chunks.at(-1)!.push(group);
    bytes += needed;
  }
  return chunks;
}
