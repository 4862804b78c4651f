import { readFile, rm } from 'node:fs/promises';
import { expected, throwIfAborted } from '../errors';
import { assertWritable, writeFileAtomic } from '../files';
import { toModelBytes, writeModel } from '../onnx/save';
import { inferShapes } from '../onnx/shapes';
import { reinitialize } from '../onnx/training/reinitialize';
import { separateAliases } from '../onnx/training/separateAliases';
import { planState } from '../onnx/training/state';
import { decodeCheckpoint, encodeCheckpoint, type Checkpoint } from '../recovery/training/checkpoint';
import type { EpochRecord } from '../recovery/training/history';
import type { DatasetSpec } from '../activations/types';
import type { Device, ModelBytes } from '../types';
import { measureAccuracy } from './accuracy';
import type { CommonOptions, DataOptions, ModelSource } from './api';
import type { Runtime, Samples } from './network';
import { openModel, understandClassifier, type Classifier } from './open';
import { readRuntime } from './options';
import { drawSamples, openSamples, splitSamples } from './samples';
import { readRecipe, type RecipeOptions } from './training/recipe';
import { trainNetwork } from './training/trainNetwork';

export interface FinetuneOptions extends CommonOptions, Omit<DataOptions, 'memoryBudgetBytes'>, RecipeOptions {
  /** Where the trained .onnx goes. Absent: nothing is written, `model` of the result holds it. */
  readonly output?: string;
  readonly force?: boolean;
  /** A network whose answers are learned as well: same input, same classes. */
  readonly teacher?: ModelSource;
  /** Samples that are not trained on. Default: a stratified tenth of the data, at most 1,000. */
  readonly validation?: string | DatasetSpec;
  /** Starts from random weights instead of the model's own. */
  readonly fromScratch?: boolean;
  /** Nodes whose weights stay as they are; a trailing `*` matches any ending. */
  readonly freeze?: readonly string[];
  /** Where the state is kept after each epoch. Default: the output with `.checkpoint` behind it; removed at the end. */
  readonly checkpoint?: string;
  /** Goes on from the checkpoint, where there is one. */
  readonly resume?: boolean;
}

export interface FinetuneResult {
  /** Top-1 and loss on the validation samples. */
  readonly before: { readonly top1: number; readonly loss: number };
  readonly after: { readonly top1: number; readonly loss: number };
  readonly epochs: readonly EpochRecord[];
  /** The epoch whose weights were kept, counted from 1. */
  readonly epoch: number;
  readonly stoppedEarly: boolean;
  readonly trainingSamples: number;
  readonly validationSamples: number;
  readonly seconds: number;
  readonly device: Device;
  readonly seed: number;
  readonly output?: string;
  readonly model: ModelBytes;
}

/**
 * Trains a classifier on labelled images with stock ONNX Runtime, on the answers of a teacher too where one is given. The
 * result is the model's own graph, same names and operators, with new weights.
 *
 * After each epoch the state is kept, so that an interrupted run goes on with `resume` as if nothing had happened.
 *
 * Errors: those of reading model and data, of `trainNetwork`, ERR_OPTION, ERR_OUTPUT_EXISTS, ERR_OUTPUT_UNWRITABLE.
 */
