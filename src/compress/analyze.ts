import type { AnalyzeOptions, AnalyzeResult, ModelSource } from './api';
import { openModel, understandClassifier } from './open';
import { DEFAULT_CALIBRATION_SAMPLES, readRuntime } from './options';
import { markEffective, profileCutPoints } from './profile';
import { drawSamples, openSamples } from './samples';

export const DEFAULT_EPSILON = 0.01;

/**
 * SI and CSI of every cut point: how well the classes are separated after each layer. A layer that raises neither by
 * more than epsilon over the cut point before it is marked as not effective.
 *
 * Errors: those of reading model and data; ERR_NON_FINITE names the first sample with NaN or infinite activations.
 */
export async function analyze(source: ModelSource, options: AnalyzeOptions): Promise<AnalyzeResult> {
  const runtime = readRuntime(options);
  const classifier = understandClassifier(await openModel(source, options.signal));
  const dataset = await openSamples(options.data, classifier, runtime, 'data');
  const samples = drawSamples(dataset, options.samples ?? DEFAULT_CALIBRATION_SAMPLES, runtime.seed);
  const { layers, device } = await profileCutPoints(classifier, samples, runtime, options.filters ?? false);
  return {
    samples: samples.indices.length,
    classNames: dataset.classNames,
    layers: markEffective(layers, options.epsilon ?? DEFAULT_EPSILON),
    device,
  };
}
