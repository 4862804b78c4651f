import type { TrainingSession } from '../../../src/activations/trainingSession';
import type { TensorValue } from '../../../src/activations/types';
import { loopSteps } from '../../../src/onnx/training/loopSteps';
import type { OptimizerSettings } from '../../../src/onnx/training/optimizer';
import type { TrainingGraphOptions } from '../../../src/onnx/training/trainingGraph';
import { codeOf } from '../../support/errors';
import { ModelBuilder } from '../../support/modelBuilder';
import { hasPython } from '../../support/python';
import {
  CLASSES,
  IMAGE_DIMS,
  TARGET_DIMS,
  STEPS,
  network,
  HEAD,
  batches,
  rates,
  SGD,
  graphOf,
  feedsOf,
  open,
  type OwnStep,
  trainHere,
  valuesOf,
  relativeError,
  tensorsOf,
} from './smallTraining';
import { torchTraining, type TorchStep } from './torchTraining';

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
