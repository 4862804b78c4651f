import { createSession } from '../activations/session';
import type { TensorInfo, TensorValue } from '../activations/types';
import { expected } from '../errors';
import { compareOutputs, equivalenceTolerance, type Equivalence } from '../onnx/passes/checkEquivalence';
import type { Model } from '../onnx/ir';
import { toModelBytes } from '../onnx/save';
import { createRandom } from '../random';
import type { DeviceChoice, RunControl } from '../types';
import type { ModelSource } from './api';
import { openModel } from './open';

export type { Equivalence };

export interface EquivalenceOptions extends Pick<RunControl, 'signal'> {
  /**
   * Values for the models' one input, row-major, any number of whole samples. Absent: `samples` of uniform random numbers
   * from −1 to 1, for any number of inputs.
   */
  readonly input?: Float32Array;
  /** Default 4; a model's fixed batch wins. */
  readonly samples?: number;
  /** Of the random numbers. Default 0. */
  readonly seed?: number;
  /**
   * Largest difference that counts as rounding, as a part of the output's scale. Default 1e-4, more where layers of the
   * reference are 16-bit: 2^-10 · √layers for float16, 2^-7 · √layers for bfloat16.
   */
  readonly tolerance?: number;
  /** Default `cpu`. */
  readonly device?: DeviceChoice;
  readonly threads?: number;
}

const DEFAULT_SAMPLES = 4;

/**
 * Runs two models on the same input and compares all outputs of the reference, element by element; the worst output is
 * reported. The runtime's graph optimisations are off, as they would change one graph and not the other.
 *
 * A difference is no error: see `equal`. Errors: ERR_MODEL_UNREADABLE, ERR_MODEL_UNSUPPORTED (sizes of an input are open,
 * an output is missing), ERR_SHAPE (`input` holds no whole number of samples), ERR_OPTION, and those of the runtime.
 */
export async function checkEquivalence(
  reference: ModelSource,
  actual: ModelSource,
  options: EquivalenceOptions = {},
): Promise<Equivalence> {
  const original = await openModel(reference, options.signal);
  const tolerance = options.tolerance ?? equivalenceTolerance(original.graph);
  if (!(tolerance >= 0)) throw expected('ERR_OPTION', 'a number, 0 or more,', 'tolerance', tolerance);
  const wanted = await outputsOf(original, options);
  const given = await outputsOf(await openModel(actual, options.signal), options);
  const compared = [...wanted].map(([name, { data }]) => {
    const other = given.get(name);
    if (other === undefined)
      throw expected('ERR_MODEL_UNSUPPORTED', `an output "${name}"`, 'the second model', [...given.keys()]);
    return compareOutputs(data, other.data, tolerance);
  });
  const [worst] = compared.sort((left, right) => right.relativeDifference - left.relativeDifference);
  if (worst === undefined) throw expected('ERR_MODEL_UNSUPPORTED', 'a numeric output', 'the reference', 'none');
  return worst;
}

async function outputsOf(model: Model, options: EquivalenceOptions): Promise<ReadonlyMap<string, TensorValue>> {
  const { device = 'cpu', threads, signal } = options;
  const session = await createSession(toModelBytes(model), { device, threads, signal, graphOptimization: 'disabled' });
  try {
    return await session.run(feedsFor(session.inputs, options));
  } finally {
    await session.close();
  }
}

function feedsFor(inputs: readonly TensorInfo[], options: EquivalenceOptions): Record<string, TensorValue> {
  const { input, samples = DEFAULT_SAMPLES, seed = 0 } = options;
  if (!Number.isInteger(samples) || samples < 1)
    throw expected('ERR_OPTION', 'a whole number, 1 or more,', 'samples', samples);
  if (input !== undefined && inputs.length !== 1)
    throw expected('ERR_OPTION', 'one input that the values are for', 'the model', `${inputs.length} inputs`, {
      remedy: 'Leave out `input`: then random values are made for all of them.',
    });
  const random = createRandom(seed);
  return Object.fromEntries(
    inputs.map((info) => {
      const [batch, ...rest] = info.dims;
      const elements = elementsPerSample(info, rest);
      const count = input === undefined ? (typeof batch === 'number' ? batch : samples) : input.length / elements;
      if (!Number.isInteger(count) || count < 1)
        throw expected('ERR_SHAPE', `samples of ${elements} values`, `input "${info.name}"`, input);
      const data = input ?? Float32Array.from({ length: count * elements }, () => 2 * random.uniform() - 1);
      return [info.name, { dims: [count, ...rest.map(Number)], data }];
    }),
  );
}

function elementsPerSample({ name, dims }: TensorInfo, rest: readonly (number | string)[]): number {
  if (dims.length === 0 || !rest.every((size) => typeof size === 'number'))
    throw expected('ERR_MODEL_UNSUPPORTED', 'known sizes but for the batch', `input "${name}"`, dims, {
      remedy: 'Export the model with a fixed height and width.',
    });
  return rest.reduce<number>((product, size) => product * Number(size), 1);
}
