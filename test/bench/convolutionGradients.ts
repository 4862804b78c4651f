/**
 * Formulations of convolutions and their gradients in ONNX Runtime, by shape: each alone in a graph, run in turn, medians.
 * `node convolutionGradients.js [THREADS [ROUNDS [SHAPE]]]` (bundled, onnxruntime-node left out) prints a line for each
 * shape, part and formulation: wall and processor milliseconds, and what the cost model expects of one core.
 */
import * as ort from 'onnxruntime-node';

import { elementCount } from '../../src/onnx/elementSize';
import { toModelBytes } from '../../src/onnx/save';
import { channelBlockOf, channelBlockProbe } from '../../src/onnx/training/channelBlock';
import { createGraphBuilder, type Value } from '../../src/onnx/training/graphBuilder';
import type { RuleSettings } from '../../src/onnx/training/rule';
import * as cost from '../../src/onnx/training/rules/convolutionCost';
import type { ConvolutionGeometry } from '../../src/onnx/training/rules/convolutionGeometry';
import { reversedConvolution, toNarrow, toWide } from '../../src/onnx/training/rules/convolutionInputGradient';
import { weightGradient } from '../../src/onnx/training/rules/convolutionWeightGradient';
import { createRandom } from '../../src/random';

interface Shape {
  readonly name: string;
  readonly channels: readonly [wide: number, narrow: number];
  readonly size: number;
  readonly kernel?: number;
  readonly stride?: number;
  readonly groups?: number;
}

const BATCH = 128;

const SHAPES: readonly Shape[] = [
  { name: '3-16@32', channels: [3, 16], size: 32 },
  { name: '16-16@32', channels: [16, 16], size: 32 },
  { name: '16-32@32/2', channels: [16, 32], size: 32, stride: 2 },
  { name: '16-32@32/2 pointwise', channels: [16, 32], size: 32, stride: 2, kernel: 1 },
  { name: '32-32@16', channels: [32, 32], size: 16 },
  { name: '32-64@16/2', channels: [32, 64], size: 16, stride: 2 },
  { name: '32-64@16/2 pointwise', channels: [32, 64], size: 16, stride: 2, kernel: 1 },
  { name: '64-64@8', channels: [64, 64], size: 8 },
  { name: '11-11@32', channels: [11, 11], size: 32 },
  { name: '64-256@8 pointwise', channels: [64, 256], size: 8, kernel: 1 },
  { name: '96@16 depthwise', channels: [96, 96], size: 16, groups: 96 },
  { name: '96@16/2 depthwise', channels: [96, 96], size: 16, groups: 96, stride: 2 },
  { name: '64-64@32', channels: [64, 64], size: 32 },
  { name: '128-128@16', channels: [128, 128], size: 16 },
  { name: '256-256@8', channels: [256, 256], size: 8 },
  { name: '512-512@4', channels: [512, 512], size: 4 },
  { name: '512-512@2', channels: [512, 512], size: 2 },
];

function geometryOf({ channels, size, kernel = 3, stride = 1, groups = 1 }: Shape): ConvolutionGeometry {
  const pad = (kernel - 1) / 2;
  const narrow = Math.floor((size + 2 * pad - kernel) / stride) + 1;
  const both = (value: number): readonly number[] => [value, value];
  return {
    batch: BATCH,
    groups,
    wideChannels: channels[0],
    narrowChannels: channels[1],
    wide: both(size),
    narrow: both(narrow),
    kernel: both(kernel),
    strides: both(stride),
    dilations: both(1),
    padsBegin: both(pad),
    padsEnd: both(pad),
  };
}

type Part = 'forward' | 'input gradient' | 'weight gradient';

interface Contender {
  readonly part: Part;
  readonly form: string;
  readonly expectedMs: number;
  readonly write: (lowering: cost.Lowering, wide: Value, narrow: Value, weight: Value) => Value;
}

