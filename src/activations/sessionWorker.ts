/**
 * The worker's side of a session: ONNX Runtime's `run` blocks the thread it is called on, so it is called here.
 * Built as its own file, dist/session-worker.cjs.
 */
import { parentPort } from 'node:worker_threads';
import { env, InferenceSession } from 'onnxruntime-node';
import type { Tensor } from 'onnxruntime-node';
import { isSieveError, SieveError } from '../errors';
import type { Device } from '../types';
import { findMissingDevice } from './sessionDevices';
import { oneLine, runtimeError } from './sessionErrors';
import type {
  ErrorMessage,
  FeedMessage,
  MeasureResult,
  OpenRequest,
  OpenResult,
  RunRequest,
  RunResult,
  SessionRequest,
  SessionRequestMessage,
  SessionResponseMessage,
} from './sessionProtocol';
import { fromRuntimeTensor, isNumericType, toRuntimeTensor } from './sessionTensors';
import type { DeviceAttempt, TensorInfo } from './types';

const port = parentPort;
if (port === null) throw new Error('session-worker is started by createSession, not on its own');

// Every failure is thrown as well; what ONNX Runtime prints beside it would end up in the user's output.
env.logLevel = 'fatal';

let session: InferenceSession | undefined;
let queue: Promise<void> = Promise.resolve();

port.on('message', ({ id, request }: SessionRequestMessage) => {
  queue = queue.then(() => answer(id, request));
});

async function answer(id: number, request: SessionRequest): Promise<void> {
  let response: SessionResponseMessage;
  try {
    response = { id, result: await handle(request) };
  } catch (error) {
    response = { id, error: errorMessage(error) };
  }
  port!.postMessage(response, transferList(response));
  if (request.kind === 'close') port!.close();
}

async function handle(request: SessionRequest): Promise<OpenResult | RunResult | MeasureResult | undefined> {
  switch (request.kind) {
    case 'open':
      return open(request);
    case 'run':
      return run(request);
    case 'measure':
      return measure(request.feeds, request.repeats);
    case 'close':
      await session?.release();
      session = undefined;
      return undefined;
  }
}

async function open(request: OpenRequest): Promise<OpenResult> {
  const attempts: DeviceAttempt[] = [];
  for (const device of request.devices) {
    const missing = findMissingDevice(device);
    if (missing !== undefined) {
      attempts.push({ device, taken: false, ...missing });
      continue;
    }
    try {
      session = await openOn(device, request);
      attempts.push({ device, taken: true, reason: takenReason(request, device) });
      break;
    } catch (error) {
      attempts.push({ device, taken: false, reason: oneLine(error) });
    }
  }
  return {
    device: attempts.find(({ taken }) => taken)?.device,
    attempts,
    inputs: session === undefined ? [] : session.inputMetadata.map(describe),
    outputs: session === undefined ? [] : session.outputMetadata.map(describe),
    runtimeVersion: env.versions.node ?? env.versions.common,
  };
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
    extra: { session: { intra_op: { allow_spinning: request.spinning ? '1' : '0' } } },
  };
  if (request.model.kind === 'path') return InferenceSession.create(request.model.path, options);
  const { bytes, externalData } = request.model;
  return InferenceSession.create(
    bytes,
    externalData.length === 0 ? options : { ...options, externalData: [...externalData] },
  );
}

async function run({ feeds, outputs }: RunRequest): Promise<RunResult> {
  const opened = openedSession();
  const names = outputs.length > 0 ? outputs : numericOutputs(opened);
  const results = await execute(opened, runtimeFeeds(opened, feeds), names);
  const tensors: FeedMessage[] = [];
  for (const name of names) tensors.push(fromRuntimeTensor(name, results[name]!));
  return { tensors };
}

async function measure(feeds: readonly FeedMessage[], repeats: number): Promise<MeasureResult> {
  const opened = openedSession();
  const runtimeInputs = runtimeFeeds(opened, feeds);
  const names = numericOutputs(opened);
  const latencyMs = new Float64Array(repeats);
  for (let repeat = 0; repeat < repeats; repeat++) {
    const start = performance.now();
    await execute(opened, runtimeInputs, names);
    latencyMs[repeat] = performance.now() - start;
  }
  return { latencyMs };
}

async function execute(
  opened: InferenceSession,
  feeds: Record<string, Tensor>,
  outputs: readonly string[],
): Promise<InferenceSession.OnnxValueMapType> {
  try {
    return await opened.run(feeds, outputs);
  } catch (error) {
    throw runtimeError(error);
  }
}

function runtimeFeeds(opened: InferenceSession, feeds: readonly FeedMessage[]): Record<string, Tensor> {
  const types = new Map(opened.inputMetadata.map((input) => [input.name, describe(input).type]));
  return Object.fromEntries(feeds.map((feed) => [feed.name, toRuntimeTensor(feed, types.get(feed.name) ?? 'float32')]));
}

function numericOutputs(opened: InferenceSession): string[] {
  return opened.outputMetadata.filter((output) => isNumericType(describe(output).type)).map(({ name }) => name);
}

function openedSession(): InferenceSession {
  if (session === undefined) throw new SieveError('ERR_RUNTIME', 'The session was used before it was open');
  return session;
}

function describe(metadata: InferenceSession.ValueMetadata): TensorInfo {
  return metadata.isTensor
    ? { name: metadata.name, type: metadata.type, dims: [...metadata.shape] }
    : { name: metadata.name, type: 'other', dims: [] };
}

function errorMessage(error: unknown): ErrorMessage {
  if (isSieveError(error)) return { code: error.code, message: error.message, remedy: error.remedy };
  return { code: 'ERR_RUNTIME', message: `ONNX Runtime failed: ${oneLine(error)}`, remedy: undefined };
}

/** Buffers move to the other thread. Two outputs may share one, which may be listed only once. */
function transferList(response: SessionResponseMessage): ArrayBuffer[] {
  if ('error' in response || response.result === undefined) return [];
  if ('latencyMs' in response.result) return [response.result.latencyMs.buffer as ArrayBuffer];
  if (!('tensors' in response.result)) return [];
  return [...new Set(response.result.tensors.map(({ data }) => data.buffer as ArrayBuffer))];
}
