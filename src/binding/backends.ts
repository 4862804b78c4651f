import type { Backend, BackendChoice } from './addon';
import { loadAddon } from './load';
import { callNative } from './run';

/** Every kernel this build has, slowest first, and whether this CPU can run it. */
export function listBackends(): readonly { readonly name: Backend; readonly available: boolean }[] {
  return callNative((addon) => addon.backends());
}

/**
 * The kernel a choice means on this machine; `auto` heeds the environment variable SIEVE_BACKEND.
 *
 * @throws SieveError ERR_DEVICE where it does not exist or this CPU lacks it.
 */
export function resolveBackend(choice: BackendChoice = 'auto'): Backend {
  return callNative((addon) => addon.resolveBackend(choice));
}

/** Version of the native library, "major.minor.patch". */
export function nativeVersion(): string {
  return loadAddon().version;
}
