import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { cancelled, expected, isSieveError, SieveError, throwIfAborted } from '../errors';
import type { Device, DeviceChoice, ModelBytes } from '../types';
import { startWorker, type WorkerConnection } from './sessionConnection';
import { blamesModel, modelError, oneLine } from './sessionErrors';
import type { GraphOptimization, ModelMessage, OpenRequest, OpenResult, TrainingSetup } from './sessionProtocol';

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

/** A worker that holds the model, and what it says about it. */
export interface OpenedWorker {
  readonly worker: WorkerConnection;
  readonly opened: OpenResult;
  readonly device: Device;
}

const AUTOMATIC_DEVICES: readonly Device[] = ['cuda', 'webgpu', 'cpu'];

/** Starts a worker and opens the model in it; the initial states move there. Errors: those of `createSession`. */
export async function openInWorker(
  model: ModelSource,
  options: SessionOptions,
  training?: TrainingSetup,
): Promise<OpenedWorker> {
  const { device = 'auto', threads = 0, signal } = options;
  if (!Number.isInteger(threads) || threads < 0) {
    throw expected('ERR_OPTION', 'a whole number, 0 or more,', 'threads', threads);
  }
  throwIfAborted(signal);
  const devices = devicesToTry(device);
  const message = await modelMessage(model);
  throwIfAborted(signal);

  const worker = startWorker();
  const abort = (): void => worker.abandon(cancelled(signal));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const request: OpenRequest = {
      kind: 'open',
      model: message,
      devices,
      threads: threads === 0 ? availableParallelism() : threads,
      spinning: options.spinning ?? false,
      graphOptimization: options.graphOptimization ?? 'all',
      training,
    };
    const opened = (await worker.ask(request, [...messageBuffers(message), ...stateBuffers(training)])) as OpenResult;
    throwIfAborted(signal);
    if (opened.device === undefined) throw openError(subjectOf(model), device, opened);
    return { worker, opened, device: opened.device };
  } catch (error) {
    worker.abandon(isSieveError(error) ? error : new SieveError('ERR_RUNTIME', oneLine(error), { cause: error }));
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

function stateBuffers(training: TrainingSetup | undefined): ArrayBuffer[] {
  return (training?.states ?? []).map(({ initial }) => initial.buffer as ArrayBuffer);
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
