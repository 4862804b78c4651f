import { expected, SieveError, throwIfAborted } from '../errors';
import type { RunControl } from '../types';
import { batchSizeFor, inputDims, raceAbort, runBatch, sampleElements } from './batches';
import { DEFAULT_MEMORY_BUDGET_BYTES, planPasses } from './passes';
import type { TapSize } from './passes';
import type { ActivationBatch, Dataset, ImageInput, Session, TensorValue } from './types';

/** What to run over which samples. */
export interface DatasetRun extends RunControl {
  readonly session: Session;
  readonly input: ImageInput;
  readonly dataset: Dataset;
  /** Samples of the data set, in the order wanted. */
  readonly indices: ArrayLike<number>;
  /** Samples of one run. Default 64, fewer where `memoryBudgetBytes` asks for it; a model's fixed batch wins. */
  readonly batchSize?: number;
  /** Float32 bytes of activations to hold at a time. Default 2 GiB. */
  readonly memoryBudgetBytes?: number;
}

export interface ActivationRun extends DatasetRun {
  /** Outputs of the session's model, and the name of its input for the samples as the network sees them. */
  readonly taps: readonly string[];
}

/** The size of a tapped tensor; `dims` are those of one sample. */
export interface MeasuredTap extends TapSize {
  readonly dims: readonly number[];
}

/** Activations of one tensor over all requested samples: `features` is row-major [rows, elementsPerSample]. */
export interface CollectedActivations {
  readonly rows: number;
  readonly elementsPerSample: number;
  /** Of one sample, such as [channels, height, width]. */
  readonly dims: readonly number[];
  readonly features: Float32Array;
}

/** A batch in memory is the worker's copy and ours, for a moment both. */
const COPIES_OF_A_BATCH = 2;

/**
 * Activations batch by batch, in the order of `indices`, each batch the caller's to keep. The next batch is
 * decoded while one runs.
 *
 * Errors: ERR_CANCELLED, ERR_MODEL_UNSUPPORTED (a tensor without a row for each sample), those of Dataset.load and
 * Session.run.
 */
export async function* streamActivations(run: ActivationRun): AsyncGenerator<ActivationBatch> {
  const { session, input, dataset, indices, taps, signal, onProgress } = run;
  const total = indices.length;
  if (total === 0) return;
  const batchSize = await chooseBatchSize(run);
  const load = (start: number): Promise<Float32Array> => {
    const batch = Array.from({ length: Math.min(batchSize, total - start) }, (_, offset) => indices[start + offset]!);
    const loading = dataset.load(batch, signal);
    // It is awaited later; until then a failure must not count as unhandled.
    loading.catch(() => undefined);
    return loading;
  };

  let next = load(0);
  for (let start = 0; start < total; start += batchSize) {
    const samples = await raceAbort(next, signal);
    const count = Math.min(batchSize, total - start);
    if (start + batchSize < total) next = load(start + batchSize);
    const tensors = await tensorsOf(session, input, samples, taps, signal);
    onProgress?.({ stage: 'activations', fraction: (start + count) / total });
    yield { start, count, tensors };
  }
}

