import { constants, existsSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expected, SieveError, throwIfAborted } from '../errors';
import { packageRoot } from '../packageRoot';
import type { Device, DeviceChoice, ModelBytes } from '../types';
import { blamesModel, modelError, oneLine } from './sessionErrors';
import type {
  FeedMessage,
  GraphOptimization,
  MeasureResult,
  ModelMessage,
  OpenRequest,
  OpenResult,
  RunResult,
  SessionRequest,
  SessionRequestMessage,
  SessionResponseMessage,
} from './sessionProtocol';
import type { RunOptions, Session, TensorValue } from './types';

export type { GraphOptimization } from './sessionProtocol';

export interface SessionOptions {
  /** `auto` tries cuda, webgpu and cpu in turn and takes the first that works. Default `auto`. */
  readonly device?: DeviceChoice;
  /** Threads of one operator on the CPU. 0 or absent: as many as this process may use. */
  readonly threads?: number;
  /**
   * Let idle threads spin while they wait, as ONNX Runtime does by default: lower latency on an idle machine,
   * slower on a busy one. Default false; a measurement of latency wants true.
   */
  readonly spinning?: boolean;
  readonly graphOptimization?: GraphOptimization;
  /** Ends the worker while the model is being opened. */
  readonly signal?: AbortSignal;
}

/** A model by its bytes, or by the path of a file; external data of a file is found beside it. */
export type ModelSource = ModelBytes | { readonly path: string };

const AUTOMATIC_DEVICES: readonly Device[] = ['cuda', 'webgpu', 'cpu'];

/**
 * Opens a model in ONNX Runtime, in a worker thread of its own. The caller closes the session; one that is
 * forgotten does not keep the process alive.
 *
 * Errors: ERR_MODEL_UNREADABLE (no such file, not an ONNX file), ERR_MODEL_UNSUPPORTED (ONNX Runtime refuses the
 * model), ERR_DEVICE (a device asked for by name does not work), ERR_OPTION, ERR_RUNTIME, ERR_CANCELLED.
 */
