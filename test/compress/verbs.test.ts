import { analyze } from '../../src/compress/analyze';
import { mergeAnalyses } from '../../src/compress/analyzeMerge';
import { analyzeShard } from '../../src/compress/analyzeShard';
import { compareModels, evaluate } from '../../src/compress/evaluate';
import { inspect } from '../../src/compress/inspect';
import { analyzeChannels } from '../../src/onnx/channels/analyze';
import type { Model } from '../../src/onnx/ir';
import { cutChannels } from '../../src/onnx/passes/cutChannels';
import { toModelBytes } from '../../src/onnx/save';
import { inferShapes } from '../../src/onnx/shapes';
import { ModelBuilder } from '../support/modelBuilder';
import { runModel } from '../support/runtime';
import { accuracyOf } from './support/checks';
import { channelsLast, toyNetwork } from './support/networks';
import { CLASSES, SAMPLE_DIMS } from './support/toyData';
import { toyWorld, type ToyWorld } from './support/world';

jest.setTimeout(60_000);

let world: ToyWorld;
let residual: Model;
beforeAll(async () => {
  world = await toyWorld();
  residual = await toyNetwork('residual');
});
afterAll(() => world.remove());

const RUN = { device: 'cpu', threads: 2 } as const;

describe('inspect', () => {
  test('counts parameters and multiply-accumulates as one does by hand', async () => {
    const { parameters, runningStatistics, macs, bytes, input, opset } = await inspect(toModelBytes(residual));
    const convolutions = 16 * 27 + 2 * 16 * 144 + 24 * 144 + 24 * 216 + 24 * 16;
    expect(parameters).toBe(convolutions + 2 * (3 * 16 + 3 * 24) + 24 * CLASSES + CLASSES);
    expect(runningStatistics).toBe(2 * (3 * 16 + 3 * 24));
    const multiplied = 64 * (16 * 27 + 2 * 16 * 144) + 16 * (24 * 144 + 24 * 216 + 24 * 16) + 24 * CLASSES;
    expect(macs).toBeGreaterThanOrEqual(multiplied);
    expect(macs).toBeLessThan(1.03 * multiplied);
    expect(bytes).toBe(toModelBytes(residual).bytes.length);
    expect(input).toEqual({ name: 'input', shape: ['N', 3, 8, 8] });
    expect(opset).toBe(17);
  });

  test('says of every layer whether it can be cut, and why not', async () => {
    const { layers, groups } = await inspect(toModelBytes(residual));
    expect(layers.filter(({ prunable, reason }) => prunable === (reason !== undefined))).toEqual([]);
    expect(layers.filter(({ op }) => op === 'Conv').every(({ prunable }) => prunable)).toBe(true);
    expect(layers.find(({ name }) => name === 'head')).toMatchObject({ prunable: false });
    expect(groups.filter(({ prunable }) => prunable).map(({ size }) => size)).toEqual([16, 16, 24, 24]);
    expect(groups.every(({ id, members }) => members.includes(id))).toBe(true);
  });

  test('lists what can be taken out as a whole', async () => {
    const { removable, parameters } = await inspect(toModelBytes(residual));
    const blocks = removable.filter(({ kind }) => kind === 'residual-block');
    expect(blocks.map((block) => block.parameters)).toEqual([2 * 16 * 144 + 4 * 16, 24 * 144 + 24 * 216 + 4 * 24]);
    expect(blocks.map(({ remark }) => remark?.includes('projection') ?? false)).toEqual([false, true]);
    expect(removable.every((layer) => layer.nodes.length > 0 && layer.parameters <= parameters)).toBe(true);
  });

  test('reads a model whose operators or numbers it can not follow, and says so', async () => {
    const { graph } = residual;
    const nodes = graph.nodes.map((node) => (node.opType === 'Relu' ? { ...node, domain: 'com.example' } : node));
    const opsets = new Map([...residual.opsets, ['com.example', 1]]);
    const { layers, groups, removable } = await inspect(
      toModelBytes({ ...residual, opsets, graph: { ...graph, nodes } }),
    );
    expect(removable).toEqual([]);
    expect(layers.some(({ prunable }) => prunable)).toBe(false);
    expect(groups.some(({ prunable }) => prunable)).toBe(false);
    expect(layers[0]?.reason).toMatch(/Relu of domain "com\.example" \(node "/);
  });

  test('stops when it is told to', async () => {
    await expect(inspect(toModelBytes(residual), { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    });
  });
});

describe('analyze', () => {
  test('gives SI and CSI of the input and every cut point, as brute force finds them', async () => {
    const { images, labels, count } = world.validationImages;
    const result = await analyze(toModelBytes(residual), { ...RUN, data: world.validation });
    expect(result).toMatchObject({ samples: count, device: 'cpu', classNames: ['0', '1', '2', '3'] });
    expect(result.layers[0]!.name).toBe('input');
    expect(result.layers.length).toBeGreaterThan(3);
    for (const { name, si, csi, perClass } of [result.layers[0]!, result.layers[1]!, result.layers.at(-1)!]) {
      const features = name === 'input' ? images : await valuesOf(residual, name, images, count);
      const wanted = bruteForce(features, labels);
      expect({ name, si, csi }).toEqual({ name, si: wanted.si, csi: wanted.csi });
      const mean = perClass.reduce((sum, share) => sum + share, 0) / CLASSES;
      expect(mean).toBeCloseTo(si, 9);
    }
  });

  test('marks a layer as effective where it raises one of the two', async () => {
    const { layers } = await analyze(toModelBytes(residual), { ...RUN, data: world.validation, epsilon: 0.02 });
    layers.forEach(({ si, csi, effective }, position) => {
      const before = layers[position - 1] ?? { si: -1, csi: -1 };
      expect(effective).toBe(si > before.si + 0.02 || csi > before.csi + 0.02);
    });
  });

  test('adds every filter where that is asked for', async () => {
    const options = { ...RUN, data: world.validation, samples: 100, filters: true };
    const { layers, samples } = await analyze(toModelBytes(residual), options);
    expect(samples).toBe(100);
    expect(layers[0]).not.toHaveProperty('filters');
    for (const { filters } of layers.slice(1)) {
      expect(filters!.si).toHaveLength(filters!.csi.length);
      expect([16, 24, CLASSES]).toContain(filters!.si.length);
      expect([...filters!.si, ...filters!.csi].every((share) => share >= 0 && share <= 1)).toBe(true);
    }
  });

  test('says why a cut point has no single filters', async () => {
    const options = { ...RUN, data: world.validation, samples: 40, filters: true };
    const { layers } = await analyze(toModelBytes(turnedNetwork()), options);
    const found = layers.map(({ filters, filtersSkipped }) => filtersSkipped ?? filters?.si.length ?? 'the input');
    expect(found).toEqual([
      'the input',
      'which axis holds its channels is not known',
      6,
      'its channels lie along axis 3, not 1',
      6,
      'its channels have several positions each along axis 1',
      CLASSES,
    ]);
    const plain = await analyze(toModelBytes(turnedNetwork()), { ...options, filters: false });
    expect(plain.layers.filter(({ filtersSkipped }) => filtersSkipped !== undefined)).toEqual([]);
    const parts = [];
    for (const index of [1, 2])
      parts.push(await analyzeShard(toModelBytes(turnedNetwork()), { ...options, shard: { index, count: 2 } }));
    expect((await mergeAnalyses(parts)).layers).toEqual(layers);
  });

  test('gives the same however little memory it may use', async () => {
    const options = { ...RUN, data: world.validation, samples: 60 };
    const whole = await analyze(toModelBytes(residual), options);
    const thrifty = await analyze(toModelBytes(residual), { ...options, memoryBudgetBytes: 60 * 4 * 16 * 64 });
    expect(thrifty).toEqual(whole);
  });
});

describe('evaluate', () => {
  test('gives the accuracy that ONNX Runtime alone gives, by class too', async () => {
    const result = await evaluate(toModelBytes(residual), { ...RUN, data: world.validation });
    const { count, labels } = world.validationImages;
    expect(result).toMatchObject({ samples: count, top5: 1, device: 'cpu' });
    expect(Math.abs(result.top1 - (await accuracyOf(residual, world.validationImages)))).toBeLessThanOrEqual(1 / count);
    const correct = result.perClass.reduce((sum, { samples, top1 }) => sum + samples * top1, 0);
    expect(correct / count).toBeCloseTo(result.top1, 9);
    expect(result.perClass.map(({ samples }) => samples)).toEqual(
      [0, 1, 2, 3].map((label) => labels.filter((value) => value === label).length),
    );
    const { p50, p95, p99 } = result.latencyMs;
    expect(0 < p50 && p50 <= p95 && p95 <= p99).toBe(true);
    expect(result.imagesPerSecond).toBeGreaterThan(0);
    expect(result.loss).toBeGreaterThan(0);
  });

  test('says which device it took and why', async () => {
    const messages: string[] = [];
    const onMessage = (text: string): unknown => messages.push(text);
    await evaluate(toModelBytes(residual), { ...RUN, data: world.validation, samples: 20, onMessage });
    expect(messages).toContainEqual(expect.stringMatching(/^cpu: taken: .+/));
    expect(messages).toContainEqual(expect.stringMatching(/^data: 200 samples of 4 classes/));
  });

  test('of two networks gives both, how often they agree and how much faster the second is', async () => {
    const analysis = analyzeChannels(residual, inferShapes(residual));
    const [group] = analysis.groups.filter(({ prunable }) => prunable);
    const cut = cutChannels(residual, analysis, { [group!.id]: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] });
    const options = { ...RUN, data: world.validation };
    const pair = await compareModels(toModelBytes(residual), toModelBytes(cut), options);
    expect(pair.models.map(({ samples }) => samples)).toEqual([200, 200]);
    expect(pair.models[1].top1).toBeLessThan(pair.models[0].top1);
    expect(pair.agreement).toBeLessThan(1);
    expect(pair.agreement).toBeGreaterThan(0);
    expect(pair.speedRatio).toBeGreaterThan(0);
  });

  test('of a network and itself with channels last finds no difference', async () => {
    const options = { ...RUN, data: world.validation, latencyBatch: 64 };
    const pair = await compareModels(toModelBytes(residual), toModelBytes(channelsLast(residual)), options);
    expect(pair.agreement).toBe(1);
    expect(pair.models[1].top1).toBe(pair.models[0].top1);
    expect(pair.models[1].loss).toBeCloseTo(pair.models[0].loss, 6);
  });
});

/** Its channels were made by no layer, then lie along axis 1, along axis 3, and several times along axis 1. */
function turnedNetwork(): Model {
  const b = new ModelBuilder();
  const mirrored = b.node('Transpose', [b.input('input', ['N', ...SAMPLE_DIMS])], { perm: [0, 1, 3, 2] });
  const conv = b.node('Relu', [b.conv(mirrored, 3, 6, 3)]);
  const turned = b.node('Transpose', [conv], { perm: [0, 2, 3, 1] });
  const back = b.node('MaxPool', [b.node('Transpose', [turned], { perm: [0, 3, 1, 2] })], { kernel_shape: [2, 2] });
  const rows = b.node('Relu', [b.node('Flatten', [back])]);
  b.output(b.gemm(rows, 6 * 25, CLASSES), ['N', CLASSES]);
  return b.build();
}

async function valuesOf(model: Model, name: string, data: Float32Array, count: number): Promise<Float32Array> {
  const outputs = [{ name, dataType: 'float32' as const, shape: undefined }];
  const tapped = { ...model, graph: { ...model.graph, outputs } };
  return (await runModel(tapped, { input: { dims: [count, ...SAMPLE_DIMS], data } })).get(name)!.data as Float32Array;
}

/** SI and CSI straight from their definitions, in float64. */
function bruteForce(features: Float32Array, labels: Int32Array): { si: number; csi: number } {
  const rows = labels.length;
  const dims = features.length / rows;
  const row = (index: number): Float32Array => features.subarray(index * dims, (index + 1) * dims);
  const distance = (left: ArrayLike<number>, right: ArrayLike<number>): number => {
    let sum = 0;
    for (let at = 0; at < dims; at++) sum += (left[at]! - right[at]!) ** 2;
    return sum;
  };
  const nearest = (from: ArrayLike<number>, others: readonly ArrayLike<number>[], except: number): number => {
    let best = -1;
    let least = Infinity;
    others.forEach((other, index) => {
      const far = index === except ? Infinity : distance(from, other);
      if (far < least) [best, least] = [index, far];
    });
    return best;
  };
  const all = Array.from({ length: rows }, (_, index) => row(index));
  const centres = Array.from({ length: CLASSES }, (_, label) => {
    const members = all.filter((_row, index) => labels[index] === label);
    return Float64Array.from(
      { length: dims },
      (_value, at) => members.reduce((sum, one) => sum + one[at]!, 0) / members.length,
    );
  });
  const near = all.filter((one, index) => labels[nearest(one, all, index)] === labels[index]).length;
  const central = all.filter((one, index) => nearest(one, centres, -1) === labels[index]).length;
  return { si: near / rows, csi: central / rows };
}
