import { createTrainingSession, type TrainingSession } from '../../../src/activations/trainingSession';
import type { TensorValue } from '../../../src/activations/types';
import { constantTensor } from '../../../src/onnx/constants';
import type { Model } from '../../../src/onnx/ir';
import { serializeModel } from '../../../src/onnx/save';
import { float32Tensor, tensorToFloat32 } from '../../../src/onnx/tensor';
import { loopSteps } from '../../../src/onnx/training/loopSteps';
import type { OptimizerSettings, SgdOptimizer, StepSettings } from '../../../src/onnx/training/optimizer';
import {
  buildTrainingGraph,
  type TrainingGraph,
  type TrainingGraphOptions,
} from '../../../src/onnx/training/trainingGraph';
import { createRandom } from '../../../src/random';
import { halfPrecision } from '../../compress/support/networks';
import { codeOf } from '../../support/errors';
import { ModelBuilder } from '../../support/modelBuilder';
import { hasPython } from '../../support/python';
import { runModel } from '../../support/runtime';
import { torchTraining, type TorchStep, type TrainingBatch } from './torchTraining';

const BATCH = 12;
const CLASSES = 5;
const IMAGE_DIMS = [BATCH, 3, 12, 12] as const;
const TARGET_DIMS = [BATCH, CLASSES] as const;
const STEPS = 6;
const SAME = { pads: [1, 1, 1, 1] };

/** Biased and bias-free convolutions, strided, pointwise and depthwise, a residual connection, both pools, a Gemm. */
function network(seed = 3): Model {
  const b = new ModelBuilder({ seed });
  const bare = (x: string, inputs: number, outputs: number, kernel: number, attributes = {}): string =>
    b.node('Conv', [x, b.weights([outputs, inputs, kernel, kernel])], {
      kernel_shape: [kernel, kernel],
      ...attributes,
    });
  const stem = b.node('Relu', [b.batchNorm(bare(b.input('input', ['N', 3, 12, 12]), 3, 8, 3, SAME), 8)]);
  const inner = b.batchNorm(bare(stem, 8, 8, 3, SAME), 8);
  const joined = b.node('Relu', [b.node('Add', [inner, stem])]);
  const strided = b.node('Relu', [b.conv(joined, 8, 12, 3, { ...SAME, strides: [2, 2] })]);
  const pooled = b.node('MaxPool', [strided], { kernel_shape: [2, 2], strides: [2, 2] });
  const depthwise = b.batchNorm(bare(pooled, 1, 12, 3, { ...SAME, group: 12 }), 12);
  const wide = b.node('Relu', [b.conv(b.node('Relu', [depthwise]), 12, 16, 1)]);
  const features = b.node('Flatten', [b.node('GlobalAveragePool', [wide])]);
  const logits = b.node('Gemm', [features, b.weights([CLASSES, 16]), b.weights([CLASSES])], { transB: 1 }, HEAD);
  b.output(logits, ['N', CLASSES]);
  return b.build();
}

const HEAD = { name: 'head', outputs: ['logits'] };

/** Each class has a colour of its own, under noise: there is something to learn, and gradients stay well above rounding. */
function batches(count: number, smoothing = 0): TrainingBatch[] {
  const random = createRandom(11);
  const uniform = (): number => 2 * random.uniform() - 1;
  const size = IMAGE_DIMS[1] * IMAGE_DIMS[2] * IMAGE_DIMS[3];
  return Array.from({ length: count }, () => {
    const labels = Array.from({ length: BATCH }, (_, sample) => sample % CLASSES);
    const images = Float32Array.from({ length: BATCH * size }, (_, at) => {
      const sample = Math.floor(at / size);
      const channel = Math.floor((at % size) / (IMAGE_DIMS[2] * IMAGE_DIMS[3]));
      return uniform() + Math.cos(2 * labels[sample]! + channel);
    });
    const targets = Float32Array.from({ length: BATCH * CLASSES }, (_, at) => {
      const isLabel = labels[Math.floor(at / CLASSES)] === at % CLASSES;
      return (isLabel ? 1 - smoothing : 0) + smoothing / CLASSES;
    });
    return { images, targets, teacherLogits: Float32Array.from(targets, () => 3 * uniform()) };
  });
}

