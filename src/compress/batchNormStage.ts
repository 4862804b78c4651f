import { inputDims } from '../activations/batches';
import { keepOnlyOutputs } from '../onnx/passes/outputs';
import type { Model } from '../onnx/ir';
import { applyBatchNormEdits, describeBatchNorms } from '../onnx/passes/batchNorm';
import { withBatchStatistics } from '../onnx/passes/batchStatistics';
import { inferShapes } from '../onnx/shapes';
import { createStatistics, mergeStatistics, reestimate } from '../recovery/batchNorm';
import { withSession, type Runtime, type Samples } from './network';
import type { Classifier } from './open';

/** Batches of this size make the statistics of a batch a fair picture of all. */
const STATISTICS_BATCH = 250;
const SMALLEST_BATCH = 32;

/**
 * Running statistics measured anew on the calibration samples, all layers in one pass over the data: each normalises
 * with the statistics of the batch, as in training, so that every layer sees inputs its predecessors have put right.
 *
 * @returns undefined where the model has no batch normalisation to adapt, or there are too few samples in a batch, or for one
 */
export async function reestimateBatchNorms(
  model: Model,
  { input }: Classifier,
  samples: Samples,
  runtime: Runtime,
): Promise<Model | undefined> {
  const shapes = inferShapes(model);
  const layers = describeBatchNorms(model);
  const batchSize = input.fixedBatch ?? Math.min(STATISTICS_BATCH, samples.indices.length);
  const ranks = new Map(layers.flatMap(({ node, input: tensor }) => rankOf(node, shapes.get(tensor)?.length)));
  if (ranks.size === 0 || batchSize < SMALLEST_BATCH || batchSize > samples.indices.length) return undefined;

  const measuring = withBatchStatistics(model, ranks);
  const names = measuring.outputs.flatMap(({ mean, variance }) => [mean, variance]);
  const statistics = new Map(layers.map((layer) => [layer.node, createStatistics(layer.channels)]));
  await withSession(keepOnlyOutputs(measuring.model, names, inferShapes(measuring.model)), runtime, async (session) => {
    const { dataset, indices } = samples;
    const batches = Math.floor(indices.length / batchSize);
    for (let batch = 0; batch < batches; batch++) {
      const data = await dataset.load(indices.subarray(batch * batchSize, (batch + 1) * batchSize), runtime.signal);
      const results = await session.run({ [input.name]: { data, dims: inputDims(input, batchSize) } }, names);
      for (const { node, mean, variance } of measuring.outputs) {
        mergeStatistics(statistics.get(node)!, batchSize, results.get(mean)!.data, results.get(variance)!.data);
      }
      runtime.onProgress?.({ stage: 'batch norm', fraction: (batch + 1) / batches });
    }
  });
  const edits = layers
    .filter(({ node }) => ranks.has(node))
    .map((layer) => reestimate(layer, statistics.get(layer.node)!));
  return applyBatchNormEdits(model, edits);
}

function rankOf(node: string, rank: number | undefined): [string, number][] {
  return rank === undefined ? [] : [[node, rank]];
}
