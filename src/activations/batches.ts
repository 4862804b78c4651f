import { SieveError, throwIfAborted } from '../errors';
import type { ImageInput, Session, TensorValue } from './types';

const DEFAULT_BATCH_SIZE = 64;

export function sampleElements({ channels, height, width }: ImageInput): number {
  return channels * height * width;
}

/** Shape of `count` samples of the input. */
export function inputDims(input: ImageInput, count: number): number[] {
  const { channels, height, width, layout } = input;
  return layout === 'NCHW' ? [count, channels, height, width] : [count, height, width, channels];
}

/** Samples of one run: what the model insists on, else `wanted`. */
export function batchSizeFor(input: ImageInput, wanted = DEFAULT_BATCH_SIZE): number {
  return input.fixedBatch ?? Math.max(1, Math.floor(wanted));
}

/**
 * Runs one batch of `count` samples. A model with a fixed batch gets the missing samples as zeros, and their rows
 * are dropped from the results. `samples` may be given away to the worker: it is empty afterwards.
 *
 * Errors: ERR_MODEL_UNSUPPORTED where a tensor has no row for each sample, and those of Session.run.
 */
export async function runBatch(
  session: Session,
  input: ImageInput,
  samples: Float32Array,
  outputs: readonly string[],
  signal?: AbortSignal,
): Promise<Map<string, TensorValue>> {
  const elements = sampleElements(input);
  const count = samples.length / elements;
  const rows = input.fixedBatch ?? count;
  const data = rows === count ? samples : padded(samples, rows * elements);
  const feeds = { [input.name]: { dims: inputDims(input, rows), data } };
  const results = await raceAbort(session.run(feeds, outputs, { transferFeeds: true }), signal);
  return new Map([...results].map(([name, value]) => [name, firstRows(name, value, rows, count)]));
}

function padded(samples: Float32Array, length: number): Float32Array {
  const data = new Float32Array(length);
  data.set(samples);
  return data;
}

function firstRows(name: string, value: TensorValue, rows: number, count: number): TensorValue {
  if (value.dims[0] !== rows) {
    throw new SieveError(
      'ERR_MODEL_UNSUPPORTED',
      `Expected one row for each of ${rows} samples for tensor "${name}" but received shape [${value.dims.join(', ')}]`,
      { remedy: 'Tap a tensor whose first dimension is the batch.' },
    );
  }
  if (rows === count) return value;
  const dims = [count, ...value.dims.slice(1)];
  // A copy, so that the dropped rows do not stay in memory behind the view.
  return { dims, data: value.data.slice(0, (value.data.length / rows) * count) };
}

/** Rejects as soon as the signal is aborted; what runs in the worker then ends unheard. */
export async function raceAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  throwIfAborted(signal);
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(new SieveError('ERR_CANCELLED', 'The operation was cancelled', { cause: signal.reason }));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    // The loser of the race must not become an unhandled rejection.
    work.catch(() => undefined);
  }
}