/** A rate and a momentum of its own for each step, as a schedule gives them. */
function rates(learningRate: number): StepSettings[] {
  return Array.from({ length: STEPS }, (_, step) => ({
    learningRate: learningRate * (1 - 0.1 * step),
    momentum: 0.9 - 0.05 * step,
    step: step + 1,
  }));
}

const SGD: SgdOptimizer = { kind: 'sgd', nesterov: true, weightDecay: 5e-3, decoupled: false };

function graphOf(model: Model, options: Partial<TrainingGraphOptions> = {}): TrainingGraph {
  return buildTrainingGraph(model, {
    batchSize: BATCH,
    input: 'input',
    logits: 'logits',
    optimizer: { rule: SGD },
    batchNorm: 'batch',
    device: 'cpu',
    ...options,
  });
}

function feedsOf(graph: TrainingGraph, batch: TrainingBatch, step: StepSettings): Record<string, TensorValue> {
  const { images, targets, teacherLogits } = batch;
  return {
    images: { dims: IMAGE_DIMS, data: images },
    targets: { dims: TARGET_DIMS, data: targets },
    ...(graph.needsTeacherLogits ? { teacher_logits: { dims: TARGET_DIMS, data: teacherLogits! } } : {}),
    ...graph.stepFeeds(step),
  };
}

function open(graph: TrainingGraph, model = graph.model): Promise<TrainingSession> {
  const { states, results } = graph;
  return createTrainingSession({ bytes: serializeModel(model) }, { states, results, device: 'cpu', threads: 2 });
}

interface OwnStep {
  readonly loss: number;
  readonly correct: number;
  readonly gradientNorm: number | undefined;
  readonly model: Model;
  readonly averaged: Model;
}

async function trainHere(
  graph: TrainingGraph,
  given: readonly TrainingBatch[],
  steps: readonly StepSettings[],
): Promise<OwnStep[]> {
  const session = await open(graph);
  try {
    const record: OwnStep[] = [];
    for (const [at, batch] of given.entries()) {
      const { results } = await session.step(feedsOf(graph, batch, steps[at]!));
      const state = await session.readState();
      record.push({
        loss: results.get('loss')!.data[0]!,
        correct: results.get('correct')!.data[0]!,
        gradientNorm: results.get('gradient_norm')?.data[0],
        model: graph.trained(state),
        averaged: graph.trained(state, true),
      });
    }
    return record;
  } finally {
    await session.close();
  }
}

const valuesOf = (model: Model, name: string): Float32Array => tensorToFloat32(constantTensor(model.graph, name)!);

/** Largest difference, relative to the largest value of the reference. */
function relativeError(values: ArrayLike<number>, reference: readonly number[]): number {
  expect(values).toHaveLength(reference.length);
  const scale = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
  return reference.reduce((most, value, at) => Math.max(most, Math.abs(values[at]! - value)), 0) / scale;
}

/** Stored tensors by their part in training, told from the graph by hand. */
function tensorsOf({ graph }: Model) {
  const layers = graph.nodes.filter(({ opType }) => opType === 'Conv' || opType === 'Gemm');
  const norms = graph.nodes.filter(({ opType }) => opType === 'BatchNormalization');
  return {
    weights: layers.map(({ inputs }) => inputs[1]!),
    others: [...layers.flatMap(({ inputs }) => inputs.slice(2)), ...norms.flatMap(({ inputs }) => inputs.slice(1, 3))],
    statistics: norms.flatMap(({ inputs }) => inputs.slice(3, 5)),
  };
}

interface Case {
  readonly name: string;
  readonly optimizer?: OptimizerSettings;
  readonly options?: Partial<TrainingGraphOptions>;
  readonly smoothing?: number;
  readonly teacher?: 'fed' | 'in the graph';
  readonly learningRate?: number;
}

