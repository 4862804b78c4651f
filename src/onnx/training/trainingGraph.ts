import { expected } from '../../errors';
import { elementCount } from '../elementSize';
import type { Model } from '../ir';
import { inferShapes } from '../shapes';
import { writeForward, type Leaves } from './differentiate';
import { createGraphBuilder, type GraphBuilder, type Value } from './graphBuilder';
import { writeLoss, type Distillation } from './loss';
import * as ops from './operations';
import { initialState, stateRows, updateFeed, updateFeedDims, writeUpdate } from './optimizer';
import type { OptimizerSettings, StepSettings } from './optimizer';
import type { RuleSettings } from './rule';
import { GRADIENT_RULES } from './rules';
import { separateAliases } from './separateAliases';
import { planState, readVector, writeVector, type FlatVector, type StateLayout, type TrainableOptions } from './state';

export interface TrainingGraphOptions extends RuleSettings, TrainableOptions {
  readonly batchSize: number;
  /** The image input of the model. */
  readonly input: string;
  /** The tensor of logits, [batch, classes] or with trailing ones: what a final Softmax would read. */
  readonly logits: string;
  readonly optimizer: OptimizerSettings;
  readonly distillation?: Distillation & {
    /** Computed in the graph where it is given; else its logits are fed. */
    readonly teacher?: { readonly model: Model; readonly input: string; readonly logits: string };
  };
  /** Gradients whose norm, all together, is larger are scaled down to it. */
  readonly clipNorm?: number;
}

/** A vector that a step reads and writes. */
export interface TrainingState {
  readonly input: string;
  readonly output: string;
  readonly dims: readonly number[];
  readonly initial: Float32Array;
}

type Feeds = Readonly<Record<string, { readonly dims: readonly number[]; readonly data: Float32Array }>>;

/**
 * One training step as an ordinary ONNX model (operator set 17, standard operators): forward, loss, backward and update.
 *
 * Feeds: `images` [batch, …] as the model takes them, `targets` [batch, classes], `teacher_logits` [batch, classes] where there
 * is a teacher outside, and those of `stepFeeds`. Results: `loss` [], `correct` [], with clipping `gradient_norm` [].
 */
export interface TrainingGraph {
  readonly model: Model;
  readonly states: readonly TrainingState[];
  readonly results: readonly string[];
  readonly batchSize: number;
  readonly classes: number;
  readonly imageDims: readonly number[];
  readonly needsTeacherLogits: boolean;
  /** Small feeds that change from step to step. */
  readonly stepFeeds: (step: StepSettings) => Feeds;
  /** The model as trained: `states` by input name; with `averaged`, the moving average of its parameters. */
  readonly trained: (states: ReadonlyMap<string, Float32Array>, averaged?: boolean) => Model;
}

const VECTORS = ['decayed', 'undecayed'] as const;
const STATISTICS = 'statistics';

/**
 * Errors: ERR_MODEL_UNSUPPORTED, naming the node, where an operator has no gradient or a size is not known; ERR_SHAPE where
 * the logits are not [batch, classes].
 */
