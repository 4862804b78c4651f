import { SieveError } from '../errors';
import { stratifiedSample } from '../activations/calibration';
import { createRandom } from '../random';
import { analyzeChannels } from '../onnx/channels/analyze';
import type { ChannelAnalysis } from '../onnx/channels/types';
import type { CompressOptions, ModelSource } from './api';
import type { Runtime, Samples } from './network';
import { openModel, understandClassifier, type Classifier } from './open';
import { DEFAULT_CALIBRATION_SAMPLES } from './options';
import { drawSamples, openSamples, samplesBut, splitSamples } from './samples';

/** What all stages of a compression work from. */
export interface Compression {
  readonly original: Classifier;
  readonly analysis: ChannelAnalysis;
  readonly calibration: Samples;
  /** Everything that `selection` and `validation` leave. */
  readonly training: Samples;
  /** Neither calibration nor validation where the data are enough: what a stage is kept or undone on. */
  readonly selection: Samples;
  /** What accuracies are reported on. */
  readonly validation: Samples;
  readonly runtime: Runtime;
}

const SELECTION_SAMPLES = 500;

/** Opens model and data and draws the samples. Errors: those of both; ERR_DATA_MISMATCH with too few samples. */
export async function prepareCompression(
  source: ModelSource,
  options: CompressOptions,
  runtime: Runtime,
): Promise<Compression> {
  const original = understandClassifier(await openModel(source, options.signal));
  const dataset = await openSamples(options.data, original, runtime, 'data');
  const count = options.samples ?? DEFAULT_CALIBRATION_SAMPLES;
  const { calibration, validation } =
    options.validation === undefined
      ? splitSamples(dataset, count, runtime.seed)
      : {
          calibration: drawSamples(dataset, count, runtime.seed),
          validation: drawSamples(
            await openSamples(options.validation, original, runtime, 'validation'),
            undefined,
            runtime.seed,
          ),
        };
  if (calibration.indices.length < original.classes || validation.indices.length === 0) {
    throw new SieveError(
      'ERR_DATA_MISMATCH',
      `Expected at least one calibration sample a class and some for validation but received ${dataset.size} samples for ${original.classes} classes`,
      { remedy: 'Give more labelled images.' },
    );
  }
  const used = new Set([...calibration.indices, ...(options.validation === undefined ? validation.indices : [])]);
  const left = dataset.size - used.size;
  const selection =
    left < original.classes * 2
      ? calibration
      : {
          dataset,
          indices: stratifiedSample(dataset.labels, Math.min(SELECTION_SAMPLES, left), runtime.seed + 1, {
            exclude: used,
          }),
        };
  return {
    original,
    analysis: analyzeChannels(original.model, original.shapes),
    calibration: shuffled(calibration, runtime.seed),
    training: samplesBut(calibration, ...(selection === calibration ? [] : [selection]), validation),
    selection: shuffled(selection, runtime.seed),
    validation,
    runtime,
  };
}

/** Samples come sorted by class; statistics of a batch want all classes in it. */
function shuffled({ dataset, indices }: Samples, seed: number): Samples {
  return { dataset, indices: createRandom(seed).shuffle(indices.slice()) };
}
