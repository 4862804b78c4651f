import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expected, SieveError } from '../errors';
import { packageRoot } from '../packageRoot';
import { oneLine } from './sessionErrors';
import type { SessionRequest, SessionRequestMessage, SessionResponseMessage } from './sessionProtocol';

/** Request and answer over a worker's message port. */
export interface WorkerConnection {
  ask(request: SessionRequest, transfer: readonly ArrayBuffer[]): Promise<unknown>;
  /**
   * Every open request, and every later one, fails with `failure` at once. The worker ends when the run that it is in has:
   * a thread that is stopped inside ONNX Runtime's binding takes the whole process down.
   */
  abandon(failure: SieveError): void;
  readonly exited: Promise<void>;
}

interface PendingAnswer {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export function startWorker(): WorkerConnection {
  const worker = new Worker(workerPath());
  const pending = new Map<number, PendingAnswer>();
  let nextId = 0;
  let closing = false;
  let failure: SieveError | undefined;

  const failWith = (error: SieveError): void => {
    failure ??= error;
    for (const { reject } of pending.values()) reject(failure);
    pending.clear();
  };
  const fail = (reason: string, cause?: unknown): void =>
    failWith(new SieveError('ERR_RUNTIME', `The worker that runs the model ended: ${reason}`, { cause }));
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
    abandon(reason) {
      failWith(reason);
      // Until it has ended: a process that ends before stops it as well.
      closing = true;
      worker.ref();
      const message: SessionRequestMessage = { id: nextId++, request: { kind: 'abandon' } };
      worker.postMessage(message);
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