export function buildTrainingGraph(source: Model, options: TrainingGraphOptions): TrainingGraph {
  const { batchSize, optimizer } = options;
  const model = separateAliases(source);
  const layout = layoutOf(model, options);
  const build = createGraphBuilder();
  const imageDims = imageDimsOf(model, options);
  const images = build.input('images', imageDims);
  const states = statesOf(model, layout, optimizer);
  const stateInputs = new Map(states.map(({ input, dims }) => [input, build.input(input, dims)]));

  const leaves = new Map<string, Value>([[options.input, images]]);
  for (const key of VECTORS)
    takeApart(build, layout[key], stateInputs.get(key), stateRows(optimizer).parameters, leaves);
  takeApart(build, layout.statistics, stateInputs.get(STATISTICS), 0, leaves);
  const trained = new Set(VECTORS.flatMap((key) => layout[key].tensors.map(({ name }) => name)));
  const forward = writeForward(build, model, { values: leaves, trained }, [options.logits], GRADIENT_RULES, options);
  const logits = forward.valueOf(options.logits);
  const classes = logits.dims[1] ?? 0;
  if (logits.dims[0] !== batchSize || elementCount(logits.dims) !== batchSize * classes)
    throw expected(
      'ERR_SHAPE',
      `logits [${batchSize}, classes]`,
      `tensor "${options.logits}"`,
      `[${logits.dims.join(', ')}]`,
    );

  const targets = build.input('targets', [batchSize, classes]);
  const teacherLogits = teacherOf(build, images, options, classes);
  const distillation =
    options.distillation !== undefined && teacherLogits !== undefined
      ? { ...options.distillation, teacherLogits }
      : undefined;
  const loss = writeLoss(build, logits, targets, distillation);
  const gradients = forward.backward(new Map([[options.logits, loss.gradient]]));
  const flat = VECTORS.map((key) => flattenGradients(build, layout[key], gradients));
  const norm = options.clipNorm === undefined ? undefined : globalNorm(build, flat);
  const shrink = norm === undefined ? undefined : shrinkOf(build, norm, options.clipNorm!);

  build.output('loss', loss.loss);
  build.output('correct', loss.correct);
  if (norm !== undefined) build.output('gradient_norm', norm);
  for (const [index, key] of VECTORS.entries()) {
    const state = stateInputs.get(key);
    const gradient = flat[index];
    if (state === undefined || gradient === undefined) continue;
    const feed = build.input(`update_${key}`, updateFeedDims(optimizer));
    build.output(`${key}_next`, writeUpdate(build, optimizer, gradient, state, feed, shrink));
  }
  if (stateInputs.has(STATISTICS)) {
    const parts = layout.statistics.tensors.map(({ name, count }) =>
      ops.reshape(build, forward.statistics.get(name) ?? leaves.get(name)!, [1, count]),
    );
    build.output(`${STATISTICS}_next`, ops.concat(build, parts, 1));
  }

  return {
    model: build.build('training_step'),
    states,
    results: ['loss', 'correct', ...(norm === undefined ? [] : ['gradient_norm'])],
    batchSize,
    classes,
    imageDims,
    needsTeacherLogits: distillation !== undefined && options.distillation?.teacher === undefined,
    stepFeeds: (step) =>
      Object.fromEntries(
        VECTORS.filter((key) => stateInputs.has(key)).map((key) => [
          `update_${key}`,
          { dims: updateFeedDims(optimizer), data: updateFeed(optimizer, key === 'decayed', step) },
        ]),
      ),
    trained: (values, averaged = false) => withStates(model, layout, optimizer, values, averaged),
  };
}

/** Frozen statistics are constants. */
function layoutOf(model: Model, options: TrainingGraphOptions): StateLayout {
  const layout = planState(model, inferShapes(model), options);
  return options.batchNorm === 'batch' ? layout : { ...layout, statistics: { length: 0, tensors: [] } };
}

function imageDimsOf(model: Model, { input, batchSize }: TrainingGraphOptions): readonly number[] {
  const shape = model.graph.inputs.find(({ name }) => name === input)?.shape;
  const [, ...rest] = shape ?? [];
  if (shape === undefined || !rest.every((size): size is number => typeof size === 'number'))
    throw expected('ERR_MODEL_UNSUPPORTED', 'an input of known height and width', 'training', input);
  return [batchSize, ...rest];
}

function statesOf(model: Model, layout: StateLayout, optimizer: OptimizerSettings): TrainingState[] {
  const parameters = VECTORS.filter((key) => layout[key].length > 0).map((key) => ({
    input: key,
    output: `${key}_next`,
    dims: [stateRows(optimizer).count, layout[key].length],
    initial: initialState(optimizer, readVector(model, layout[key])),
  }));
  const { statistics } = layout;
  if (statistics.length === 0) return parameters;
  const initial = readVector(model, statistics);
  return [...parameters, { input: STATISTICS, output: `${STATISTICS}_next`, dims: [1, statistics.length], initial }];
}