/** Of the largest value of a tensor; float32 against float64. */
const TOLERANCE = 1e-5;

const ADAMW = { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.02 } as const;
const DISTILLATION = { weight: 0.7, temperature: 3 };

const CASES: readonly Case[] = [
  { name: 'SGD with Nesterov momentum, decay of weights alone' },
  { name: 'plain momentum', optimizer: { rule: { ...SGD, nesterov: false } } },
  { name: 'decay of everything', options: { decayAll: true } },
  { name: 'decoupled decay', optimizer: { rule: { ...SGD, decoupled: true } } },
  { name: 'AdamW', optimizer: { rule: ADAMW }, learningRate: 0.003 },
  { name: 'smoothed labels', smoothing: 0.1 },
  { name: 'a teacher whose logits are fed', teacher: 'fed' },
  { name: 'a teacher in the graph', teacher: 'in the graph' },
  { name: 'clipped gradients', options: { clipNorm: 0.5 } },
  { name: 'clipped gradients, AdamW', options: { clipNorm: 0.5 }, optimizer: { rule: ADAMW }, learningRate: 0.003 },
  { name: 'gradients below the norm they may have', options: { clipNorm: 1e3 } },
  { name: 'a moving average', optimizer: { rule: SGD, averageDecay: 0.8 } },
  { name: 'a moving average of AdamW', optimizer: { rule: ADAMW, averageDecay: 0.8 }, learningRate: 0.003 },
  { name: 'frozen batch normalisation', options: { batchNorm: 'frozen' }, learningRate: 0.02 },
];

if (hasPython('torch', 'onnx'))
  describe('steps are those of torch in float64', () => {
    test.each(CASES)('$name', async (current) => {
      const { optimizer = { rule: SGD }, options = {}, smoothing, teacher, learningRate = 0.05 } = current;
      const model = network();
      const teacherModel = network(8);
      const given = batches(STEPS, smoothing);
      const steps = rates(learningRate);
      const { weights, others, statistics } = tensorsOf(model);
      const distillation = teacher === undefined ? undefined : DISTILLATION;
      const asked = { model: teacherModel, input: 'input', logits: 'logits' };
      const inGraph = teacher === 'in the graph' ? { teacher: asked } : {};
      const batchNorm = options.batchNorm ?? 'batch';
      const graph = graphOf(model, {
        ...options,
        optimizer,
        ...(distillation === undefined ? {} : { distillation: { ...distillation, ...inGraph } }),
      });
      const reference = await torchTraining(
        model,
        {
          logits: 'logits',
          imageDims: IMAGE_DIMS,
          targetDims: TARGET_DIMS,
          decayed: options.decayAll === true ? [...weights, ...others] : weights,
          undecayed: options.decayAll === true ? [] : others,
          statistics,
          optimizer,
          batchNorm,
          clipNorm: options.clipNorm,
          distillation,
          ...inGraph,
        },
        given,
        steps,
      );
      const own = await trainHere(graph, given, steps);
      expect(own).toHaveLength(STEPS);
      expect(graph.needsTeacherLogits).toBe(teacher === 'fed');
      for (const [at, step] of own.entries()) compareStep(step, reference[at]!);
      // What is compared moves far more than the tolerance.
      for (const name of [...weights, ...others])
        expect(relativeError(valuesOf(model, name), reference[STEPS - 1]!.values[name]!)).toBeGreaterThan(
          20 * TOLERANCE,
        );
    });
  });
else test('steps are not compared with torch', () => expect(hasPython('torch', 'onnx')).toBe(false));

function compareStep(own: OwnStep, reference: TorchStep): void {
  const errors = new Map([['loss', Math.abs(own.loss - reference.loss) / reference.loss]]);
  for (const [name, values] of Object.entries(reference.values))
    errors.set(name, relativeError(valuesOf(own.model, name), values));
  for (const [name, values] of Object.entries(reference.averages))
    errors.set(`average of ${name}`, relativeError(valuesOf(own.averaged, name), values));
  if (reference.gradientNorm === null) expect(own.gradientNorm).toBeUndefined();
  else
    errors.set('norm of the gradients', Math.abs(own.gradientNorm! - reference.gradientNorm) / reference.gradientNorm);
  expect([...errors].filter(([, error]) => !(error <= TOLERANCE))).toEqual([]);
  expect(own.correct).toBe(reference.correct);
}