/** As runBatch, and the samples themselves where they are tapped. Where nothing else is, the network does not run. */
async function tensorsOf(
  session: Session,
  input: ImageInput,
  samples: Float32Array,
  taps: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Map<string, TensorValue>> {
  if (!taps.includes(input.name)) return runBatch(session, input, samples, taps, signal);
  const outputs = taps.filter((name) => name !== input.name);
  const dims = inputDims(input, samples.length / sampleElements(input));
  if (outputs.length === 0) return new Map([[input.name, { dims, data: samples }]]);
  const data = samples.slice();
  return new Map([[input.name, { dims, data }], ...(await runBatch(session, input, samples, outputs, signal))]);
}

async function chooseBatchSize(run: ActivationRun): Promise<number> {
  const wanted = batchSizeFor(run.input, run.batchSize);
  if (run.memoryBudgetBytes === undefined || run.batchSize !== undefined || run.input.fixedBatch !== undefined) {
    return wanted;
  }
  const measured = await measureTaps(run.session, run.input, run.taps, run.signal);
  const elements = measured.reduce((sum, { elementsPerSample }) => sum + elementsPerSample, 0);
  const fitting = Math.floor(run.memoryBudgetBytes / (elements * Float32Array.BYTES_PER_ELEMENT * COPIES_OF_A_BATCH));
  return Math.max(1, Math.min(wanted, fitting));
}

/** The sizes of tapped tensors, found by running one sample of zeros. */
export async function measureTaps(
  session: Session,
  input: ImageInput,
  taps: readonly string[],
  signal?: AbortSignal,
): Promise<MeasuredTap[]> {
  const tensors = await tensorsOf(session, input, new Float32Array(sampleElements(input)), taps, signal);
  return taps.map((name) => {
    const { dims, data } = tensors.get(name)!;
    return { name, elementsPerSample: data.length, dims: dims.slice(1) };
  });
}

/**
 * Activations of all requested samples, held whole: one Map by tensor name for each pass, as many passes over the
 * data as the memory budget asks for (planPasses). A pass's arrays are the caller's; they are freed when the
 * caller lets go of them.
 *
 * Errors: as streamActivations; ERR_OUT_OF_MEMORY where a single tensor exceeds the budget.
 */
export async function* collectActivations(
  run: ActivationRun,
): AsyncGenerator<ReadonlyMap<string, CollectedActivations>> {
  const { session, input, taps, indices, signal, onProgress, memoryBudgetBytes = DEFAULT_MEMORY_BUDGET_BYTES } = run;
  const rows = indices.length;
  const passes = planPasses(await measureTaps(session, input, taps, signal), rows, memoryBudgetBytes);
  for (const [passIndex, pass] of passes.entries()) {
    const features = await collectColumns(
      {
        ...run,
        memoryBudgetBytes,
        onProgress: (event) => onProgress?.({ ...event, fraction: (passIndex + event.fraction) / passes.length }),
      },
      pass.map((tap) => ({ tap, first: 0, columns: tap.elementsPerSample })),
    );
    yield new Map(
      pass.map(({ name, elementsPerSample, dims }, position) => [
        name,
        { rows, elementsPerSample, dims, features: features[position]! },
      ]),
    );
  }
}

/** Values `first` to `first + columns - 1` of each sample of a tap. */
export interface ColumnRange {
  readonly tap: TapSize;
  readonly first: number;
  readonly columns: number;
}

/**
 * Some columns of some taps, of all requested samples, in one pass over the data: row-major [rows, columns] for each range.
 *
 * Errors: as streamActivations.
 */
export async function collectColumns(
  run: Omit<ActivationRun, 'taps'>,
  ranges: readonly ColumnRange[],
): Promise<Float32Array[]> {
  const collected = ranges.map(({ columns }) => new Float32Array(run.indices.length * columns));
  const taps = [...new Set(ranges.map(({ tap }) => tap.name))];
  for await (const { start, count, tensors } of streamActivations({ ...run, taps })) {
    for (const [position, { tap, first, columns }] of ranges.entries()) {
      const { data } = tensors.get(tap.name)!;
      const target = collected[position]!;
      const stride = tap.elementsPerSample;
      if (columns === stride) {
        target.set(data, start * columns);
        continue;
      }
      for (let i = 0; i < count; i++) {
        const begin = i * stride + first;
        target.set(data.subarray(begin, begin + columns), (start + i) * columns);
      }
    }
  }
  throwIfAborted(run.signal);
  return collected;
}

/**
 * Finds NaN and ±Inf in a batch. `indices` are those of the run, to name the sample of the data set.
 * Errors: ERR_NON_FINITE naming the first tensor and sample.
 */
export function assertFinite({ start, count, tensors }: ActivationBatch, indices: ArrayLike<number>): void {
  for (const [name, { data }] of tensors) {
    const position = firstNonFinite(data);
    if (position < 0) continue;
    const sample = indices[start + Math.floor(position / (data.length / count))]!;
    throw new SieveError(
      'ERR_NON_FINITE',
      `Expected finite numbers for tensor "${name}" of sample ${sample} but received ${data[position]!}`,
      { remedy: 'Check the normalisation (scale, mean, std) and the weights of the model.' },
    );
  }
}

/** Position of the first value that is NaN or infinite, −1 where there is none. */
export function firstNonFinite(data: Float32Array): number {
  // x · 0 is 0 for every finite x and NaN otherwise, so one sum without branches answers the usual case.
  let sum = 0;
  for (const value of data) sum += value * 0;
  return sum === 0 ? -1 : data.findIndex((value) => !Number.isFinite(value));
}

export interface Predictions {
  /** Row-major [samples, classes]. */
  readonly logits: Float32Array;
  readonly classes: number;
  /** [samples] */
  readonly labels: Int32Array;
}

export interface PredictRun extends DatasetRun {
  /** The output that holds one value for each class. */
  readonly logitsName: string;
}

/**
 * The model's answers beside the true labels. Outputs of shape [samples, classes] or with further dimensions of
 * length 1.
 *
 * Errors: as streamActivations; ERR_MODEL_UNSUPPORTED for another output shape; ERR_DATA_MISMATCH where a label
 * is beyond the classes of the output.
 */
export async function predict(run: PredictRun): Promise<Predictions> {
  const { indices, dataset, logitsName } = run;
  if (indices.length === 0) throw expected('ERR_USAGE', 'at least one sample', 'the prediction', 'none');
  let logits = new Float32Array(0);
  let classes = 0;
  for await (const { start, count, tensors } of streamActivations({ ...run, taps: [logitsName] })) {
    const { dims, data } = tensors.get(logitsName)!;
    if (start === 0) {
      classes = data.length / count;
      if (dims.length < 2 || dims[1] !== classes) {
        throw expected('ERR_MODEL_UNSUPPORTED', 'shape [samples, classes]', `output "${logitsName}"`, [...dims]);
      }
      logits = new Float32Array(indices.length * classes);
    }
    logits.set(data, start * classes);
  }
  const labels = Int32Array.from(indices, (index) => dataset.labels[index]!);
  const outside = labels.find((label) => label >= classes);
  if (outside !== undefined) {
    throw expected('ERR_DATA_MISMATCH', `labels below ${classes}`, `output "${logitsName}"`, `label ${outside}`, {
      remedy: 'Use data with the classes that the model was trained on.',
    });
  }
  return { logits, classes, labels };
}
