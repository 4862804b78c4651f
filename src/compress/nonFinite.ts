import { assertFinite, firstNonFinite, streamActivations, type ActivationRun } from '../activations/activations';
import { isSieveError } from '../errors';

/** Activations of one tensor; row-major, a row for each of `indices`. */
export interface NamedActivations {
  readonly tensor: string;
  readonly features: Float32Array;
  /** Samples of the data set. */
  readonly indices: Int32Array;
}

/**
 * Runs a kernel on activations. Where these hold NaN or an infinity the kernel names a row; the error thrown here names
 * the sample and the tensor: with `run` the first of its taps that is not finite when the network runs on this sample.
 */
export async function namingNonFinite<T>(
  activations: NamedActivations,
  kernel: () => Promise<T>,
  run?: Omit<ActivationRun, 'indices'>,
): Promise<T> {
  try {
    return await kernel();
  } catch (error) {
    if (isSieveError(error) && error.code === 'ERR_NON_FINITE') {
      const { tensor, features, indices } = activations;
      const row = Math.floor(firstNonFinite(features) / (features.length / indices.length));
      if (run !== undefined && row >= 0) await nameOrigin(run, indices[row]!);
      const tensors = new Map([[tensor, { dims: [indices.length], data: features }]]);
      assertFinite({ start: 0, count: indices.length, tensors }, indices);
    }
    throw error;
  }
}

async function nameOrigin(run: Omit<ActivationRun, 'indices'>, sample: number): Promise<void> {
  const indices = [sample];
  for await (const { start, count, tensors } of streamActivations({ ...run, indices })) {
    for (const tap of run.taps) assertFinite({ start, count, tensors: new Map([[tap, tensors.get(tap)!]]) }, indices);
  }
}
