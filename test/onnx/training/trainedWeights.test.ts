import type { Model } from '../../../src/onnx/ir';
import { float32Tensor, tensorToFloat32 } from '../../../src/onnx/tensor';
import type { TrainingGraphOptions } from '../../../src/onnx/training/trainingGraph';
import { halfPrecision } from '../../compress/support/networks';
import { ModelBuilder } from '../../support/modelBuilder';
import { runModel } from '../../support/runtime';
import {
  BATCH,
  CLASSES,
  IMAGE_DIMS,
  SAME,
  network,
  HEAD,
  batches,
  rates,
  SGD,
  graphOf,
  feedsOf,
  open,
  trainHere,
  valuesOf,
  relativeError,
  tensorsOf,
} from './smallTraining';

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
