/** Inside the worker: a model opened on the first device that works. */
import { InferenceSession } from 'onnxruntime-node';
import type { Device } from '../types';
import { findMissingDevice } from './sessionDevices';
import { oneLine } from './sessionErrors';
import type { OpenRequest } from './sessionProtocol';
import type { DeviceAttempt, TensorInfo } from './types';

export interface OpenedModel {
  /** Both undefined where every device failed; `attempts` says why. */
  readonly session: InferenceSession | undefined;
  readonly device: Device | undefined;
  readonly attempts: readonly DeviceAttempt[];
}

export async function openModel(request: OpenRequest): Promise<OpenedModel> {
  const attempts: DeviceAttempt[] = [];
  for (const device of request.devices) {
    const missing = findMissingDevice(device);
    if (missing !== undefined) {
      attempts.push({ device, taken: false, ...missing });
      continue;
    }
    try {
      const session = await openOn(device, request);
      attempts.push({ device, taken: true, reason: takenReason(request, device) });
      return { session, device, attempts };
    } catch (error) {
      attempts.push({ device, taken: false, reason: oneLine(error) });
    }
  }
  return { session: undefined, device: undefined, attempts };
}

function takenReason(request: OpenRequest, device: Device): string {
  if (request.devices.length === 1) return 'asked for by name';
  return device === request.devices[0] ? 'the first choice' : 'the first that works';
}

function openOn(device: Device, request: OpenRequest): Promise<InferenceSession> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: [device],
    graphOptimizationLevel: request.graphOptimization,
    executionMode: 'sequential',
    intraOpNumThreads: request.threads,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    // Activations that wait for their gradients, planned as one block, take nearly twice the memory for the same time.
    enableMemPattern: request.training === undefined,
    ...outputLocations(device, request),
    extra: {
      session: {
        intra_op: { allow_spinning: request.spinning ? '1' : '0' },
        // Of the threads that ONNX Runtime starts; the calling thread is the caller's business.
        set_denormal_as_zero: request.training === undefined ? '0' : '1',
      },
    },
  };
  if (request.model.kind === 'path') return InferenceSession.create(request.model.path, options);
  const { bytes, externalData } = request.model;
  return InferenceSession.create(
    bytes,
    externalData.length === 0 ? options : { ...options, externalData: [...externalData] },
  );
}

/** WebGPU keeps the state of a training step in its own memory. No other provider of the Node binding can. */
function outputLocations(device: Device, { training }: OpenRequest): InferenceSession.SessionOptions {
  if (training === undefined || device !== 'webgpu') return {};
  const locations = [
    ...training.states.map(({ output }) => [output, 'gpu-buffer'] as const),
    ...training.results.map((output) => [output, 'cpu'] as const),
  ];
  return { preferredOutputLocation: Object.fromEntries(locations) };
}

export function describe(metadata: InferenceSession.ValueMetadata): TensorInfo {
  return metadata.isTensor
    ? { name: metadata.name, type: metadata.type, dims: [...metadata.shape] }
    : { name: metadata.name, type: 'other', dims: [] };
}
