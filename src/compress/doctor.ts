import { examineDevices } from '../activations/providers';
import type { ExaminedDevice } from '../activations/providers';
import type { Backend } from '../binding/addon';
import { callNative } from '../binding/run';
import { isSieveError } from '../errors';
import { describeEnvironment } from '../report/environment';
import type { EnvironmentDescription } from '../report/environment';
import type { RunControl } from '../types';

/** Why something does not work here, and what can be done about it. */
export interface Diagnosis {
  readonly code: string;
  readonly message: string;
  readonly remedy: string | undefined;
}

export interface DoctorResult {
  readonly environment: EnvironmentDescription;
  readonly kernels: {
    readonly backends: readonly { readonly name: Backend; readonly available: boolean }[];
    /** The backend that is taken where none is asked for. */
    readonly chosen: Backend | undefined;
    /** Set where the native core can not be used. */
    readonly error: Diagnosis | undefined;
  };
  readonly devices: readonly ExaminedDevice[];
}

/** What was found on this machine, by trying it: kernels, devices, versions. Throws only when it is cancelled. */
export async function doctor({ signal }: Pick<RunControl, 'signal'> = {}): Promise<DoctorResult> {
  return { environment: describeEnvironment(), kernels: examineKernels(), devices: await examineDevices(signal) };
}

function examineKernels(): DoctorResult['kernels'] {
  let backends: DoctorResult['kernels']['backends'] = [];
  try {
    backends = callNative((addon) => addon.backends());
    return { backends, chosen: callNative((addon) => addon.resolveBackend('auto')), error: undefined };
  } catch (error) {
    return { backends, chosen: undefined, error: diagnose(error) };
  }
}

function diagnose(error: unknown): Diagnosis {
  if (isSieveError(error)) return { code: error.code, message: error.message, remedy: error.remedy };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'ERR_RUNTIME', message, remedy: undefined };
}
