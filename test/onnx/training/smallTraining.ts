import { createTrainingSession, type TrainingSession } from '../../../src/activations/trainingSession';
import type { TensorValue } from '../../../src/activations/types';
import { constantTensor } from '../../../src/onnx/constants';
import type { Model } from '../../../src/onnx/ir';
import { serializeModel } from '../../../src/onnx/save';
import { tensorToFloat32 } from '../../../src/onnx/tensor';
import type { SgdOptimizer, StepSettings } from '../../../src/onnx/training/optimizer';
import {
  buildTrainingGraph,
  type TrainingGraph,
  type TrainingGraphOptions,
} from '../../../src/onnx/training/trainingGraph';
import { createRandom } from '../../../src/random';
import { ModelBuilder } from '../../support/modelBuilder';
import type { TrainingBatch } from './torchTraining';

/* A small network with all that training has to get right, data for it, and its steps as the package takes them. */

export const BATCH = 12;
export const CLASSES = 5;
export const IMAGE_DIMS = [BATCH, 3, 12, 12] as const;
export const TARGET_DIMS = [BATCH, CLASSES] as const;
export const STEPS = 6;
export const SAME = { pads: [1, 1, 1, 1] };

/** Biased and bias-free convolutions, strided, pointwise and depthwise, a residual connection, both pools, a Gemm. */
export function network(seed = 3): Model {
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

export const HEAD = { name: 'head', outputs: ['logits'] };

/** Each class has a colour of its own, under noise: there is something to learn, and gradients stay well above rounding. */
export function batches(count: number, smoothing = 0): TrainingBatch[] {
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
export function rates(learningRate: number): StepSettings[] {
  return Array.from({ length: STEPS }, (_, step) => ({
    learningRate: learningRate * (1 - 0.1 * step),
    momentum: 0.9 - 0.05 * step,
    step: step + 1,
  }));
}

export const SGD: SgdOptimizer = { kind: 'sgd', nesterov: true, weightDecay: 5e-3, decoupled: false };

export function graphOf(model: Model, options: Partial<TrainingGraphOptions> = {}): TrainingGraph {
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

export function feedsOf(graph: TrainingGraph, batch: TrainingBatch, step: StepSettings): Record<string, TensorValue> {
  const { images, targets, teacherLogits } = batch;
  return {
    images: { dims: IMAGE_DIMS, data: images },
    targets: { dims: TARGET_DIMS, data: targets },
    ...(graph.needsTeacherLogits ? { teacher_logits: { dims: TARGET_DIMS, data: teacherLogits! } } : {}),
    ...graph.stepFeeds(step),
  };
}

export function open(graph: TrainingGraph, model = graph.model): Promise<TrainingSession> {
  const { states, results } = graph;
  return createTrainingSession({ bytes: serializeModel(model) }, { states, results, device: 'cpu', threads: 2 });
}

export interface OwnStep {
  readonly loss: number;
  readonly correct: number;
  readonly gradientNorm: number | undefined;
  readonly model: Model;
  readonly averaged: Model;
}

export async function trainHere(
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

export const valuesOf = (model: Model, name: string): Float32Array =>
  tensorToFloat32(constantTensor(model.graph, name)!);

/** Largest difference, relative to the largest value of the reference. */
export function relativeError(values: ArrayLike<number>, reference: readonly number[]): number {
  expect(values).toHaveLength(reference.length);
  const scale = reference.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-12);
  return reference.reduce((most, value, at) => Math.max(most, Math.abs(values[at]! - value)), 0) / scale;
}

/** Stored tensors by their part in training, told from the graph by hand. */
export function tensorsOf({ graph }: Model) {
  const layers = graph.nodes.filter(({ opType }) => opType === 'Conv' || opType === 'Gemm');
  const norms = graph.nodes.filter(({ opType }) => opType === 'BatchNormalization');
  return {
    weights: layers.map(({ inputs }) => inputs[1]!),
    others: [...layers.flatMap(({ inputs }) => inputs.slice(2)), ...norms.flatMap(({ inputs }) => inputs.slice(1, 3))],
    statistics: norms.flatMap(({ inputs }) => inputs.slice(3, 5)),
  };
}
