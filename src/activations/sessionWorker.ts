/**
 * The worker's side of a session: ONNX Runtime's `run` blocks the thread it is called on, so it is called here.
 * Built as its own file, dist/session-worker.cjs.
 */
import { setImmediate } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import { env } from 'onnxruntime-node';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { flushDenormals } from '../binding/denormals';
import { isSieveError, SieveError } from '../errors';
import { oneLine, runtimeError } from './sessionErrors';
import { buffersOf } from './sessionFeeds';
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
  SessionResult,
} from './sessionProtocol';
import { fromRuntimeTensor, isNumericType, toRuntimeTensor } from './sessionTensors';
import { describe, openModel } from './sessionWorkerOpen';
import { createTrainer, type Trainer } from './trainingSessionWorker';

const port = parentPort;
if (port === null) throw new Error('session-worker is started by createSession, not on its own');

// Every failure is thrown as well; what ONNX Runtime prints beside it would end up in the user's output.
env.logLevel = 'fatal';

let session: InferenceSession | undefined;
let trainer: Trainer | undefined;
let queue: Promise<void> = Promise.resolve();
let isAbandoned = false;

port.on('message', ({ id, request }: SessionRequestMessage) => {
  isAbandoned ||= request.kind === 'abandon';
  queue = queue.then(() => answer(id, request));
});

async function answer(id: number, request: SessionRequest): Promise<void> {
  // What arrived during the last run is seen first: it may be the order to stop.
  await setImmediate();
  if (isAbandoned && request.kind !== 'abandon') return;
  let response: SessionResponseMessage;
  try {
    response = { id, result: await handle(request) };
  } catch (error) {
    response = { id, error: errorMessage(error) };
  }
  port!.postMessage(response, transferList(response));
  if (request.kind === 'close' || request.kind === 'abandon') port!.close();
}

async function handle(request: SessionRequest): Promise<SessionResult> {
  switch (request.kind) {
    case 'open':
      return open(request);
    case 'run':
      return run(request);
    case 'measure':
      return measure(request.feeds, request.repeats);
    case 'step':
      return openedTrainer().step(request.feeds);
    case 'readState':
      return { state: await openedTrainer().readState() };
    case 'writeState':
      openedTrainer().writeState(request.values);
      return undefined;
    case 'close':
    case 'abandon':
      await trainer?.release();
      await session?.release();
      session = undefined;
      trainer = undefined;
      return undefined;
  }
}

async function open(request: OpenRequest): Promise<OpenResult> {
  const { training } = request;
  // Before the threads that ONNX Runtime starts, which may inherit it.
  if (training !== undefined) flushDenormals();
  const { device, attempts, ...opened } = await openModel(request);
  session = opened.session;
  if (training !== undefined && session !== undefined && device !== undefined)
    trainer = createTrainer(session, training, device);
  return {
    device,
    attempts,
    inputs: session === undefined ? [] : session.inputMetadata.map(describe),
    outputs: session === undefined ? [] : session.outputMetadata.map(describe),
    runtimeVersion: env.versions.node ?? env.versions.common,
  };
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

function openedTrainer(): Trainer {
  if (trainer === undefined) throw new SieveError('ERR_RUNTIME', 'The training session was used before it was open');
  return trainer;
}

function errorMessage(error: unknown): ErrorMessage {
  if (isSieveError(error)) return { code: error.code, message: error.message, remedy: error.remedy };
  return { code: 'ERR_RUNTIME', message: `ONNX Runtime failed: ${oneLine(error)}`, remedy: undefined };
}

/** Buffers move to the other thread. Two outputs may share one, which may be listed only once. */
function transferList(response: SessionResponseMessage): ArrayBuffer[] {
  if ('error' in response || response.result === undefined) return [];
  const { result } = response;
  if ('latencyMs' in result) return [result.latencyMs.buffer as ArrayBuffer];
  if ('tensors' in result) return buffersOf(result.tensors);
  if ('results' in result) return buffersOf([...result.results, ...result.feeds]);
  if ('state' in result) return [...result.state.values()].map(({ buffer }) => buffer as ArrayBuffer);
  return [];
}