test('several steps in a Loop are the single steps, bit for bit', async () => {
  const graph = graphOf(network(), { clipNorm: 1, optimizer: { rule: SGD, averageDecay: 0.9 } });
  const given = batches(STEPS);
  const steps = rates(0.05);
  const single = await open(graph);
  const looped = await open(graph, loopSteps(graph.model, graph));
  try {
    for (const first of [0, STEPS / 2]) {
      const taken = [0, 1, 2].map((at) => feedsOf(graph, given[first + at]!, steps[first + at]!));
      const results: Awaited<ReturnType<TrainingSession['step']>>['results'][] = [];
      for (const feeds of taken) results.push((await single.step(feeds)).results);
      const together = await looped.step(stacked(taken));
      for (const name of graph.results)
        expect([...together.results.get(name)!.data]).toEqual(results.map((result) => result.get(name)!.data[0]));
      expect(await looped.readState()).toEqual(await single.readState());
    }
  } finally {
    await Promise.all([single.close(), looped.close()]);
  }
});

/** Feeds of several steps, one after the other along a new first axis. */
function stacked(feeds: readonly Readonly<Record<string, TensorValue>>[]): Record<string, TensorValue> {
  return Object.fromEntries(
    Object.entries(feeds[0]!).map(([name, { dims, data }]) => {
      const all = new Float32Array(feeds.length * data.length);
      for (const [at, step] of feeds.entries()) all.set(step[name]!.data, at * data.length);
      return [name, { dims: [feeds.length, ...dims], data: all }];
    }),
  );
}

