import { isSieveError } from '../errors';
import type { Device } from '../types';
import { createSession } from './session';

/** Whether a device runs models here. */
export interface DeviceReport {
  readonly device: Device;
  readonly available: boolean;
  /** One line; undefined where it is available. */
  readonly reason: string | undefined;
  readonly remedy: string | undefined;
}

export interface RuntimeReport {
  /** Of ONNX Runtime; undefined where it can not even be loaded (see the reason of `cpu`). */
  readonly runtimeVersion: string | undefined;
  readonly devices: readonly DeviceReport[];
}

const DEVICES: readonly Device[] = ['cpu', 'cuda', 'webgpu'];

/** An ONNX model that adds a float to itself: x + x → y (IR version 8, opset 13). */
const PROBE_MODEL = Buffer.from(
  'CAgSADo5Cg4KAXgKAXgSAXkiA0FkZBIFcHJvYmVaDwoBeBIKCggIARIECgIIAWIPCgF5EgoKCAgBEgQKAggBQgQKABAN',
  'base64',
);

/** Tries every device with a tiny model, one after the other: slow (a second or so), and true. */
export async function probeDevices(signal?: AbortSignal): Promise<RuntimeReport> {
  let runtimeVersion: string | undefined;
  const devices: DeviceReport[] = [];
  for (const device of DEVICES) {
    try {
      const session = await createSession({ bytes: PROBE_MODEL }, { device, threads: 1, signal });
      try {
        await session.run({ x: { dims: [1], data: Float32Array.of(1) } });
        runtimeVersion = session.runtimeVersion;
        devices.push({ device, available: true, reason: undefined, remedy: undefined });
      } finally {
        await session.close();
      }
    } catch (error) {
      if (!isSieveError(error) || error.code === 'ERR_CANCELLED') throw error;
      devices.push({ device, available: false, reason: error.message, remedy: error.remedy });
    }
  }
  return { runtimeVersion, devices };
}