export async function finetune(source: ModelSource, options: FinetuneOptions): Promise<FinetuneResult> {
  const started = performance.now();
  const { signal, force = false, resume = false } = options;
  const runtime = readRuntime({ ...options, batchSize: undefined });
  const network = await networkToTrain(source, options, runtime);
  const recipe = readRecipe(options, network);
  const checkpointPath =
    options.checkpoint ?? (options.output === undefined ? undefined : `${options.output}.checkpoint`);
  if (options.output !== undefined) await assertWritable(options.output, { force });
  const checkpoint = await readCheckpoint(checkpointPath, resume);
  if (checkpointPath !== undefined && !resume) await assertNoCheckpoint(checkpointPath, force);
  const teacher =
    options.teacher === undefined ? undefined : understandClassifier(await openModel(options.teacher, signal));
  const { training, validation } = await samplesFor(network, options, runtime);

  const measured = await measureAccuracy(network.model, network, validation, runtime);
  const before = { top1: measured.top1, loss: measured.loss };
  const trained = await trainNetwork({
    network,
    training,
    validation,
    teacher,
    recipe,
    isFrozen: frozenBy(
      options.freeze ?? [],
      network.model.graph.nodes.map(({ key }) => key),
    ),
    runtime,
    resume: checkpoint,
    ...(checkpointPath === undefined
      ? {}
      : { saveCheckpoint: (state) => writeFileAtomic(checkpointPath, encodeCheckpoint(state), { force: true }) }),
  });
  const after = trained.history[trained.epoch - 1]?.validation ?? before;
  throwIfAborted(signal);
  if (options.output !== undefined) await writeModel(trained.model, options.output, { force });
  if (checkpointPath !== undefined) await rm(checkpointPath, { force: true });
  return {
    before,
    after,
    epochs: trained.history,
    epoch: trained.epoch,
    stoppedEarly: trained.stoppedEarly,
    trainingSamples: training.indices.length,
    validationSamples: validation.indices.length,
    seconds: (performance.now() - started) / 1000,
    device: trained.device,
    seed: runtime.seed,
    ...(options.output === undefined ? {} : { output: options.output }),
    model: toModelBytes(trained.model),
  };
}

async function networkToTrain(
  source: ModelSource,
  { fromScratch = false, signal }: FinetuneOptions,
  { seed }: Runtime,
): Promise<Classifier> {
  const model = separateAliases(await openModel(source, signal));
  if (!fromScratch) return understandClassifier(model);
  return understandClassifier(reinitialize(model, planState(model, inferShapes(model)), seed));
}

async function samplesFor(
  network: Classifier,
  options: FinetuneOptions,
  runtime: Runtime,
): Promise<{ training: Samples; validation: Samples }> {
  const dataset = await openSamples(options.data, network, runtime, 'data');
  if (options.validation !== undefined) {
    const other = await openSamples(options.validation, network, runtime, 'validation');
    const validation = drawSamples(other, undefined, runtime.seed);
    return { training: drawSamples(dataset, options.samples, runtime.seed), validation };
  }
  const { calibration, validation } = splitSamples(dataset, options.samples ?? dataset.size, runtime.seed);
  return { training: calibration, validation };
}

async function readCheckpoint(path: string | undefined, resume: boolean): Promise<Checkpoint | undefined> {
  if (!resume) return undefined;
  if (path === undefined)
    throw expected('ERR_OPTION', 'a checkpoint or an output', '--resume', undefined, {
      remedy: 'Say where the checkpoint is.',
    });
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    // Nothing was finished yet: the run starts anew.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw expected('ERR_DATA_UNREADABLE', 'a readable checkpoint', `"${path}"`, (error as Error).message);
  }
  return decodeCheckpoint(bytes);
}

async function assertNoCheckpoint(path: string, force: boolean): Promise<void> {
  await assertWritable(path, { force }).catch((error: unknown) => {
    if ((error as { code?: string }).code !== 'ERR_OUTPUT_EXISTS') throw error;
    throw expected('ERR_OUTPUT_EXISTS', 'no checkpoint of another run', 'the checkpoint', path, {
      remedy: 'Go on with that run (--resume), or replace it (--force).',
    });
  });
}

function frozenBy(patterns: readonly string[], nodes: readonly string[]): (tensor: string, node: string) => boolean {
  const matches = (pattern: string, node: string): boolean =>
    pattern.endsWith('*') ? node.startsWith(pattern.slice(0, -1)) : node === pattern;
  for (const pattern of patterns)
    if (!nodes.some((node) => matches(pattern, node)))
      throw expected('ERR_OPTION', 'a node of the model', '--freeze', pattern, {
        remedy: 'onnx-sieve inspect lists the names of the layers.',
      });
  return (_, node) => patterns.some((pattern) => matches(pattern, node));
}
