import { callNative } from './run';

/**
 * From now on the calling thread's float arithmetic, JavaScript's too, takes denormal numbers for zero and gives zero
 * in their place. Meant for a worker that does nothing but run a model: on most processors arithmetic with denormals
 * is many times slower. False where this processor has no such mode.
 */
export function flushDenormals(): boolean {
  return callNative((addon) => addon.flushDenormals());
}
