import type * as OnnxRuntime from 'onnxruntime-node';

import { elementCount } from '../../../src/onnx/elementSize';
import type { Model } from '../../../src/onnx/ir';
import { toModelBytes } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import { isFloatType, tensorToFloat32 } from '../../../src/onnx/tensor';
import { writeForward } from '../../../src/onnx/training/differentiate';
import { createGraphBuilder, type Value } from '../../../src/onnx/training/graphBuilder';
import type { GradientRules, TrainingDevice } from '../../../src/onnx/training/rule';
import { GRADIENT_RULES } from '../../../src/onnx/training/rules';
import { createRandom, type Random } from '../../../src/random';
import { hasPython } from '../../support/python';
import { centralDifferences } from './doublePrecision';
import { torchGradients, type NamedTensor } from './torchReference';

// eslint-disable-next-line @typescript-eslint/no-require-imports -- the native module is CommonJS
const ort = require('onnxruntime-node') as typeof OnnxRuntime;
ort.env.logLevel = 'fatal';

export interface GradientCheckOptions {
  readonly seed?: number;
  /** Largest accepted |gradient − reference| / max |reference| of each tensor. Default 1e-4. */
  readonly tolerance?: number;
  /** The same for the outputs. Default 1e-5. */
  readonly outputTolerance?: number;
  /** Default 'frozen'. With 'batch' torch alone is the reference, also of the new running statistics. */
  readonly batchNorm?: 'batch' | 'frozen';
  readonly device?: TrainingDevice;
  /** Default none: no operators of ONNX Runtime's own layout. */
  readonly channelBlock?: number;
  /** Float inputs and initializers that no gradient is wanted for: bounds, conditions, exponents. */
  readonly constants?: readonly string[];
  /** Values of inputs; otherwise uniform in [−1, 1]. Inputs of other types than float32 need them. */
  readonly values?: Readonly<Record<string, readonly number[]>>;
  /** Default GRADIENT_RULES. */
  readonly rules?: GradientRules;
  /** Finite differences may be left out for large networks. Default true. */
  readonly finiteDifferences?: boolean;
}

export interface GradientCheck {
  /** Largest relative errors by what they are of. */
  readonly errors: ReadonlyMap<string, number>;
  /** What differs by more than its tolerance. */
  readonly failures: readonly string[];
  /** What the gradients were compared with. */
  readonly references: readonly ('torch' | 'finite differences')[];
  /** Operator types of the generated graph. */
  readonly operators: readonly string[];
}

const MOST_PROBES_OF_A_TENSOR = 48;
const RUNNING_STATISTICS = [3, 4];

/**
 * Writes forward and backward of the model through GRADIENT_RULES and compares, for random outputs' gradients r, the gradient
 * of Σ y · r with respect to every float input and initializer with torch's in float64 and with central differences in
 * float64 where ONNX Runtime has the kernels; y too, with ONNX Runtime's own on the model. Symbolic sizes are 2.
 * Fails the test where they differ by more than the tolerance.
 */
export async function checkGradients(model: Model, options: GradientCheckOptions = {}): Promise<GradientCheck> {
  const check = await compareGradients(model, options);
  expect(check.failures).toEqual([]);
  return check;
}

