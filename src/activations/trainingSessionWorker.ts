/** Inside the worker: a model that is one training step, run again and again with its own outputs as inputs. */
import { Tensor } from 'onnxruntime-node';
import type { InferenceSession } from 'onnxruntime-node';
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
}

/** ERR_USAGE for a state or result that the model lacks, ERR_SHAPE for a state that does not fit. */
export function createTrainer(session: InferenceSession, { states, results }: TrainingSetup, device: Device): Trainer {
  const inputs = session.inputMetadata.map(describe);
  const outputs = session.outputMetadata.map(describe);
  const holders = states.map((pair) => {
    const dims = stateDims(inputs, outputs, pair);
    return device === 'webgpu' ? deviceState(pair, dims) : hostState(pair, dims);
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
  };
}

/** The tensor that a step gave stays where it is, in the device's memory, and is the next step's input. */
function deviceState({ input, output, initial }: StatePair, dims: readonly number[]): StateHolder {
  let current: Tensor = new Tensor('float32', initial, dims);
  return {
    input,
    output,
    current: () => current,
    target: () => null,
    advance(written) {
      if (current.location !== 'cpu') current.dispose();
      current = written;
    },
    async read() {
      return ((await current.getData()) as Float32Array).slice();
    },
    write(value) {
      if (current.location !== 'cpu') current.dispose();
      current = new Tensor('float32', value, dims);
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
