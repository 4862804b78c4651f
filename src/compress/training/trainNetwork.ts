import { createHash } from 'node:crypto';
import { inputDims } from '../../activations/batches';
import { createSession } from '../../activations/session';
import { createTrainingSession, type TrainingSession } from '../../activations/trainingSession';
import type { Session } from '../../activations/types';
import { expected, isSieveError } from '../../errors';
import type { Model } from '../../onnx/ir';
import { toModelBytes } from '../../onnx/save';
import { loopSteps } from '../../onnx/training/loopSteps';
import { buildTrainingGraph, type TrainingGraph } from '../../onnx/training/trainingGraph';
import type { Checkpoint, NamedVectors } from '../../recovery/training/checkpoint';
import type { EpochRecord } from '../../recovery/training/history';
import type { TrainingHooks } from '../../recovery/training/hooks';
import { train } from '../../recovery/training/loop';
import type { TrainingPlan } from '../../recovery/training/plan';
import type { Device, DeviceChoice } from '../../types';
import { measureAccuracy } from '../accuracy';
import { labelsOf, type Runtime, type Samples } from '../network';
import type { Classifier } from '../open';
import { measureChannelBlock } from './channelBlock';
import { loopFeeds, stepFeeds, stepsPerRunOn, type FeedWriter } from './feeds';
import type { Recipe } from './recipe';
import { reinserted } from './reinsert';

export interface TrainNetworkInputs {
  readonly network: Classifier;
  readonly training: Samples;
  /** What each epoch is judged on; not trained on. */
  readonly validation: Samples | undefined;
  readonly teacher: Classifier | undefined;
  readonly recipe: Recipe;
  /** Learned tensors that stay as they are. */
  readonly isFrozen?: (tensor: string, node: string) => boolean;
  readonly runtime: Runtime;
  readonly resume?: Checkpoint;
  readonly saveCheckpoint?: (checkpoint: Checkpoint) => Promise<void>;
  /** Steps of one run of the graph, at most; the result does not depend on it. Default: as suits the device. */
  readonly stepsPerRun?: number;
}

export interface TrainedNetwork {
  /** The network's own graph with new values of its stored tensors. */
  readonly model: Model;
  readonly history: readonly EpochRecord[];
  /** The epoch whose weights these are, counted from 1. */
  readonly epoch: number;
  readonly stoppedEarly: boolean;
  readonly device: Device;
}

/**
 * Trains a network on labelled images and, with a teacher, on its answers to the same images as augmented.
 *
 * Errors: ERR_MODEL_UNSUPPORTED (an operator without a gradient, by name), ERR_DATA_MISMATCH (a teacher with other classes or
 * another input, too few samples), ERR_LABELS, ERR_NON_FINITE, ERR_DEVICE, ERR_OUT_OF_MEMORY, ERR_CANCELLED.
 */
export async function trainNetwork(inputs: TrainNetworkInputs): Promise<TrainedNetwork> {
  const { network, training, recipe, runtime } = inputs;
  const steadied = recipe.reinsert ? await reinserted(network, training, runtime) : undefined;
  if (steadied === undefined) return trainAsItIs(inputs);
  const trained = await trainAsItIs({ ...inputs, network: steadied.network });
  return { ...trained, model: steadied.fold(trained.model) };
}

async function trainAsItIs(inputs: TrainNetworkInputs): Promise<TrainedNetwork> {
  const { network, training, validation, teacher, recipe, runtime } = inputs;
  const { signal, onProgress } = runtime;
  if (teacher !== undefined) checkTeacher(teacher, network);
  const opened = await openTraining(inputs);
  const { graph, session } = opened;
  let teacherSession: Session | undefined;
  try {
    runtime.onMessage?.(`training on ${session.device}: ${describeSize(graph)}`);
    if (teacher !== undefined)
      teacherSession = await createSession(toModelBytes(teacher.model), {
        device: runtime.device,
        threads: runtime.threads,
        signal,
      });
    const plan = planOf(inputs, graph);
    const hooks = hooksOf(inputs, opened, teacherSession);
    const result = await train(plan, hooks, { signal, onProgress, resume: inputs.resume });
    const model = graph.trained(await session.readState(), recipe.optimizer.averageDecay !== undefined);
    return { model, ...result, device: session.device };
  } finally {
    await Promise.all([session.close(), teacherSession?.close()]);
  }

  function hooksOf(
    { saveCheckpoint }: TrainNetworkInputs,
    { graph: { batchSize, trained }, session: stepping, stepsPerRun, feedsOf }: OpenedTraining,
    teaching: Session | undefined,
  ): TrainingHooks {
    let stepsDone =
      inputs.resume === undefined ? 0 : inputs.resume.history.length * Math.floor(training.indices.length / batchSize);
    return {
      stepsPerRun,
      loadBatch: (positions, abort, output) =>
        training.dataset.load(
          positions.map((position) => training.indices[position]!),
          abort,
          output,
        ),
      async steps(batches, rates) {
        const settings = rates.map((ofStep) => ({ ...ofStep, step: ++stepsDone }));
        const { results, feeds } = await stepping.step(feedsOf(batches, settings), { transferFeeds: true });
        const [losses, correct] = [results.get('loss')!.data, results.get('correct')!.data];
        const norms = results.get('gradient_norm')?.data;
        return {
          steps: rates.map((_, index) => ({
            loss: losses[index]!,
            correct: correct[index]!,
            ...(norms === undefined ? {} : { gradientNorm: norms[index]! }),
          })),
          returned: {
            images: feeds.get('images') ?? batches.images,
            targets: feeds.get('targets') ?? batches.targets,
            teacherLogits: feeds.get('teacher_logits') ?? batches.teacherLogits,
          },
        };
      },
      ...(teacher === undefined || teaching === undefined
        ? {}
        : { teacherLogits: (images: Float32Array) => answer(teaching, teacher, images, batchSize) }),
      ...(validation === undefined
        ? {}
        : {
            async validate() {
              const model = trained(await stepping.readState(), recipe.optimizer.averageDecay !== undefined);
              const { loss, top1 } = await measureAccuracy(model, network, validation, runtime);
              return { loss, top1 };
            },
          }),
      readState: async (): Promise<NamedVectors> => Object.fromEntries(await stepping.readState()),
      writeState: (state) => stepping.writeState(new Map(Object.entries(state))),
      ...(saveCheckpoint === undefined ? {} : { saveCheckpoint }),
    };
  }
}

