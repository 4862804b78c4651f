/** Inside the worker: a model that is one training step, run again and again with its own outputs as inputs. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expected, SieveError } from '../errors';
import type { Device } from '../types';
import { runtimeError } from './sessionErrors';
import type { FeedMessage, StatePair, StepMessage, TrainingSetup } from './sessionProtocol';
import { fromRuntimeTensor, toRuntimeTensor } from './sessionTensors';
import { describe } from './sessionWorkerOpen';
import type { TensorInfo } from './types';

export interface Trainer {
  /** A step that fails leaves the state as it was before. */
  step(feeds: readonly FeedMessage[]): Promise<StepMessage>;
  /** Copies, by the name of the state's input. */
  readState(): Promise<Map<string, Float32Array>>;
  writeState(values: ReadonlyMap<string, Float32Array>): void;
  /** Frees what is on the device, before the session is released. */
  release(): Promise<void>;
}

/** ERR_USAGE for a state or result that the model lacks, ERR_SHAPE for a state that does not fit. */
export function createTrainer(session: InferenceSession, { states, results }: TrainingSetup, device: Device): Trainer {
  const inputs = session.inputMetadata.map(describe);
  const outputs = session.outputMetadata.map(describe);
  const reader = createReader(device);
  const holders = states.map((pair) => {
    const dims = stateDims(inputs, outputs, pair);
    return device === 'webgpu' ? deviceState(pair, dims, reader) : hostState(pair, dims);
  });
  const types = new Map(inputs.map(({ name, type }) => [name, type]));
  const resultBuffers = Object.fromEntries(results.map((name) => [name, preallocate(outputs, name)]));

  return {
    async step(feeds) {
      const inputs: Record<string, Tensor> = {};
      for (const feed of feeds) inputs[feed.name] = toRuntimeTensor(feed, types.get(feed.name) ?? 'float32');
      const fetches: Record<string, Tensor | null> = { ...resultBuffers };
      for (const state of holders) {
        inputs[state.input] = state.current();
        fetches[state.output] = state.target();
      }
      const outputs = await run(session, inputs, fetches);
      for (const state of holders) state.advance(outputs[state.output]!);
      // Copies: the results' buffers are written again by the next step.
      const values = results.map((name) => fromRuntimeTensor(name, outputs[name]!));
      return { results: values.map((value) => ({ ...value, data: value.data.slice() })), feeds };
    },
    async readState() {
      const values = new Map<string, Float32Array>();
      for (const state of holders) values.set(state.input, await state.read());
      return values;
    },
    writeState(values) {
      for (const state of holders) {
        const value = values.get(state.input);
        if (value !== undefined) state.write(value);
      }
    },
    async release() {
      for (const state of holders) state.release();
      await reader.release();
    },
  };
}

function stateDims(
  inputs: readonly TensorInfo[],
  outputs: readonly TensorInfo[],
  { input, output, initial }: StatePair,
): readonly number[] {
  const before = find(inputs, input, 'an input', 'the states');
  const after = find(outputs, output, 'an output', 'the states');
  const dims = fixedDims(before);
  if (dims === undefined || before.type !== 'float32' || elementCount(dims) !== initial.length)
    throw expected(
      'ERR_SHAPE',
      `${initial.length} float32 values, as its initial value,`,
      `state "${input}"`,
      shown(before),
    );
  if (after.type !== 'float32' || after.dims.join() !== dims.join())
    throw expected('ERR_SHAPE', `${shown(before)}, as its input "${input}",`, `state "${output}"`, shown(after));
  return dims;
}

function shown({ type, dims }: TensorInfo): string {
  return `${type} [${dims.join(', ')}]`;
}

function find(infos: readonly TensorInfo[], name: string, what: string, subject: string): TensorInfo {
  const found = infos.find((info) => info.name === name);
  if (found !== undefined) return found;
  throw expected('ERR_USAGE', `${what} of the model (${infos.map((info) => info.name).join(', ')})`, subject, name);
}

