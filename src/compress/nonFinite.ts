import { assertFinite } from '../activations/activations';
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
 * the tensor and the sample.
 */
export async function namingNonFinite<T>(activations: NamedActivations, kernel: () => Promise<T>): Promise<T> {
  try {
    return await kernel();
  } catch (error) {
    if (isSieveError(error) && error.code === 'ERR_NON_FINITE') {
      const { tensor, features, indices } = activations;
      const tensors = new Map([[tensor, { dims: [indices.length], data: features }]]);
      assertFinite({ start: 0, count: indices.length, tensors }, indices);
    }
    throw error;
  }
}