/** The tensors of one row of a state, as values of their own. */
function takeApart(
  build: GraphBuilder,
  { length, tensors }: FlatVector,
  state: Value | undefined,
  row: number,
  into: Map<string, Value>,
): void {
  if (state === undefined) return;
  const [rows = 1] = state.dims;
  // The rows before and after lie in the same memory: one Split serves all, without a copy of the row first.
  const all = ops.reshape(build, state, [rows * length]);
  const sizes = [row * length, ...tensors.map(({ count }) => count), (rows - 1 - row) * length];
  const used = sizes.map((size, index) => ({ size, index })).filter(({ size }) => size > 0);
  const lengths = build.integers(used.map(({ size }) => size));
  const options = { outputs: used.length, name: 'parameter' };
  const parts = used.length === 1 ? [all] : build.emit('Split', [all, lengths], { axis: 0 }, options);
  for (const [position, { index }] of used.entries()) {
    const tensor = tensors[index - 1];
    if (tensor !== undefined) into.set(tensor.name, ops.reshape(build, parts[position]!, tensor.dims));
  }
}

function teacherOf(
  build: GraphBuilder,
  images: Value,
  { distillation, device }: TrainingGraphOptions,
  classes: number,
): Value | undefined {
  if (distillation === undefined) return undefined;
  const [batchSize = 1] = images.dims;
  if (distillation.teacher === undefined) return build.input('teacher_logits', [batchSize, classes]);
  const { model, input, logits } = distillation.teacher;
  const leaves: Leaves = { values: new Map([[input, images]]), trained: new Set() };
  const forward = writeForward(build, model, leaves, [logits], GRADIENT_RULES, { batchNorm: 'frozen', device });
  const result = forward.valueOf(logits);
  if (elementCount(result.dims) !== batchSize * classes)
    throw expected('ERR_DATA_MISMATCH', `${classes} classes`, 'the teacher', `[${result.dims.join(', ')}]`);
  return result;
}

function flattenGradients(
  build: GraphBuilder,
  { length, tensors }: FlatVector,
  gradients: ReadonlyMap<string, Value>,
): Value | undefined {
  if (length === 0) return undefined;
  const parts = tensors.map(({ name, count }) => {
    const gradient = gradients.get(name);
    return gradient === undefined
      ? build.constant(new Float32Array(count), [1, count], 'no_gradient')
      : ops.reshape(build, gradient, [1, count]);
  });
  return ops.concat(build, parts, 1);
}

function globalNorm(build: GraphBuilder, gradients: readonly (Value | undefined)[]): Value {
  const squares = gradients.flatMap((gradient) =>
    gradient === undefined ? [] : [build.emit('ReduceSumSquare', [gradient], { axes: [0, 1], keepdims: 0 })[0]!],
  );
  return ops.sqrt(
    build,
    squares.reduce((sum, next) => ops.add(build, sum, next)),
  );
}

function shrinkOf(build: GraphBuilder, norm: Value, limit: number): Value {
  const stabilized = ops.add(build, norm, ops.scalar(build, 1e-6));
  const factor = ops.div(build, ops.scalar(build, limit), stabilized);
  return build.emit('Min', [factor, ops.scalar(build, 1)])[0]!;
}

function withStates(
  model: Model,
  layout: StateLayout,
  optimizer: OptimizerSettings,
  states: ReadonlyMap<string, Float32Array>,
  averaged: boolean,
): Model {
  const rows = stateRows(optimizer);
  const row = averaged ? (rows.average ?? rows.parameters) : rows.parameters;
  let result = model;
  for (const key of VECTORS) {
    const values = states.get(key);
    const { length } = layout[key];
    if (values !== undefined)
      result = writeVector(result, layout[key], values.subarray(row * length, (row + 1) * length));
  }
  const statistics = states.get(STATISTICS);
  return statistics === undefined ? result : writeVector(result, layout.statistics, statistics);
}
