import type { SieveErrorCode } from '../errors';
import { SieveError, throwIfAborted } from '../errors';
import type { RunControl } from '../types';
import type { BackendChoice, NativeAddon, NativeRun } from './addon';
import { loadAddon } from './load';

/** How a native computation runs. */
export interface NativeControl extends RunControl {
  /** Default `auto`: the environment variable SIEVE_BACKEND if it is set, else the fastest available kernel. */
  readonly backend?: BackendChoice;
  /** 0 or absent: as many as the process may use. */
  readonly threads?: number;
}

/**
 * Calls one asynchronous function of the addon: `signal` cancels it within milliseconds, `onProgress` gets events of
 * the given stage, and whatever the native side refuses becomes a SieveError. What `onProgress` throws is passed on.
 *
 * @throws SieveError ERR_CANCELLED once `signal` is aborted; the code of the refusal otherwise.
 */
export async function runNative<Result>(
  stage: string,
  control: NativeControl,
  call: (addon: NativeAddon, run: NativeRun) => Promise<Result>,
): Promise<Result> {
  const { signal, onProgress } = control;
  throwIfAborted(signal);
  const addon = loadAddon();
  const token = new addon.CancelToken();
  const cancel = (): void => token.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  let listenerFailure: { readonly error: unknown } | undefined;
  const report = (fraction: number): void => {
    try {
      onProgress?.({ stage, fraction });
    } catch (error) {
      listenerFailure = { error };
      throw error; // the addon cancels and rejects
    }
  };
  try {
    const run = { backend: control.backend, threads: control.threads, token, onProgress: onProgress && report };
    return await call(addon, run);
  } catch (error) {
    if (listenerFailure !== undefined) throw listenerFailure.error;
    throwIfAborted(signal);
    throw fromNative(error);
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

/** As runNative, for the functions of the addon that answer at once. */
export function callNative<Result>(call: (addon: NativeAddon) => Result): Result {
  const addon = loadAddon();
  try {
    return call(addon);
  } catch (error) {
    throw fromNative(error);
  }
}

const REMEDIES: Partial<Record<SieveErrorCode, string>> = {
  ERR_NON_FINITE: 'Find where the model makes NaN or infinity, or leave such rows out with skipNonFinite.',
  ERR_DEVICE: 'Take backend "auto" and unset SIEVE_BACKEND.',
  ERR_OUT_OF_MEMORY: 'Use fewer rows or columns at once.',
};

// Native errors carry a `code`; they are of another realm under jest and in vm contexts, so instanceof would miss them.
function fromNative(error: unknown): unknown {
  if (typeof error !== 'object' || error === null) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (error instanceof SieveError || typeof code !== 'string' || typeof message !== 'string') return error;
  return new SieveError(code as SieveErrorCode, message, { cause: error, remedy: REMEDIES[code as SieveErrorCode] });
}
