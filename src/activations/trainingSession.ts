import { cancelled, expected, SieveError } from '../errors';
import type { Device } from '../types';
import { buffersOf, feedMessages } from './sessionFeeds';
import { openInWorker, type ModelSource, type OpenedWorker, type SessionOptions } from './sessionOpening';
import type { StateMessage, StatePair, StepMessage } from './sessionProtocol';
import type { DeviceAttempt, RunOptions, TensorInfo, TensorValue } from './types';

export type { StatePair } from './sessionProtocol';

export interface TrainingSessionOptions extends SessionOptions {
  /** Pairs of float32 tensors of fixed shape. `initial` is copied. */
  readonly states: readonly StatePair[];
  /** Names of the outputs that every step answers with: small ones, for they are copied. */
  readonly results: readonly string[];
  /**
   * Ends the session at any time: what is open then, and every later call, fails with ERR_CANCELLED at once, and the
   * state is lost. Who wants to keep it looks at the signal between two steps instead.
   */
  readonly signal?: AbortSignal;
}

export interface StepResult {
  /** Fresh arrays. */
  readonly results: ReadonlyMap<string, TensorValue>;
  /** With `transferFeeds`: the buffers that were given away, by feed, to be filled for another step. Empty otherwise. */
  readonly feeds: ReadonlyMap<string, Float32Array>;
}

/**
 * A training step, opened in ONNX Runtime in a worker thread. The state stays in the worker (with webgpu on the
 * device); a step takes it from one buffer to the other, and only feeds and results cross the thread boundary.
 */
export interface TrainingSession {
  readonly device: Device;
  readonly attempts: readonly DeviceAttempt[];
  /** What a step has to be fed: the inputs that are no state. */
  readonly feeds: readonly TensorInfo[];
  /** Version of ONNX Runtime. */
  readonly runtimeVersion: string;
  /** One run of the model. Calls are queued, each on the state that the one before left. A failed step changes nothing. */
  step(feeds: Readonly<Record<string, TensorValue>>, options?: RunOptions): Promise<StepResult>;
  /** Copies by the name of the state's input, after the steps that were asked for before. */
  readState(): Promise<ReadonlyMap<string, Float32Array>>;
  /** Replaces the states that are named, after the steps that were asked for before. The arrays are copied. */
  writeState(values: ReadonlyMap<string, Float32Array>): Promise<void>;
  /** Waits for queued calls, then frees the model and ends the worker. May be called again. */
  close(): Promise<void>;
}

/**
 * Opens a model that is one training step (or several, see `loopSteps` of the onnx part). The caller closes it; a
 * session that is forgotten does not keep the process alive. On the CPU, denormal numbers count as zero.
 *
 * Errors: those of `createSession`; ERR_USAGE for a state or result that the model lacks, ERR_SHAPE for a state whose
 * shape is not fixed, differs between input and output, or does not fit `initial`. `step` fails with ERR_SHAPE for
 * feeds of another shape, ERR_OUT_OF_MEMORY, ERR_RUNTIME.
 */
export async function createTrainingSession(
  model: ModelSource,
  options: TrainingSessionOptions,
): Promise<TrainingSession> {
  const states = options.states.map(({ input, output, initial }) => ({ input, output, initial: initial.slice() }));
  const setup = { states, results: [...options.results] };
  return trainingSessionOf(await openInWorker(model, options, setup), options);
}

function trainingSessionOf(
  { worker, opened, device }: OpenedWorker,
  { states, signal }: TrainingSessionOptions,
): TrainingSession {
  const stateLengths = new Map(states.map(({ input, initial }) => [input, initial.length]));
  const feedInfos = opened.inputs.filter(({ name }) => !stateLengths.has(name));
  const feedNames = feedInfos.map(({ name }) => name);
  const staging = createStaging();
  let closing: Promise<void> | undefined;
  let isAborted = false;

  const abort = (): void => {
    isAborted = true;
    worker.abandon(cancelled(signal));
  };
  signal?.addEventListener('abort', abort, { once: true });

  function assertOpen(): void {
    if (closing === undefined || isAborted) return;
    throw new SieveError('ERR_USAGE', 'Expected an open training session for the call but received a closed one');
  }

  return {
    device,
    attempts: opened.attempts,
    feeds: feedInfos,
    runtimeVersion: opened.runtimeVersion,

    async step(feeds, stepOptions = {}) {
      assertOpen();
      const message = feedMessages(feedNames, feeds, stepOptions, (data) => staging.copy(data));
      const isGiven = new Set(message.filter(({ name, data }) => feeds[name]?.data === data).map(({ name }) => name));
      const answer = (await worker.ask({ kind: 'step', feeds: message }, buffersOf(message))) as StepMessage;
      for (const { name, data } of answer.feeds) if (!isGiven.has(name)) staging.giveBack(data);
      return {
        results: new Map(answer.results.map(({ name, dims, data }) => [name, { dims, data }])),
        feeds: new Map(answer.feeds.filter(({ name }) => isGiven.has(name)).map(({ name, data }) => [name, data])),
      };
    },

    async readState() {
      assertOpen();
      return ((await worker.ask({ kind: 'readState' }, [])) as StateMessage).state;
    },

    async writeState(values) {
      assertOpen();
      const copies = new Map<string, Float32Array>();
      for (const [name, value] of values) {
        const length = stateLengths.get(name);
        if (length === undefined)
          throw expected('ERR_USAGE', `a state (${[...stateLengths.keys()].join(', ')})`, 'the values to write', name);
        if (value.length !== length) throw expected('ERR_SHAPE', `${length} values`, `state "${name}"`, value);
        copies.set(name, value.slice());
      }
      await worker.ask(
        { kind: 'writeState', values: copies },
        [...copies.values()].map(({ buffer }) => buffer as ArrayBuffer),
      );
    },

    close() {
      signal?.removeEventListener('abort', abort);
      closing ??= isAborted ? worker.exited : worker.ask({ kind: 'close' }, []).then(() => worker.exited);
      return closing;
    },
  };
}

/** Buffers that feeds are copied to: they go to the worker with a step and come back with its answer. */
function createStaging() {
  const free = new Map<number, Float32Array[]>();
  return {
    copy(data: Float32Array): Float32Array {
      const buffer = free.get(data.length)?.pop() ?? new Float32Array(data.length);
      buffer.set(data);
      return buffer;
    },
    giveBack(buffer: Float32Array): void {
      const others = free.get(buffer.length);
      if (others === undefined) free.set(buffer.length, [buffer]);
      else others.push(buffer);
    },
  };
}