async function run(
  session: InferenceSession,
  feeds: Record<string, Tensor>,
  fetches: Record<string, Tensor | null>,
): Promise<InferenceSession.OnnxValueMapType> {
  try {
    return await session.run(feeds, fetches);
  } catch (error) {
    throw runtimeError(error);
  }
}

/** One state tensor between two steps. */
interface StateHolder {
  readonly input: string;
  readonly output: string;
  current(): Tensor;
  /** Where the step is to write the next value; null lets ONNX Runtime allocate it. */
  target(): Tensor | null;
  /** The step is done; `written` is what it gave. */
  advance(written: Tensor): void;
  read(): Promise<Float32Array>;
  write(value: Float32Array): void;
  release(): void;
}

/**
 * Two buffers in turn: a step reads one and writes the other in place, so that no step allocates. They belong to this
 * thread; ONNX Runtime works on them without a copy.
 */
function hostState({ input, output, initial }: StatePair, dims: readonly number[]): StateHolder {
  let current = new Tensor('float32', initial, dims);
  let next = new Tensor('float32', new Float32Array(initial.length), dims);
  return {
    input,
    output,
    current: () => current,
    target: () => next,
    advance() {
      [current, next] = [next, current];
    },
    read: () => Promise.resolve(dataOf(current).slice()),
    write(value) {
      dataOf(current).set(value);
    },
    release: () => undefined,
  };
}

/** The tensor that a step gave stays where it is, in the device's memory, and is the next step's input. */
function deviceState(
  { input, output, initial }: StatePair,
  dims: readonly number[],
  reader: DeviceReader,
): StateHolder {
  let current: Tensor = new Tensor('float32', initial, dims);
  const replaceBy = (tensor: Tensor): void => {
    if (current.location !== 'cpu') current.dispose();
    current = tensor;
  };
  return {
    input,
    output,
    current: () => current,
    target: () => null,
    advance: replaceBy,
    read: () => reader.read(current),
    write: (value) => replaceBy(new Tensor('float32', value, dims)),
    release: () => replaceBy(new Tensor('float32', [], [0])),
  };
}

interface DeviceReader {
  read(tensor: Tensor): Promise<Float32Array>;
  release(): Promise<void>;
}

/** y = x for float32, as an ONNX file (operator set 13). */
export const IDENTITY_MODEL = Buffer.from(
  'CAcSCm9ubngtc2lldmU6MAoSCgF4EgF5GgAiCElkZW50aXR5EgR0ZXN0WgkKAXgSBAoCCAFiCQoBeRIECgIIAUIECgAQDQ==',
  'base64',
);

/**
 * Reads what lies in a device's memory: as the output of a run, because Tensor.getData of onnxruntime-node 1.30 ends the
 * process instead ("not implemented").
 */
function createReader(device: Device): DeviceReader {
  let session: Promise<InferenceSession> | undefined;
  return {
    async read(x) {
      session ??= InferenceSession.create(IDENTITY_MODEL, { executionProviders: [device], logSeverityLevel: 4 });
      const { y } = await run(await session, { x }, { y: null });
      return dataOf(y!).slice();
    },
    async release() {
      await (await session)?.release();
    },
  };
}

function dataOf(tensor: Tensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  throw new SieveError('ERR_RUNTIME', `Expected float32 state but received ${tensor.type}`);
}

/** A result of a known shape is written into the same buffer each step; null lets ONNX Runtime allocate it. */
function preallocate(outputs: readonly TensorInfo[], name: string): Tensor | null {
  const info = find(outputs, name, 'an output', 'the results');
  const dims = fixedDims(info);
  if (info.type !== 'float32' || dims === undefined) return null;
  return new Tensor('float32', new Float32Array(elementCount(dims)), dims);
}

function fixedDims({ dims }: TensorInfo): readonly number[] | undefined {
  return dims.every((dim): dim is number => typeof dim === 'number') ? dims : undefined;
}

function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}
