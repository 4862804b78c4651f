import { isSieveError } from '../../src/errors';

/** The code of the SieveError that `run` throws; another error itself; 'no error' where it returns. */
export function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return isSieveError(error) ? error.code : error;
  }
  return 'no error';
}
