import { expected } from '../errors';
import { createRandom } from '../random';
import { batchSizeFor, runBatch, sampleElements } from './batches';
import type { ImageInput, Session, TensorValue } from './types';

/** More values than these are repetitions: drawing millions would hold up the event loop for seconds. */
const DISTINCT_VALUES = 2 ** 15;

/** Standard normal input values for `count` samples, the same for the same seed; enough to time a model with. */
export function randomSamples(input: ImageInput, count: number, seed: number): Float32Array {
  const random = createRandom(seed);
  const values = new Float32Array(count * sampleElements(input));
  const drawn = Math.min(values.length, DISTINCT_VALUES);
  for (let position = 0; position < drawn; position++) values[position] = random.normal();
  for (let filled = drawn; filled < values.length; filled *= 2) values.copyWithin(filled, 0, filled);
  return values;
}

/** Samples that are in memory already, in the layout of the input. */
export interface SampleRun {
  readonly session: Session;
  readonly input: ImageInput;
  /** [samples, ...], left as it is. */
  readonly samples: Float32Array;
  readonly outputs: readonly string[];
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
}

/** Runs samples in batches, a fixed batch padded, and joins the results. Errors: ERR_SHAPE, those of runBatch. */
export async function runSamples(run: SampleRun): Promise<ReadonlyMap<string, TensorValue>> {
  const { session, input, samples, outputs, signal } = run;
  const elements = sampleElements(input);
  if (samples.length === 0 || samples.length % elements !== 0) {
    throw expected('ERR_SHAPE', `a positive multiple of ${elements} values`, 'the samples', samples);
  }
  const total = samples.length / elements;
  const batchSize = batchSizeFor(input, run.batchSize);
  const joined = new Map<string, TensorValue>();
  for (let start = 0; start < total; start += batchSize) {
    const batch = samples.slice(start * elements, (start + batchSize) * elements);
    for (const [name, { dims, data }] of await runBatch(session, input, batch, outputs, signal)) {
      const perSample = data.length / dims[0]!;
      if (start === 0) joined.set(name, { dims: [total, ...dims.slice(1)], data: new Float32Array(total * perSample) });
      joined.get(name)!.data.set(data, start * perSample);
    }
  }
  return joined;
}