export async function createSession(model: ModelSource, options: SessionOptions = {}): Promise<Session> {
  const { device = 'auto', threads = 0, signal } = options;
  if (!Number.isInteger(threads) || threads < 0) {
    throw expected('ERR_OPTION', 'a whole number, 0 or more,', 'threads', threads);
  }
  throwIfAborted(signal);
  const devices = devicesToTry(device);
  const message = await modelMessage(model);
  throwIfAborted(signal);

  const worker = startWorker();
  const abort = (): void => worker.terminate();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const request: OpenRequest = {
      kind: 'open',
      model: message,
      devices,
      threads: threads === 0 ? availableParallelism() : threads,
      spinning: options.spinning ?? false,
      graphOptimization: options.graphOptimization ?? 'all',
    };
    const opened = (await worker.ask(request, messageBuffers(message))) as OpenResult;
    throwIfAborted(signal);
    if (opened.device === undefined) throw openError(subjectOf(model), device, opened);
    return sessionOf(worker, opened, opened.device);
  } catch (error) {
    worker.terminate();
    throwIfAborted(signal);
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

function devicesToTry(device: DeviceChoice): readonly Device[] {
  switch (device) {
    case 'auto':
      return AUTOMATIC_DEVICES;
    case 'cpu':
    case 'cuda':
    case 'webgpu':
      return [device];
    default:
      throw expected('ERR_OPTION', 'one of auto, cpu, cuda, webgpu', 'device', device);
  }
}

async function modelMessage(model: ModelSource): Promise<ModelMessage> {
  if ('path' in model) {
    try {
      await access(model.path, constants.R_OK);
    } catch (error) {
      throw new SieveError(
        'ERR_MODEL_UNREADABLE',
        `Expected a readable file for the model but received "${model.path}": ${oneLine(error)}`,
        { cause: error, remedy: 'Check the path of the model.' },
      );
    }
    return { kind: 'path', path: model.path };
  }
  // Copies, because they move to the worker while the caller's bytes stay valid.
  return {
    kind: 'bytes',
    bytes: Uint8Array.from(model.bytes),
    externalData: (model.externalData ?? []).map(({ path, data }) => ({ path, data: Uint8Array.from(data) })),
  };
}

function messageBuffers(message: ModelMessage): ArrayBuffer[] {
  if (message.kind === 'path') return [];
  return [message.bytes, ...message.externalData.map(({ data }) => data)].map(({ buffer }) => buffer as ArrayBuffer);
}

function subjectOf(model: ModelSource): string {
  return 'path' in model ? `"${model.path}"` : 'the model';
}

function openError(subject: string, device: DeviceChoice, { attempts }: OpenResult): SieveError {
  const last = attempts.at(-1);
  const reason = last?.reason ?? 'no device was tried';
  if (device === 'auto' || device === 'cpu' || blamesModel(reason)) return modelError(subject, reason);
  return new SieveError('ERR_DEVICE', `Expected a working ${device} device for ${subject} but received: ${reason}`, {
    remedy: last?.remedy ?? `Run \`onnx-sieve doctor\` to see what ${device} needs here, or use --device cpu.`,
  });
}

function sessionOf(worker: WorkerConnection, opened: OpenResult, device: Device): Session {
  const inputNames = opened.inputs.map(({ name }) => name);
  const outputNames = opened.outputs.map(({ name }) => name);
  let closing: Promise<void> | undefined;

  function assertOpen(): void {
    if (closing === undefined) return;
    throw new SieveError('ERR_USAGE', 'Expected an open session for the run but received a closed one');
  }

  return {
    device,
    inputNames,
    outputNames,
    inputs: opened.inputs,
    outputs: opened.outputs,
    attempts: opened.attempts,
    runtimeVersion: opened.runtimeVersion,

    async run(feeds, outputs = [], runOptions = {}) {
      assertOpen();
      for (const name of outputs) {
        if (!outputNames.includes(name)) {
          throw expected('ERR_USAGE', `an output of the model (${outputNames.join(', ')})`, 'the run', name);
        }
      }
      const message = feedMessages(inputNames, feeds, runOptions);
      const result = (await worker.ask(
        { kind: 'run', feeds: message, outputs: [...outputs] },
        message.map(({ data }) => data.buffer as ArrayBuffer),
      )) as RunResult;
      return new Map(result.tensors.map(({ name, dims, data }) => [name, { dims, data }]));
    },

    async measureLatencyMs(feeds, repeats) {
      assertOpen();
      if (!Number.isInteger(repeats) || repeats < 1) {
        throw expected('ERR_OPTION', 'a whole number of at least 1', 'repeats', repeats);
      }
      const message = feedMessages(inputNames, feeds, {});
      const result = (await worker.ask(
        { kind: 'measure', feeds: message, repeats },
        message.map(({ data }) => data.buffer as ArrayBuffer),
      )) as MeasureResult;
      return result.latencyMs;
    },

    close() {
      closing ??= worker.ask({ kind: 'close' }, []).then(() => worker.exited);
      return closing;
    },
  };
}

function feedMessages(
  inputNames: readonly string[],
  feeds: Readonly<Record<string, TensorValue>>,
  { transferFeeds = false }: RunOptions,
): FeedMessage[] {
  for (const name of Object.keys(feeds)) {
    if (!inputNames.includes(name)) {
      throw expected('ERR_USAGE', `an input of the model (${inputNames.join(', ')})`, 'the feeds', name);
    }
  }
  return inputNames.map((name) => {
    const feed = feeds[name];
    if (feed === undefined) throw expected('ERR_USAGE', `an array for input "${name}"`, 'the feeds', feed);
    const elements = feed.dims.reduce((product, dim) => product * dim, 1);
    if (elements !== feed.data.length) {
      throw expected(
        'ERR_SHAPE',
        `${elements} values`,
        `input "${name}" of shape [${feed.dims.join(', ')}]`,
        feed.data,
      );
    }
    // A view into a larger buffer must not drag the rest along, or away from its owner.
    const whole = feed.data.byteLength === feed.data.buffer.byteLength && feed.data.buffer instanceof ArrayBuffer;
    return { name, dims: [...feed.dims], data: transferFeeds && whole ? feed.data : feed.data.slice() };
  });
}

/** Request and answer over a worker's message port. */
interface WorkerConnection {
  ask(request: SessionRequest, transfer: readonly ArrayBuffer[]): Promise<unknown>;
  /** Every open request fails with ERR_RUNTIME. */
  terminate(): void;
  readonly exited: Promise<void>;
}

interface PendingAnswer {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

function startWorker(): WorkerConnection {
  const worker = new Worker(workerPath());
  const pending = new Map<number, PendingAnswer>();
  let nextId = 0;
  let closing = false;
  let failure: SieveError | undefined;

  const fail = (reason: string, cause?: unknown): void => {
    failure ??= new SieveError('ERR_RUNTIME', `The worker that runs the model ended: ${reason}`, { cause });
    for (const { reject } of pending.values()) reject(failure);
    pending.clear();
  };
  worker.on('message', (response: SessionResponseMessage) => {
    const answer = pending.get(response.id);
    pending.delete(response.id);
    // A session nobody waits for must not keep the process alive.
    if (pending.size === 0 && !closing) worker.unref();
    if ('error' in response) {
      const { code, message, remedy } = response.error;
      answer?.reject(new SieveError(code, message, remedy === undefined ? {} : { remedy }));
    } else {
      answer?.resolve(response.result);
    }
  });
  worker.on('error', (error: unknown) => fail(oneLine(error), error));
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      fail(`it exited with code ${code}`);
      resolve();
    });
  });

  return {
    ask(request, transfer) {
      return new Promise((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure);
          return;
        }
        const id = nextId++;
        pending.set(id, { resolve, reject });
        worker.ref();
        closing ||= request.kind === 'close';
        const message: SessionRequestMessage = { id, request };
        worker.postMessage(message, [...transfer]);
      });
    },
    terminate() {
      void worker.terminate();
    },
    exited,
  };
}

/** The worker's file lies in dist/, whether this module runs from dist/ or from src/. */
function workerPath(): string {
  const file = join(packageRoot().folder, 'dist', 'session-worker.cjs');
  if (existsSync(file)) return file;
  throw expected('ERR_RUNTIME', 'a built package', 'the session worker', `no file at ${file}`, {
    remedy: 'Run `npm run build`, or install the package anew.',
  });
}
