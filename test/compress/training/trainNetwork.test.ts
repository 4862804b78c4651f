import { understandClassifier, type Classifier } from '../../../src/compress/open';
import { readRuntime } from '../../../src/compress/options';
import { drawSamples, openSamples } from '../../../src/compress/samples';
import { stepsPerRunOn } from '../../../src/compress/training/feeds';
import { readRecipe, type RecipeOptions } from '../../../src/compress/training/recipe';
import { trainNetwork, type TrainNetworkInputs } from '../../../src/compress/training/trainNetwork';
import { toModelBytes } from '../../../src/onnx/save';
import type { TrainingGraph } from '../../../src/onnx/training/trainingGraph';
import type { Checkpoint } from '../../../src/recovery/training/checkpoint';
import { toyNetwork } from '../support/networks';
import { toyWorld, type ToyWorld } from '../support/world';

jest.setTimeout(120_000);

let world: ToyWorld;
let network: Classifier;
beforeAll(async () => {
  world = await toyWorld(480);
  network = understandClassifier(await toyNetwork('residual'));
});
afterAll(() => world.remove());

/** 15 steps an epoch. */
const RECIPE: RecipeOptions = { epochs: 2, batchSize: 32, flip: 0, crop: 0 };

async function train(
  stepsPerRun: number | undefined,
  options: RecipeOptions = {},
  inputs: Partial<TrainNetworkInputs> = {},
  signal?: AbortSignal,
) {
  const checkpoints: Checkpoint[] = [];
  const messages: string[] = [];
  const runtime = { ...readRuntime({ device: 'cpu', threads: 1, seed: 5 }), signal };
  const data = await openSamples(world.data, network, runtime, 'data');
  const validation = await openSamples(world.validation, network, runtime, 'validation');
  const trained = await trainNetwork({
    network,
    training: drawSamples(data, undefined, 5),
    validation: drawSamples(validation, undefined, 5),
    teacher: undefined,
    recipe: readRecipe({ ...RECIPE, ...options }, network),
    runtime: { ...runtime, onProgress: ({ message }) => messages.push(message ?? '') },
    saveCheckpoint: (checkpoint) => {
      checkpoints.push(checkpoint);
      return Promise.resolve();
    },
    stepsPerRun,
    ...inputs,
  });
  const { bytes } = toModelBytes(trained.model);
  return { ...trained, bytes: Buffer.from(bytes), checkpoints, messages };
}

describe('several steps in one run of the graph', () => {
  test.each<readonly [string, number, RecipeOptions]>([
    ['5 of 15', 5, {}],
    ['4 of 15, three at the end', 4, { clipNorm: 1, averageDecay: 0.9, flip: 0.5, mixup: 0.2 }],
    ['8 of 15, AdamW, whose steps are counted', 8, { optimizer: 'adamw', learningRate: 0.003 }],
    ['more than an epoch has', 50, { batchNorm: 'frozen' }],
  ])('give the bytes of single ones: %s', async (_, stepsPerRun, options) => {
    const single = await train(undefined, options);
    const several = await train(stepsPerRun, options);
    expect(several.bytes.equals(single.bytes)).toBe(true);
    expect(several.history).toEqual(single.history);
    const progress = several.messages.filter((message) => message.startsWith('epoch'));
    expect(progress).toHaveLength(30);
    expect(single.bytes.equals(Buffer.from(toModelBytes(network.model).bytes))).toBe(false);

    const [resume] = several.checkpoints;
    const resumed = await train(stepsPerRun, options, { resume });
    expect(resumed.bytes.equals(single.bytes)).toBe(true);
  });

  test('with a teacher whose logits are fed', async () => {
    const options = { distillationWeight: 0.5 };
    const teacher = understandClassifier(await toyNetwork('residual'));
    const single = await train(1, options, { teacher });
    const several = await train(4, options, { teacher });
    expect(several.bytes.equals(single.bytes)).toBe(true);
    expect((await train(4, options)).bytes.equals(single.bytes)).toBe(false);
  });
});

test('cuda takes as many steps in a run as its batches leave room for, the other devices one', () => {
  const graph = (batchSize: number, side: number, needsTeacherLogits = false) =>
    ({
      batchSize,
      classes: 1000,
      imageDims: [batchSize, 3, side, side],
      needsTeacherLogits,
    }) as unknown as TrainingGraph;
  expect(stepsPerRunOn('cpu', graph(32, 32))).toBe(1);
  expect(stepsPerRunOn('webgpu', graph(32, 32))).toBe(1);
  expect(stepsPerRunOn('cuda', graph(128, 32))).toBe(8);
  // Of images of 224×224 with targets for 1,000 classes 442 fit, with a teacher's logits 439.
  expect(stepsPerRunOn('cuda', graph(128, 224))).toBe(3);
  expect(stepsPerRunOn('cuda', graph(221, 224))).toBe(2);
  expect(stepsPerRunOn('cuda', graph(220, 224, true))).toBe(1);
  expect(stepsPerRunOn('cuda', graph(1024, 224, true))).toBe(1);
});
