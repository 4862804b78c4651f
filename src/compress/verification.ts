import { SieveError } from '../errors';
import { cutChannels } from '../onnx/passes/cutChannels';
import { compareOutputs, equivalenceTolerance } from '../onnx/passes/checkEquivalence';
import { maskChannels } from '../onnx/passes/maskChannels';
import type { ChannelAnalysis } from '../onnx/channels/types';
import type { Model } from '../onnx/ir';
import type { ChannelMask } from '../types';
import { predictSamples } from './accuracy';
import type { CompressResult } from './api';
import { withSession, type Runtime, type Samples } from './network';
import type { Classifier } from './open';

/** Enough images that a channel which is used at all shows. */
export const VERIFIED_SAMPLES = 32;

/**
 * Runs the cut graph, weights as they were, against the original with the removed channels masked to zero, on real
 * samples, and compares what `model`, the recovered network, is made of with the cut graph: only values may differ.
 *
 * Errors: ERR_VERIFICATION where they differ by more than rounding; then nothing must be written.
 */
export async function verifyCut(
  classifier: Classifier,
  analysis: ChannelAnalysis,
  mask: ChannelMask,
  model: Model,
  { dataset, indices }: Samples,
  runtime: Runtime,
): Promise<CompressResult['verification']> {
  const samples = { dataset, indices: indices.subarray(0, VERIFIED_SAMPLES) };
  const cut = cutChannels(classifier.model, analysis, mask);
  const masked = maskChannels(classifier.model, analysis, mask);
  const reference = await outputOf(masked, classifier, samples, runtime);
  const actual = await outputOf(cut, classifier, samples, runtime);
  const tolerance = equivalenceTolerance(classifier.model.graph);
  const { relativeDifference, equal } = compareOutputs(reference, actual, tolerance);
  if (!equal) {
    throw new SieveError(
      'ERR_VERIFICATION',
      `Expected the cut graph to equal the masked original within ${+tolerance.toPrecision(2)} of the output's scale but received a difference of ${relativeDifference.toExponential(2)}`,
      { remedy: 'Nothing was written. Please report the model: `onnx-sieve inspect` shows its channel groups.' },
    );
  }
  const difference = structuralDifference(cut, model);
  if (difference !== undefined) {
    throw new SieveError('ERR_VERIFICATION', `Expected recovery to change values only but received ${difference}`, {
      remedy: 'Nothing was written. Please report the model, or use --recover none.',
    });
  }
  return { maxRelativeDifference: relativeDifference, tolerance, samples: samples.indices.length };
}

// Fusions of the runtime would compare more than the graphs: folded into a MaxPool, a Pad with zeros pads with −∞, and
// the masked graph, where a Where stands between the two, is not folded.
async function outputOf(
  model: Model,
  classifier: Classifier,
  samples: Samples,
  runtime: Runtime,
): Promise<Float32Array> {
  const silent = { ...runtime, onProgress: undefined };
  const { logits } = await withSession(
    model,
    runtime,
    (session) => predictSamples(session, classifier, samples, silent),
    { graphOptimization: 'disabled' },
  );
  return logits;
}

/** Names the first node or weight in which two graphs are not built alike. */
function structuralDifference(expected: Model, actual: Model): string | undefined {
  const nodes = (model: Model): string[] => model.graph.nodes.map((node) => `${node.opType} "${node.key}"`);
  const [left, right] = [nodes(expected), nodes(actual)];
  const node = left.find((name, index) => name !== right[index]) ?? right[left.length];
  if (node !== undefined) return `another graph at ${node}`;
  const readers = new Map(expected.graph.nodes.map((candidate) => [candidate.key, candidate]));
  for (const reader of actual.graph.nodes) {
    const twin = readers.get(reader.key);
    for (const [position, name] of reader.inputs.entries()) {
      const before = expected.graph.initializers.get(twin?.inputs[position] ?? '');
      const after = actual.graph.initializers.get(name);
      if (before === undefined || after === undefined) continue;
      if (before.dims.join() !== after.dims.join()) {
        return `weights [${after.dims.join(', ')}] instead of [${before.dims.join(', ')}] at "${reader.key}"`;
      }
    }
  }
  return undefined;
}