describe('weights go back where they came from', () => {
  async function trainedOnce(model: Model, options: Partial<TrainingGraphOptions> = {}): Promise<Model> {
    const graph = graphOf(model, options);
    const [last] = (await trainHere(graph, batches(1), rates(0.1))).slice(-1);
    return last!.model;
  }

  const shape = ({ graph }: Model) => ({
    nodes: graph.nodes.map(({ key, opType, inputs, outputs }) => ({ key, opType, inputs, outputs })),
    tensors: [...graph.initializers.values()].map(({ name, dims, dataType }) => ({ name, dims, dataType })),
  });

  const differs = (left: Model, right: Model, name: string): boolean =>
    valuesOf(left, name).some((value, at) => value !== valuesOf(right, name)[at]);

  test.each<readonly [string, Model]>([
    ['float32', network()],
    ['float16', halfPrecision(network())],
  ])('names, sizes and element types stay, values change: %s', async (_, model) => {
    const trained = await trainedOnce(model);
    expect(shape(trained)).toEqual(shape(model));
    for (const name of model.graph.initializers.keys())
      expect([name, differs(trained, model, name)]).toEqual([name, true]);
  });

  test('float16 weights start from what is stored, and end at the float32 result rounded', async () => {
    const half = halfPrecision(network());
    const asFloat32 = new Map(
      [...half.graph.initializers].map(([name, tensor]) => [
        name,
        float32Tensor(name, tensor.dims, tensorToFloat32(tensor)),
      ]),
    );
    const same = { ...network(), graph: { ...network().graph, initializers: asFloat32 } };
    const [ofHalf, ofSame] = [await trainedOnce(half), await trainedOnce(same)];
    for (const [name, tensor] of ofHalf.graph.initializers) {
      const rounded = float32Tensor(name, tensor.dims, valuesOf(ofSame, name), tensor);
      expect(tensor.bytes()).toEqual(rounded.bytes());
    }
  });

  test('what trained says is what the step graph computes with', async () => {
    const model = network();
    const graph = graphOf(model, { batchNorm: 'frozen' });
    const [batch] = batches(1);
    const session = await open(graph);
    const still = { learningRate: 0, momentum: 0, step: 1 };
    await session.step(feedsOf(graph, batch!, rates(0.1)[0]!));
    const trained = graph.trained(await session.readState());
    const { results } = await session.step(feedsOf(graph, batch!, still));
    await session.close();
    const logits = (await runModel(trained, { input: { dims: IMAGE_DIMS, data: batch!.images } })).get('logits')!;
    expect(crossEntropy(logits.data as Float32Array, batch!.targets)).toBeCloseTo(results.get('loss')!.data[0]!, 5);
  });

  test('frozen tensors and statistics of a frozen normalisation keep their bytes', async () => {
    const model = network();
    const { weights, statistics } = tensorsOf(model);
    const frozen = new Set([weights[0]!, ...statistics]);
    const trained = await trainedOnce(model, { batchNorm: 'frozen', isFrozen: (tensor) => tensor === weights[0] });
    for (const name of model.graph.initializers.keys())
      expect([name, differs(trained, model, name)]).toEqual([name, !frozen.has(name)]);
  });

  test('weights in Constant nodes', async () => {
    const model = network();
    const { weights, others } = tensorsOf(model);
    const moved = asConstantNodes(model, new Set([weights[1]!, others[0]!]));
    const [trained, plain] = [await trainedOnce(moved), await trainedOnce(model)];
    expect(shape(trained)).toEqual(shape(moved));
    for (const name of model.graph.initializers.keys()) expect(valuesOf(trained, name)).toEqual(valuesOf(plain, name));
  });

  test('a weight that two layers share stays shared, and learns from both', async () => {
    const shared = twice('shared');
    const undecayed = { optimizer: { rule: { ...SGD, weightDecay: 0 } } };
    const trained = await trainedOnce(shared, undecayed);
    expect(shape(trained)).toEqual(shape(shared));
    const separate = await trainedOnce(twice('apart'), undecayed);
    const before = valuesOf(shared, 'kernel');
    // The first step of a shared weight is the sum of those of two equal ones.
    const sum = before.map((value, at) => {
      const moves = ['kernel', 'kernel_2'].map((name) => valuesOf(separate, name)[at]! - value);
      return value + moves[0]! + moves[1]!;
    });
    expect(relativeError(valuesOf(trained, 'kernel'), [...sum])).toBeLessThan(1e-5);

    const aliased = await trainedOnce(twice('aliased'), undecayed);
    expect(valuesOf(aliased, 'kernel')).toEqual(valuesOf(trained, 'kernel'));
  });

  test('equal vectors that an exporter stored once become tensors of their own', async () => {
    const [merged, apart] = [untrained('merged'), untrained('apart')];
    const names = ['scale', 'shift', 'mean', 'variance', 'scale_2', 'shift_2', 'mean_2', 'variance_2'];
    expect(merged.graph.initializers.size).toBeLessThan(apart.graph.initializers.size);
    const trained = await trainedOnce(merged);
    const expectedModel = await trainedOnce(apart);
    for (const name of names) expect(valuesOf(trained, name)).toEqual(valuesOf(expectedModel, name));
    expect(trained.graph.nodes.map(({ opType }) => opType)).not.toContain('Identity');
    const images = { input: { dims: IMAGE_DIMS, data: batches(1)[0]!.images } };
    const [ofTrained, ofExpected] = [await runModel(trained, images), await runModel(expectedModel, images)];
    expect(ofTrained.get('logits')).toEqual(ofExpected.get('logits'));
  });
});

function crossEntropy(logits: Float32Array, targets: Float32Array): number {
  let sum = 0;
  for (let row = 0; row < BATCH; row++) {
    const scores = [...logits.subarray(row * CLASSES, (row + 1) * CLASSES)];
    const total = Math.log(scores.reduce((all, score) => all + Math.exp(score), 0));
    for (const [at, score] of scores.entries()) sum += targets[row * CLASSES + at]! * (total - score);
  }
  return sum / BATCH;
}

