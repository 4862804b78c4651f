import { expected, SieveError } from '../errors';
import { buffersOf, feedMessages } from './sessionFeeds';
import { openInWorker, type ModelSource, type OpenedWorker, type SessionOptions } from './sessionOpening';
import type { MeasureResult, RunResult } from './sessionProtocol';
import type { Session } from './types';

export type { ModelSource, SessionOptions } from './sessionOpening';
export type { GraphOptimization } from './sessionProtocol';

/**
 * Opens a model in ONNX Runtime, in a worker thread of its own. The caller closes the session; one that is
 * forgotten does not keep the process alive.
 *
 * Errors: ERR_MODEL_UNREADABLE (no such file, not an ONNX file), ERR_MODEL_UNSUPPORTED (ONNX Runtime refuses the
 * model), ERR_DEVICE (a device asked for by name does not work), ERR_OPTION, ERR_RUNTIME, ERR_CANCELLED.
 */
export async function createSession(model: ModelSource, options: SessionOptions = {}): Promise<Session> {
  return sessionOf(await openInWorker(model, options));
}

function sessionOf({ worker, opened, device }: OpenedWorker): Session {
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
        buffersOf(message),
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
        buffersOf(message),
      )) as MeasureResult;
      return result.latencyMs;
    },

    close() {
      closing ??= worker.ask({ kind: 'close' }, []).then(() => worker.exited);
      return closing;
    },
  };
}