function contenders(settings: RuleSettings, geometry: ConvolutionGeometry): Contender[] {
  const preferring = (lowering: cost.Lowering, form: string): cost.Lowering => ({
    ...lowering,
    choose: (candidates) => candidates.find((candidate) => candidate.form === form)?.form ?? cost.cheapest(candidates),
  });
  const listed = (part: Part, candidates: readonly cost.Candidate<string>[], write: Contender['write']): Contender[] =>
    candidates.map(({ form, nanoseconds }) => ({
      part,
      form,
      expectedMs: nanoseconds / 1e6,
      write: (lowering, ...values) => write(preferring(lowering, form), ...values),
    }));
  return [
    ...listed('forward', cost.convolutions(settings, geometry), (lowering, wide, _, weight) =>
      toNarrow(lowering, geometry, wide, weight),
    ),
    ...listed(
      'input gradient',
      cost.waysBack(settings, geometry, reversedConvolution(geometry)),
      (lowering, _, narrow, weight) => toWide(lowering, geometry, narrow, weight),
    ),
    ...listed('weight gradient', cost.weightGradients(settings, geometry), (lowering, wide, narrow) =>
      weightGradient(lowering, geometry, wide, narrow),
    ),
  ];
}

interface Running {
  readonly contender: Contender;
  readonly session: ort.InferenceSession;
  readonly feeds: Record<string, ort.Tensor>;
  readonly fetches: Record<string, ort.Tensor>;
  readonly wallMs: number[];
  readonly cpuMs: number[];
}

async function start(
  contender: Contender,
  settings: RuleSettings,
  geometry: ConvolutionGeometry,
  threads: number,
): Promise<Running> {
  const { batch, wideChannels, narrowChannels, wide, narrow, kernel, groups } = geometry;
  const build = createGraphBuilder();
  const inputs = [
    build.input('wide', [batch, wideChannels, ...wide]),
    build.input('narrow', [batch, narrowChannels, ...narrow]),
    build.input('weight', [narrowChannels, wideChannels / groups, ...kernel]),
  ] as const;
  const result = contender.write({ build, settings, choose: cost.cheapest }, ...inputs);
  build.output('result', result);
  const session = await ort.InferenceSession.create(toModelBytes(build.build(contender.form)).bytes, {
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'all',
  });
  const random = createRandom(1);
  const tensor = (dims: readonly number[]): ort.Tensor =>
    new ort.Tensor(
      'float32',
      Float32Array.from({ length: elementCount(dims) }, () => random.uniform() - 0.5),
      dims,
    );
  const feeds = Object.fromEntries(
    inputs.filter(({ name }) => session.inputNames.includes(name)).map(({ name, dims }) => [name, tensor(dims)]),
  );
  return { contender, session, feeds, fetches: { result: tensor(result.dims) }, wallMs: [], cpuMs: [] };
}

async function step({ session, feeds, fetches, wallMs, cpuMs }: Running): Promise<void> {
  const cpu = process.cpuUsage();
  const begin = process.hrtime.bigint();
  await session.run(feeds, fetches);
  wallMs.push(Number(process.hrtime.bigint() - begin) / 1e6);
  const { user, system } = process.cpuUsage(cpu);
  cpuMs.push((user + system) / 1e3);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

async function main(threads: number, rounds: number, only?: string): Promise<void> {
  const probe = await ort.InferenceSession.create(toModelBytes(channelBlockProbe()).bytes);
  const channelBlock = channelBlockOf((await probe.run({})).blocked!.data as Float32Array);
  const settings: RuleSettings = { batchNorm: 'batch', device: 'cpu', channelBlock };
  console.log(`block of ${channelBlock ?? 'no'} channels, ${threads} threads, batch ${BATCH}, medians of ${rounds}`);
  for (const shape of SHAPES) {
    if (only !== undefined && shape.name !== only) continue;
    const geometry = geometryOf(shape);
    const running: Running[] = [];
    for (const contender of contenders(settings, geometry))
      running.push(await start(contender, settings, geometry, threads));
    for (const one of running) await step(one);
    for (const one of running) [one.wallMs.length, one.cpuMs.length] = [0, 0];
    for (let round = 0; round < rounds; round += 1) for (const one of running) await step(one);
    for (const { contender, session, wallMs, cpuMs } of running) {
      const { part, form, expectedMs } = contender;
      const numbers = [median(wallMs), Math.min(...wallMs), median(cpuMs), expectedMs].map((ms) =>
        ms.toFixed(2).padStart(8),
      );
      const [wall, least, cpu, expectation] = numbers;
      console.log(
        `${shape.name.padEnd(22)} ${part.padEnd(16)} ${form.padEnd(11)} wall ${wall} (least ${least}) cpu ${cpu} expected ${expectation}`,
      );
      await session.release();
    }
  }
}

const [threads = '1', rounds = '9', only] = process.argv.slice(2);
void main(Number(threads), Number(rounds), only);