async function answer(session: Session, { input, output }: Classifier, images: Float32Array, batchSize: number) {
  const results = await session.run({ [input.name]: { dims: inputDims(input, batchSize), data: images } }, [output]);
  return results.get(output)!.data;
}

interface OpenedTraining {
  readonly graph: TrainingGraph;
  readonly session: TrainingSession;
  readonly stepsPerRun: number;
  readonly feedsOf: FeedWriter;
}

/** The first device that opens the graph as it is written for it. */
async function openTraining(inputs: TrainNetworkInputs): Promise<OpenedTraining> {
  const { network, recipe, runtime, teacher } = inputs;
  const devices = devicesFor(runtime.device);
  for (const [index, device] of devices.entries()) {
    const graph = buildTrainingGraph(network.model, {
      batchSize: recipe.batchSize,
      input: network.input.name,
      logits: network.logits,
      optimizer: recipe.optimizer,
      batchNorm: recipe.batchNorm,
      device,
      channelBlock: device === 'cpu' ? await measureChannelBlock(runtime.signal) : undefined,
      isFrozen: inputs.isFrozen,
      decayAll: recipe.decayAll,
      clipNorm: recipe.clipNorm,
      distillation: teacher === undefined ? undefined : recipe.distillation,
    });
    const options = {
      states: graph.states,
      results: graph.results,
      device,
      threads: runtime.threads,
      signal: runtime.signal,
    };
    try {
      const stepsPerRun = inputs.stepsPerRun ?? stepsPerRunOn(device, graph);
      const isLooped = stepsPerRun > 1;
      const model = isLooped ? loopSteps(graph.model, graph) : graph.model;
      const session = await createTrainingSession(toModelBytes(model), options);
      return { graph, session, stepsPerRun, feedsOf: isLooped ? loopFeeds(graph) : stepFeeds(graph) };
    } catch (error) {
      const isLast = index === devices.length - 1;
      if (isLast || !isSieveError(error) || error.code !== 'ERR_DEVICE') throw error;
      runtime.onMessage?.(`${device}: not taken for training: ${error.message}`);
    }
  }
  throw expected('ERR_DEVICE', 'a device', 'training', 'none');
}

function devicesFor(device: DeviceChoice): readonly Device[] {
  return device === 'auto' ? ['cuda', 'webgpu', 'cpu'] : [device];
}

function planOf(
  { network, training, recipe, runtime, teacher }: TrainNetworkInputs,
  graph: TrainingGraph,
): TrainingPlan {
  const { input } = network;
  const { layout, channels, height, width } = input;
  return {
    model: digest(network.model),
    recipe: {
      optimizer: JSON.stringify(recipe.optimizer),
      batchNorm: recipe.batchNorm,
      decayAll: recipe.decayAll,
      clipNorm: recipe.clipNorm,
      teacher: teacher === undefined ? undefined : digest(teacher.model),
      distillation: teacher === undefined ? undefined : JSON.stringify(recipe.distillation),
    },
    epochs: recipe.epochs,
    batchSize: recipe.batchSize,
    seed: runtime.seed,
    labels: labelsOf(training),
    classes: graph.classes,
    classNames: training.dataset.classNames,
    format: { layout, channels, height, width },
    normalization: training.dataset.normalization,
    schedule: recipe.schedule,
    labelSmoothing: recipe.labelSmoothing,
    augmentation: recipe.augmentation,
    classBalanced: recipe.classBalanced,
    patience: recipe.patience,
    keepBest: recipe.keepBest,
  };
}

function digest(model: Model): string {
  const hash = createHash('sha256');
  const { bytes, externalData } = toModelBytes(model);
  hash.update(bytes);
  for (const { path, data } of externalData ?? []) hash.update(path).update(data);
  return hash.digest('hex');
}

function checkTeacher(teacher: Classifier, network: Classifier): void {
  const imageOf = ({ input: { layout, channels, height, width } }: Classifier) =>
    `${layout} images of ${channels}×${height}×${width}`;
  if (imageOf(teacher) !== imageOf(network))
    throw expected('ERR_DATA_MISMATCH', imageOf(network), 'the teacher', imageOf(teacher));
  if (teacher.classes !== network.classes)
    throw expected('ERR_DATA_MISMATCH', `${network.classes} classes`, 'the teacher', teacher.classes);
  if (teacher.output !== teacher.logits)
    throw expected('ERR_MODEL_UNSUPPORTED', 'logits as the output', 'the teacher', 'probabilities after a Softmax', {
      remedy: 'Export the teacher without its last Softmax.',
    });
}

function describeSize({ states, batchSize }: TrainingGraph): string {
  const parameters = states.reduce((sum, { dims }) => sum + (dims[1] ?? 0), 0);
  return `${parameters.toLocaleString('en')} values to train, ${batchSize} images a step`;
}
