import { isSieveError, SieveError, throwIfAborted } from '../errors';
import type { Device, DeviceChoice } from '../types';
import { createSession } from './session';
import type { DeviceAttempt, Session } from './types';

/** Whether a device runs models here, and if not, why and what would make it. */
export interface ExaminedDevice {
  readonly device: Device;
  readonly works: boolean;
  readonly reason: string | undefined;
  readonly remedy: string | undefined;
}

const DEVICES: readonly Device[] = ['cpu', 'cuda', 'webgpu'];

/** ONNX, opset 13: y = Relu(x) on one float. Enough to see whether a device runs anything. */
const SMALLEST_MODEL = 'CAcSADozCgwKAXgSAXkiBFJlbHUSAWdaDwoBeBIKCggIARIECgIIAWIPCgF5EgoKCAgBEgQKAggBQgQKABAN';

/**
 * An automatic choice is asked first: it says without touching a driver what is plainly missing, and why. What it
 * did not come to is then asked for by name. Takes a second or so. Throws only ERR_CANCELLED.
 */
export async function examineDevices(signal?: AbortSignal): Promise<readonly ExaminedDevice[]> {
  let attempts: readonly DeviceAttempt[];
  try {
    attempts = (await runSmallestModel('auto', signal)).attempts;
  } catch (error) {
    throwIfAborted(signal);
    attempts = [{ device: 'cpu', taken: false, reason: messageOf(error) }];
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
    return { device, works: false, reason: messageOf(error), remedy: 'Use another device.' };
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

function messageOf(error: unknown): string {
  return isSieveError(error) || error instanceof Error ? error.message : String(error);
}