/** The same, leaving it to the caller what differences mean. */
export async function compareGradients(model: Model, options: GradientCheckOptions = {}): Promise<GradientCheck> {
  const { tolerance = 1e-4, outputTolerance = 1e-5, batchNorm = 'frozen', device = 'cpu' } = options;
  const random = createRandom(options.seed ?? 1);
  const concrete = withSizes(model);
  const feeds = feedsOf(concrete, random, options.values ?? {});
  const leaves = leavesOf(concrete, options.constants ?? []);
  const shapes = inferShapes(concrete);

  const build = createGraphBuilder();
  const values = new Map<string, Value>();
  const inputs = new Map<string, NamedTensor>();
  for (const [name, tensor] of [...feeds, ...initializersOf(concrete, leaves)]) {
    const value = build.input(name, tensor.dims, tensor.data instanceof Float32Array ? 'float32' : 'int64');
    values.set(name, value);
    inputs.set(value.name, tensor);
  }
  const outputs = concrete.graph.outputs.map(({ name }) => name);
  const settings = { batchNorm, device, channelBlock: options.channelBlock };
  const forward = writeForward(
    build,
    concrete,
    { values, trained: new Set(leaves) },
    outputs,
    options.rules ?? GRADIENT_RULES,
    settings,
  );
  const seeds = new Map<string, NamedTensor>();
  const seedValues = new Map<string, Value>();
  for (const name of outputs) {
    const value = forward.valueOf(name);
    if (!isFloatType(value.dataType)) continue;
    expect({ name, dims: value.dims }).toEqual({ name, dims: shapes.get(name) });
    const seed = uniform(random, value.dims);
    const seedValue = build.input(`seed of ${name}`, value.dims);
    seeds.set(name, seed);
    seedValues.set(name, seedValue);
    inputs.set(seedValue.name, seed);
    build.output(`y ${name}`, value);
  }
  const gradients = forward.backward(seedValues);
  for (const [name, value] of gradients) build.output(`d ${name}`, value);
  for (const [name, value] of forward.statistics) build.output(`s ${name}`, value);
  const generated = build.build('gradients');
  const results = await run(generated, inputs, 'all');

  const errors = new Map<string, number>();
  const failures: string[] = [];
  const note = (what: string, error: number, limit: number): void => {
    errors.set(what, Math.max(error, errors.get(what) ?? 0));
    if (!(error <= limit)) failures.push(`${what}: ${error.toExponential(2)} > ${limit}`);
  };
  const gradientOf = (name: string): ArrayLike<number> =>
    results.get(`d ${name}`) ?? new Float32Array(elementCount(shapes.get(name) as readonly number[]));

  const isInference = batchNorm === 'frozen' || !model.graph.nodes.some((node) => node.opType === 'BatchNormalization');
  if (isInference) {
    const own = await run(concrete, feeds, 'disabled');
    for (const name of seeds.keys())
      note(
        `output ${name}, of ONNX Runtime`,
        relativeError(results.get(`y ${name}`)!, own.get(name)!),
        outputTolerance,
      );
  }
  const references: GradientCheck['references'][number][] = [];
  if (hasPython('torch', 'onnx')) {
    references.push('torch');
    const statistics = [...forward.statistics.keys()];
    const reference = await torchGradients(concrete, feeds, seeds, leaves, statistics, batchNorm);
    for (const [name, values] of reference.outputs)
      note(`output ${name}, of torch`, relativeError(results.get(`y ${name}`)!, values), outputTolerance);
    for (const [name, values] of reference.gradients)
      note(`gradient of ${name}, of torch`, relativeError(gradientOf(name), values), tolerance);
    for (const [name, values] of reference.statistics)
      note(`statistic ${name}, of torch`, relativeError(results.get(`s ${name}`)!, values), outputTolerance);
  }
  if (isInference && (options.finiteDifferences ?? true)) {
    const elements = new Map(leaves.map((name) => [name, probesOf(gradientOf(name).length, random)]));
    const all = new Map([...feeds, ...initializersOf(concrete, leaves)]);
    const reason = await compareWithDifferences(concrete, all, seeds, elements, (name, found) => {
      const scale = largest(gradientOf(name));
      const error = Math.max(
        ...found.map(({ element, derivative }) => Math.abs(gradientOf(name)[element]! - derivative)),
      );
      note(`gradient of ${name}, by differences`, error / Math.max(scale, 1e-3), tolerance);
    });
    if (reason === undefined) references.push('finite differences');
    else explainOnce(reason);
  }
  // Without torch a few operators have no reference here.
  if (hasPython('torch', 'onnx')) expect(references).not.toEqual([]);
  return { errors, failures, references, operators: [...new Set(generated.graph.nodes.map(({ opType }) => opType))] };
}

type Probes = Awaited<ReturnType<typeof centralDifferences>>;

/** The reason why ONNX Runtime cannot; undefined where it could. */
async function compareWithDifferences(
  model: Model,
  feeds: ReadonlyMap<string, NamedTensor>,
  seeds: ReadonlyMap<string, NamedTensor>,
  elements: ReadonlyMap<string, readonly number[]>,
  compare: (leaf: string, probes: Probes) => void,
): Promise<string | undefined> {
  let probes: Probes;
  try {
    probes = await centralDifferences(model, feeds, seeds, elements);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const missing = /Could not find an implementation for (\w+)|Type 'tensor\(double\)' .* of operator \((\w+)\)/.exec(
      message,
    );
    if (missing === null) throw error;
    return missing[1] ?? missing[2] ?? '';
  }
  for (const leaf of elements.keys())
    compare(
      leaf,
      probes.filter((probe) => probe.leaf === leaf),
    );
  return undefined;
}

const explained = new Set<string>();

