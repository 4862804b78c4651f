import { isSieveError } from '../errors';
import { loadAddon } from './load';

/**
 * Ends the process at once with this exit code, whatever its threads do; output that is not written yet is lost.
 * `process.exit` waits for a worker that runs a model, whose ONNX Runtime then aborts the process; so it ends only where
 * there is no addon.
 */
export function exitNow(code: number): never {
  try {
    return loadAddon().exitNow(code);
  } catch (error) {
    if (!isSieveError(error) || error.code !== 'ERR_NATIVE_MISSING') throw error;
    process.exit(code);
  }
}
