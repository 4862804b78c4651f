import { streamActivations } from '../../activations/activations';
import type { Model } from '../../onnx/ir';
import { addOutputs } from '../../onnx/passes/outputs';
import { listFoldedConvolutions, reinsertBatchNorms } from '../../onnx/training/reinsertBatchNorm';
import { addActivations, createStatistics } from '../../recovery/batchNorm';
import { withSession, type Runtime, type Samples } from '../network';
import { understandClassifier, type Classifier } from '../open';

/** Enough for the mean and variance of a channel: every sample counts with all positions of its map. */
const STATISTICS_SAMPLES = 1000;

/**
 * The network with a batch normalisation behind every convolution that has lost its own, and the way back. undefined where
 * there is no such convolution.
 */
export async function reinserted(
  network: Classifier,
  { dataset, indices }: Samples,
  runtime: Runtime,
): Promise<{ readonly network: Classifier; readonly fold: (trained: Model) => Model } | undefined> {
  const convolutions = listFoldedConvolutions(network.model);
  if (convolutions.length === 0) return undefined;
  const statistics = new Map(convolutions.map(({ node, channels }) => [node, createStatistics(channels)]));
  const taps = convolutions.map(({ tensor }) => tensor);
  await withSession(addOutputs(network.model, taps, network.shapes), runtime, async (session) => {
    const { signal, onProgress, memoryBudgetBytes } = runtime;
    const chosen = spread(indices, STATISTICS_SAMPLES);
    const run = {
      session,
      input: network.input,
      dataset,
      indices: chosen,
      taps,
      signal,
      onProgress,
      memoryBudgetBytes,
    };
    for await (const { tensors } of streamActivations(run)) {
      for (const { node, tensor } of convolutions) {
        const { data, dims } = tensors.get(tensor)!;
        addActivations(statistics.get(node)!, data, dims);
      }
    }
  });
  const found = new Map(
    [...statistics].map(([node, { mean, squaredDeviation, count }]) => [
      node,
      { mean, variance: squaredDeviation.map((sum) => sum / count) },
    ]),
  );
  const { model, fold } = reinsertBatchNorms(network.model, found);
  return { network: understandClassifier(model), fold };
}

/** At most `count` of the samples, from all of their order: they may be sorted by class. */
function spread(indices: Int32Array, count: number): Int32Array {
  const step = Math.max(1, indices.length / count);
  return Int32Array.from({ length: Math.min(count, indices.length) }, (_, at) => indices[Math.floor(at * step)]!);
}
