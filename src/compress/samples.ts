import { splitStratified, stratifiedSample } from '../activations/calibration';
import { openDataset } from '../activations/datasets/open';
import type { Dataset, DatasetSpec } from '../activations/types';
import type { Classifier } from './open';
import type { Runtime, Samples } from './network';

/** Opens a data set for a classifier and says which normalisation is used and what was left out. */
export async function openSamples(
  data: string | DatasetSpec,
  classifier: Classifier,
  runtime: Runtime,
  purpose: string,
): Promise<Dataset> {
  const dataset = await openDataset(data, {
    input: classifier.input,
    classCount: classifier.classes,
    signal: runtime.signal,
    onProgress: runtime.onProgress,
  });
  const { scale, mean, std } = dataset.normalization;
  const list = (values: readonly number[]): string => values.map((value) => +value.toPrecision(4)).join(', ');
  runtime.onMessage?.(
    `${purpose}: ${dataset.size} samples of ${dataset.classNames.length} classes; ` +
      `input = (value × ${+scale.toPrecision(6)} − [${list(mean)}]) / [${list(std)}]`,
  );
  if (dataset.skipped.length > 0) {
    const [first] = dataset.skipped;
    runtime.onMessage?.(
      `${purpose}: ${dataset.skipped.length} corrupt images left out (first: ${first?.name ?? ''}: ${first?.reason ?? ''})`,
    );
  }
  return dataset;
}

/** A stratified draw of `count` samples, all of them where there are not so many. */
export function drawSamples(dataset: Dataset, count: number | undefined, seed: number): Samples {
  const indices =
    count === undefined || count >= dataset.size
      ? Int32Array.from({ length: dataset.size }, (_, index) => index)
      : stratifiedSample(dataset.labels, count, seed);
  return { dataset, indices };
}

/** The least share of the data that is kept apart for validation, and how many samples that should be. */
const VALIDATION_FRACTION = 0.1;
const VALIDATION_SAMPLES = 1000;

/**
 * Calibration and validation samples from one data set, disjoint: a tenth of the data, but not more than 1,000
 * samples, is set aside for validation first; calibration draws from the rest.
 */
export function splitSamples(
  dataset: Dataset,
  calibrationCount: number,
  seed: number,
): { calibration: Samples; validation: Samples } {
  const { part } = splitStratified(dataset.labels, VALIDATION_FRACTION, seed);
  const labels = Int32Array.from(part, (index) => dataset.labels[index] ?? 0);
  const validation =
    part.length <= VALIDATION_SAMPLES
      ? part
      : Int32Array.from(stratifiedSample(labels, VALIDATION_SAMPLES, seed), (position) => part[position] ?? 0);
  const calibration = stratifiedSample(dataset.labels, calibrationCount, seed, { exclude: validation });
  return { calibration: { dataset, indices: calibration }, validation: { dataset, indices: validation } };
}

/** What is left of a data set without some of its samples. */
export function samplesBut({ dataset }: Samples, ...spared: readonly Samples[]): Samples {
  const left = new Uint8Array(dataset.size).fill(1);
  for (const samples of spared) if (samples.dataset === dataset) for (const index of samples.indices) left[index] = 0;
  return { dataset, indices: Int32Array.from(left.keys()).filter((index) => left[index] === 1) };
}
