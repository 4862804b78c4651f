import { readFile, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { finetune, type FinetuneOptions, type FinetuneResult } from '../../src/compress/finetune';
import { compress } from '../../src/compress/compress';
import type { Model } from '../../src/onnx/ir';
import { parseModel, readModel } from '../../src/onnx/load';
import { toModelBytes } from '../../src/onnx/save';
import { tensorToFloat32 } from '../../src/onnx/tensor';
import { ModelBuilder } from '../support/modelBuilder';
import { accuracyOf } from './support/checks';
import { channelsLast, halfPrecision, toyNetwork, TRUNKS, type NetworkName } from './support/networks';
import { CLASSES, SAMPLE_DIMS, toyImages, writeNpz } from './support/toyData';
import { toyWorld, type ToyWorld } from './support/world';

jest.setTimeout(120_000);

let world: ToyWorld;
let original: Model;
beforeAll(async () => {
  world = await toyWorld(480);
  original = await toyNetwork('residual');
});
afterAll(() => world.remove());

// Waves are not the same when they are flipped: the angle tells the class.
const RECIPE = { batchSize: 32, flip: 0, crop: 0, device: 'cpu', threads: 2 } as const;

function train(options: Partial<FinetuneOptions> = {}, model = original): Promise<FinetuneResult> {
  const { data, validation } = world;
  return finetune(toModelBytes(model), { data, validation, epochs: 2, ...RECIPE, ...options });
}

const trainedModel = ({ model }: FinetuneResult): Model => parseModel(model.bytes);

/** Values of the stored tensors by name. */
function valuesOf({ graph }: Model): Map<string, Float32Array> {
  return new Map([...graph.initializers].map(([name, tensor]) => [name, tensorToFloat32(tensor)]));
}

describe('every kind of network learns, and keeps its graph', () => {
  test.each(Object.keys(TRUNKS) as NetworkName[])('%s', async (name) => {
    const model = await toyNetwork(name);
    const result = await train({ epochs: 6 }, model);
    const trained = trainedModel(result);
    const shape = ({ graph }: Model) => ({
      nodes: graph.nodes.map(({ key, opType, inputs, outputs }) => ({ key, opType, inputs, outputs })),
      tensors: [...graph.initializers.values()].map(({ name: tensor, dims, dataType }) => ({ tensor, dims, dataType })),
    });
    expect(shape(trained)).toEqual(shape(model));
    expect(result.after.top1).toBeGreaterThanOrEqual(result.before.top1);
    expect(result.after.loss).toBeLessThan(0.5 * result.before.loss);
    expect(result.after.top1).toBeGreaterThanOrEqual(0.97);
    expect(await accuracyOf(trained, world.validationImages)).toBeCloseTo(result.after.top1, 2);
    expect(result.epochs).toHaveLength(6);
  });

  test('channels last, float16, a fixed batch', async () => {
    const last = await train({}, channelsLast(original));
    expect(last.after.loss).toBeLessThan(last.before.loss);
    const half = await train({}, halfPrecision(await toyNetwork('folded')));
    expect(half.after.loss).toBeLessThan(half.before.loss);
    expect([...trainedModel(half).graph.initializers.values()].every(({ dataType }) => dataType === 'float16')).toBe(
      true,
    );
    const fixed = await train({ batchSize: undefined }, await toyNetwork('vgg', { batch: 40 }));
    expect(fixed.after.loss).toBeLessThan(fixed.before.loss);
  });
});

describe('recipes', () => {
  const recipes: readonly (readonly [string, Partial<FinetuneOptions>])[] = [
    ['AdamW', { optimizer: 'adamw', learningRate: 0.003 }],
    ['frozen batch normalisation', { batchNorm: 'frozen' }],
    ['clipping, smoothing, cosine', { clipNorm: 1, labelSmoothing: 0.1, schedule: 'cosine', warmup: 0.5 }],
    [
      'plain momentum, decoupled decay, steps',
      { nesterov: false, decoupledDecay: true, schedule: 'step', milestones: [1] },
    ],
    ['mixing and balanced classes', { mixup: 0.2, classBalanced: true, epochs: 4 }],
    ['a moving average', { averageDecay: 0.9, epochs: 4 }],
  ];
  test.each(recipes)('%s', async (_, options) => {
    const { before, after } = await train(options);
    expect(after.loss).toBeLessThan(before.loss);
    expect(after.top1).toBeGreaterThan(before.top1);
  });

  test('frozen nodes and frozen statistics keep their values, all others change', async () => {
    const nodes = original.graph.nodes.filter(({ opType }) => opType === 'Conv');
    const [first] = nodes;
    const frozen = first!.inputs[1]!;
    const result = await train({ freeze: [first!.key], batchNorm: 'frozen', epochs: 1 });
    const [before, after] = [valuesOf(original), valuesOf(trainedModel(result))];
    const statistics = original.graph.nodes
      .filter(({ opType }) => opType === 'BatchNormalization')
      .flatMap(({ inputs }) => inputs.slice(3, 5));
    const unchanged = [...before].filter(([name, values]) =>
      after.get(name)!.every((value, at) => value === values[at]),
    );
    expect(unchanged.map(([name]) => name).sort()).toEqual([frozen, ...statistics].sort());
  });

  test('batch normalisations that were folded come back for training, and are folded again', async () => {
    const folded = await toyNetwork('folded');
    const plain = await train({}, folded);
    const steadied = await train({ batchNorm: 'reinsert' }, folded);
    const result = trainedModel(steadied);
    expect(result.graph.nodes.map(({ key }) => key)).toEqual(folded.graph.nodes.map(({ key }) => key));
    expect([...result.graph.initializers.keys()]).toEqual([...folded.graph.initializers.keys()]);
    expect(await accuracyOf(result, world.validationImages)).toBeCloseTo(steadied.after.top1, 2);
    expect(steadied.after.loss).toBeLessThan(plain.after.loss);
  });

  test('from scratch', async () => {
    const result = await train({ fromScratch: true, epochs: 6 });
    expect(result.before.top1).toBeLessThan(0.6);
    expect(result.after.top1).toBeGreaterThanOrEqual(0.97);
  });

  test('the same seed gives the same bytes, another seed others', async () => {
    const [first, again, other] = [await train({ seed: 3 }), await train({ seed: 3 }), await train({ seed: 4 })];
    expect(Buffer.from(first.model.bytes).equals(again.model.bytes)).toBe(true);
    expect(Buffer.from(first.model.bytes).equals(other.model.bytes)).toBe(false);
  });
});

describe('a teacher', () => {
  test('is learned from alone, labels apart', async () => {
    const teacher = trainedModel(await train({ epochs: 4 }));
    const student = await toyNetwork('concat');
    const result = await train({ teacher: toModelBytes(teacher), distillationWeight: 1, epochs: 6 }, student);
    expect(result.after.top1).toBeGreaterThan(result.before.top1);
    expect(result.after.top1).toBeGreaterThanOrEqual(0.95);
  });

  test('of other images or other classes is refused', async () => {
    const foreign = (dims: readonly number[], classes: number): Model => {
      const b = new ModelBuilder();
      const [channels] = dims as [number];
      const features = b.node('Flatten', [b.node('GlobalAveragePool', [b.input('input', ['N', ...dims])])]);
      b.output(b.gemm(features, channels, classes), ['N', classes]);
      return b.build();
    };
    await expect(train({ teacher: toModelBytes(foreign(SAMPLE_DIMS, CLASSES + 1)) })).rejects.toMatchObject({
      code: 'ERR_DATA_MISMATCH',
      message: 'Expected 4 classes for the teacher but received 5',
    });
    await expect(train({ teacher: toModelBytes(foreign([3, 9, 8], CLASSES)) })).rejects.toMatchObject({
      code: 'ERR_DATA_MISMATCH',
    });
  });
});

describe('an interrupted run', () => {
  test('goes on from its checkpoint to the same bytes, and leaves no checkpoint', async () => {
    const whole = await train({ epochs: 3, averageDecay: 0.8 });
    const output = world.at('resumed.onnx');
    const controller = new AbortController();
    const interrupted = train({
      epochs: 3,
      averageDecay: 0.8,
      output,
      signal: controller.signal,
      onProgress: ({ stage, message }) => {
        if (stage === 'train' && message?.startsWith('epoch 2/3') === true) controller.abort();
      },
    });
    await expect(interrupted).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    expect(existsSync(output)).toBe(false);
    expect(existsSync(`${output}.checkpoint`)).toBe(true);

    await expect(train({ epochs: 3, averageDecay: 0.8, output })).rejects.toMatchObject({ code: 'ERR_OUTPUT_EXISTS' });
    await expect(train({ epochs: 4, averageDecay: 0.8, output, resume: true })).rejects.toMatchObject({
      code: 'ERR_DATA_MISMATCH',
    });
    const resumed = await train({ epochs: 3, averageDecay: 0.8, output, resume: true });
    expect(Buffer.from(resumed.model.bytes).equals(whole.model.bytes)).toBe(true);
    expect((await readFile(output)).equals(whole.model.bytes)).toBe(true);
    expect(existsSync(`${output}.checkpoint`)).toBe(false);
  });

  test('whose checkpoint is damaged is refused', async () => {
    const checkpoint = world.at('damaged.checkpoint');
    await writeFile(checkpoint, 'SIEVECKP and nothing else');
    await expect(train({ checkpoint, resume: true })).rejects.toMatchObject({ code: 'ERR_DATA_UNREADABLE' });
    await expect(train({ resume: true })).rejects.toMatchObject({ code: 'ERR_OPTION' });
  });
});

describe('what can not be trained', () => {
  test('a learning rate far too high stops with the step, and the checkpoint before it stays', async () => {
    const checkpoint = world.at('diverged.checkpoint');
    const failing = train({ learningRate: 1e30, schedule: 'constant', checkpoint });
    await expect(failing).rejects.toMatchObject({
      code: 'ERR_NON_FINITE',
      message: expect.stringMatching(/step \d+ of 15 in epoch 1 of 2 \(learning rate 1e\+30\)/) as string,
    });
  });

  test('too few samples', async () => {
    const data = await writeNpz(world.at('few.npz'), toyImages(20, 8));
    await expect(train({ data })).rejects.toMatchObject({ code: 'ERR_DATA_MISMATCH' });
  });

  test('an operator without a gradient is named, unless the weights before it stay as they are', async () => {
    const b = new ModelBuilder({ seed: 2 });
    const x = b.node('Relu', [b.conv(b.input('input', ['N', ...SAMPLE_DIMS]), 3, 8, 3, { pads: [1, 1, 1, 1] })]);
    const waved = b.node('Sin', [x], {}, { name: 'wave' });
    const features = b.node('Flatten', [b.node('GlobalAveragePool', [waved])]);
    b.output(b.gemm(features, 8, CLASSES), ['N', CLASSES]);
    const model = b.build();
    await expect(train({}, model)).rejects.toMatchObject({
      code: 'ERR_MODEL_UNSUPPORTED',
      message: expect.stringContaining('node "wave"') as string,
    });
    const conv = model.graph.nodes.find(({ opType }) => opType === 'Conv')!;
    const { before, after } = await train({ freeze: [conv.key], epochs: 4 }, model);
    expect(after.loss).toBeLessThan(before.loss);
  });

  test.each<readonly [string, Partial<FinetuneOptions>]>([
    ['epochs', { epochs: 0 }],
    ['batch', { batchSize: 1.5 }],
    ['learning-rate', { learningRate: 0 }],
    ['momentum', { momentum: 1 }],
    ['freeze', { freeze: ['nowhere'] }],
    ['keep-best', { keepBest: 'luck' as never }],
    ['optimizer', { optimizer: 'adam' as never }],
    ['flip', { flip: 2 }],
  ])('%s out of range', async (name, options) => {
    await expect(train(options)).rejects.toMatchObject({
      code: 'ERR_OPTION',
      message: expect.stringContaining(`--${name}`) as string,
    });
  });
});

test('compress --recover finetune: trained after the re-fit, verified, and better for it', async () => {
  const { data, validation } = world;
  const output = world.at('compressed.onnx');
  const options = { data, validation, flops: 0.3, criterion: 'l1', device: 'cpu', threads: 2 } as const;
  const refitted = await compress(toModelBytes(original), { ...options, recover: 'refit' });
  const training = { ...RECIPE, epochs: 4 };
  const result = await compress(toModelBytes(original), { ...options, recover: 'finetune', training, output });
  expect(result.removed).toEqual(refitted.removed);
  expect(result.stages.map(({ name }) => name).slice(-2)).toEqual(['finetune', 'verification']);
  expect(result.after.top1).toBeGreaterThan(refitted.after.top1);
  expect(await accuracyOf(await readModel(output), world.validationImages)).toBeCloseTo(result.after.top1, 2);
});