function asConstantNodes({ graph, ...model }: Model, names: ReadonlySet<string>): Model {
  const constants = [...names].map((name) => ({
    ...{ name: `constant_${name}`, key: `constant_${name}`, opType: 'Constant', domain: '', inputs: [] },
    outputs: [name],
    attributes: new Map([
      ['value', { kind: 'tensor' as const, value: { ...graph.initializers.get(name)!, name: '' } }],
    ]),
  }));
  const initializers = new Map([...graph.initializers].filter(([name]) => !names.has(name)));
  return { ...model, graph: { ...graph, nodes: [...constants, ...graph.nodes], initializers } };
}

/** Two convolutions with one weight, with equal ones, or with one through an Identity. */
function twice(how: 'shared' | 'apart' | 'aliased'): Model {
  const b = new ModelBuilder({ seed: 4 });
  const values = Float32Array.from({ length: 3 * 3 * 9 }, () => b.random() / 5);
  const first = b.weights([3, 3, 3, 3], values, 'kernel');
  const second =
    how === 'shared'
      ? first
      : how === 'apart'
        ? b.weights([3, 3, 3, 3], values, 'kernel_2')
        : b.node('Identity', [first]);
  const conv = (x: string, weight: string): string => b.node('Conv', [x, weight], { kernel_shape: [3, 3], ...SAME });
  const hidden = b.node('Tanh', [conv(b.input('input', ['N', 3, 12, 12]), first)]);
  return finished(b, b.node('Tanh', [conv(hidden, second)]), 3);
}

/** Two normalisations at identity: with all ones and all zeros stored once each, or eight tensors. */
function untrained(how: 'merged' | 'apart'): Model {
  const b = new ModelBuilder({ seed: 4 });
  const own = (name: string, value: number): string => b.weights([6], new Float32Array(6).fill(value), name);
  const alias = (name: string, of: string): string => b.node('Identity', [of], {}, { outputs: [name] });
  const norm = (x: string, suffix: string): string => {
    const operands = ['scale', 'shift', 'mean', 'variance'].map((part, at) => {
      const value = at === 0 || at === 3 ? 1 : 0;
      const first = value === 1 ? 'scale' : 'shift';
      const name = `${part}${suffix}`;
      return how === 'apart' || name === first ? own(name, value) : alias(name, first);
    });
    return b.node('BatchNormalization', [x, ...operands], { epsilon: 1e-5 });
  };
  const conv = (x: string, inputs: number): string =>
    b.node('Conv', [x, b.weights([6, inputs, 3, 3])], { kernel_shape: [3, 3], ...SAME });
  const hidden = b.node('Relu', [norm(conv(b.input('input', ['N', 3, 12, 12]), 3), '')]);
  return finished(b, b.node('Relu', [norm(conv(hidden, 6), '_2')]), 6);
}

function finished(b: ModelBuilder, x: string, width: number): Model {
  const features = b.node('Flatten', [b.node('GlobalAveragePool', [x])]);
  const operands = [features, b.weights([CLASSES, width]), b.weights([CLASSES])];
  b.output(b.node('Gemm', operands, { transB: 1 }, HEAD), ['N', CLASSES]);
  return b.build();
}

test('what can not be a step is refused', () => {
  const refused = (options: Partial<TrainingGraphOptions>, model = network()): unknown =>
    codeOf(() => graphOf(model, options));
  expect(refused({ isFrozen: () => true })).toBe('ERR_MODEL_UNSUPPORTED');
  expect(refused({ logits: tensorBefore('GlobalAveragePool') })).toBe('ERR_SHAPE');
  const other = new ModelBuilder();
  const pooled = other.node('Flatten', [other.node('GlobalAveragePool', [other.input('input', ['N', 3, 12, 12])])]);
  other.output(other.gemm(pooled, 3, CLASSES + 1, HEAD), ['N', CLASSES + 1]);
  const teacher = { model: other.build(), input: 'input', logits: 'logits' };
  expect(refused({ distillation: { ...DISTILLATION, teacher } })).toBe('ERR_DATA_MISMATCH');
});

function tensorBefore(opType: string): string {
  return network().graph.nodes.find((node) => node.opType === opType)!.inputs[0]!;
}
