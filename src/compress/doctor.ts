import { createSession } from '../activations/session';
import type { DeviceAttempt, Session } from '../activations/types';
import type { Backend } from '../binding/addon';
import { callNative } from '../binding/run';
import { isSieveError, SieveError, throwIfAborted } from '../errors';
import { describeEnvironment } from '../report/environment';
import type { EnvironmentDescription } from '../report/environment';
import type { Device, DeviceChoice, RunControl } from '../types';

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

export interface ExaminedDevice {
  readonly device: Device;
  readonly works: boolean;
  readonly reason: string | undefined;
  readonly remedy: string | undefined;
}

const DEVICES: readonly Device[] = ['cpu', 'cuda', 'webgpu'];

/** ONNX, opset 13: y = Relu(x) on one float. Enough to see whether a device runs anything. */
const SMALLEST_MODEL = 'CAcSADozCgwKAXgSAXkiBFJlbHUSAWdaDwoBeBIKCggIARIECgIIAWIPCgF5EgoKCAgBEgQKAggBQgQKABAN';

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

/**
 * An automatic choice is asked first: it says without touching a driver what is plainly missing, and why. What it
 * did not come to is then asked for by name.
 */
async function examineDevices(signal: AbortSignal | undefined): Promise<readonly ExaminedDevice[]> {
  let attempts: readonly DeviceAttempt[];
  try {
    attempts = (await runSmallestModel('auto', signal)).attempts;
  } catch (error) {
    throwIfAborted(signal);
    attempts = [{ device: 'cpu', taken: false, reason: diagnose(error).message }];
  }
  const examined: ExaminedDevice[] = [];
  for (const device of DEVICES) {
    const attempt = attempts.find((tried) => tried.device === device);
    if (attempt === undefined) examined.push(await examineByName(device, signal));
    else if (attempt.taken) examined.push({ device, works: true, reason: undefined, remedy: undefined });
    else examined.push({ device, works: false, reason: attempt.reason, remedy: attempt.remedy });
  }
  return examined;
}

async function examineByName(device: Device, signal: AbortSignal | undefined): Promise<ExaminedDevice> {
  try {
    await runSmallestModel(device, signal);
    return { device, works: true, reason: undefined, remedy: undefined };
  } catch (error) {
    throwIfAborted(signal);
    return { device, works: false, reason: diagnose(error).message, remedy: 'Use another device.' };
  }
}

async function runSmallestModel(device: DeviceChoice, signal: AbortSignal | undefined): Promise<Session> {
  const session = await createSession({ bytes: Buffer.from(SMALLEST_MODEL, 'base64') }, { device, threads: 1, signal });
  try {
    const outputs = await session.run({ x: { dims: [1], data: Float32Array.of(2.5) } });
    const received = outputs.get('y')?.data[0];
    if (received !== 2.5) {
      throw new SieveError('ERR_DEVICE', `Expected 2.5 for Relu(2.5) on ${session.device} but received ${received}`);
    }
    return session;
  } finally {
    await session.close();
  }
}

function diagnose(error: unknown): Diagnosis {
  if (isSieveError(error)) return { code: error.code, message: error.message, remedy: error.remedy };
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'ERR_RUNTIME', message, remedy: undefined };
}