function explainOnce(operator: string): void {
  if (explained.has(operator)) return;
  explained.add(operator);
  console.info(`ONNX Runtime has no float64 kernel for ${operator}: its gradients are compared with torch alone`);
}

/** Symbolic sizes become 2. */
function withSizes(model: Model): Model {
  const inputs = model.graph.inputs.map((info) => ({
    ...info,
    shape: info.shape?.map((size) => (typeof size === 'number' ? size : 2)),
  }));
  const outputs = model.graph.outputs.map((info) => ({ ...info, shape: undefined }));
  return { ...model, graph: { ...model.graph, inputs, outputs, valueInfo: new Map() } };
}

function feedsOf(
  model: Model,
  random: Random,
  given: Readonly<Record<string, readonly number[]>>,
): ReadonlyMap<string, NamedTensor> {
  return new Map(
    model.graph.inputs.map(({ name, dataType, shape }) => {
      const dims = (shape ?? []) as readonly number[];
      const own = given[name];
      if (dataType === 'int64') return [name, { dims, data: BigInt64Array.from(own ?? [], BigInt) }];
      if (dataType !== 'float32') throw new Error(`a gradient check with an input of type ${dataType}`);
      return [name, own === undefined ? uniform(random, dims) : { dims, data: Float32Array.from(own) }];
    }),
  );
}

/** Every float input and initializer, but what is said to be constant and the running statistics. */
function leavesOf(model: Model, constants: readonly string[]): string[] {
  const { graph } = model;
  const excluded = new Set(constants);
  for (const node of graph.nodes)
    if (node.opType === 'BatchNormalization')
      for (const input of RUNNING_STATISTICS) excluded.add(node.inputs[input] ?? '');
  const named = [...graph.inputs, ...graph.initializers.values()];
  return named.filter(({ name, dataType }) => dataType === 'float32' && !excluded.has(name)).map(({ name }) => name);
}

function initializersOf(model: Model, leaves: readonly string[]): [string, NamedTensor][] {
  return leaves.flatMap((name) => {
    const tensor = model.graph.initializers.get(name);
    return tensor === undefined ? [] : [[name, { dims: tensor.dims, data: tensorToFloat32(tensor) }]];
  });
}

function uniform(random: Random, dims: readonly number[]): NamedTensor {
  return { dims, data: Float32Array.from({ length: elementCount(dims) }, () => 2 * random.uniform() - 1) };
}

function probesOf(count: number, random: Random): number[] {
  const all = Array.from({ length: count }, (_, index) => index);
  return count <= MOST_PROBES_OF_A_TENSOR ? all : random.shuffle(all).slice(0, MOST_PROBES_OF_A_TENSOR);
}

function largest(values: ArrayLike<number>): number {
  let found = 0;
  Array.prototype.forEach.call(values, (value: number) => (found = Math.max(found, Math.abs(value))));
  return found;
}

/** Largest difference over the largest reference; a reference of zeros alone wants zeros. */
function relativeError(values: ArrayLike<number>, reference: ArrayLike<number>): number {
  if (values.length !== reference.length) return Infinity;
  let difference = 0;
  for (let index = 0; index < values.length; index += 1) {
    const distance = Math.abs(values[index]! - reference[index]!);
    if (!(distance <= difference)) difference = distance; // NaN stays
  }
  const scale = largest(reference);
  return scale === 0 ? difference : difference / scale;
}

async function run(
  model: Model,
  inputs: ReadonlyMap<string, NamedTensor>,
  graphOptimizationLevel: 'all' | 'disabled',
): Promise<ReadonlyMap<string, ArrayLike<number>>> {
  const { bytes, externalData } = toModelBytes(model);
  const session = await ort.InferenceSession.create(bytes, {
    graphOptimizationLevel,
    intraOpNumThreads: 1,
    externalData: externalData?.map(({ path, data }) => ({ path, data })),
  });
  try {
    const wanted = new Set(model.graph.inputs.map(({ name }) => name));
    const feeds = Object.fromEntries(
      [...inputs].flatMap(([name, { dims, data }]) =>
        wanted.has(name)
          ? [[name, new ort.Tensor(data instanceof Float32Array ? 'float32' : 'int64', data as never, dims)]]
          : [],
      ),
    ) as Record<string, OnnxRuntime.Tensor>;
    const results = await session.run(feeds);
    return new Map(Object.entries(results).map(([name, tensor]) => [name, tensor.data as ArrayLike<number>]));
  } finally {
    await session.release();
  }
}
