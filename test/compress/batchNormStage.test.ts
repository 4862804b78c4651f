import { openDataset } from '../../src/activations/datasets/open';
import { reestimateBatchNorms } from '../../src/compress/batchNormStage';
import type { Samples } from '../../src/compress/network';
import { understandClassifier } from '../../src/compress/open';
import { readRuntime } from '../../src/compress/options';
import type { Model } from '../../src/onnx/ir';
import { applyBatchNormEdits, describeBatchNorms } from '../../src/onnx/passes/batchNorm';
import { runModel } from '../support/runtime';
import { accuracyOf } from './support/checks';
import { toyNetwork } from './support/networks';
import { SAMPLE_DIMS } from './support/toyData';
import { toyWorld, type ToyWorld } from './support/world';

jest.setTimeout(60_000);

let world: ToyWorld;
beforeAll(async () => {
  world = await toyWorld(250);
});
afterAll(() => world.remove());

async function reestimated(model: Model, count = 250, fractions: number[] = []): Promise<Model | undefined> {
  const classifier = understandClassifier(model);
  const dataset = await openDataset(world.data, { input: classifier.input });
  const samples: Samples = { dataset, indices: Int32Array.from({ length: count }, (_, index) => index) };
  const onProgress = ({ fraction }: { fraction: number }): unknown => fractions.push(fraction);
  return reestimateBatchNorms(model, classifier, samples, readRuntime({ device: 'cpu', threads: 2, onProgress }));
}

test('statistics that were spoilt become those of the data again, and the accuracy comes back', async () => {
  const model = await toyNetwork('residual');
  const spoilt = applyBatchNormEdits(
    model,
    describeBatchNorms(model).map(({ node, mean, variance }) => ({
      node,
      mean: mean.map((value) => value + 1),
      variance: variance.map((value) => 3 * value),
    })),
  );
  const fractions: number[] = [];
  const result = (await reestimated(spoilt, 250, fractions))!;
  expect(fractions).toEqual([1]);

  const accuracies = await Promise.all([model, spoilt, result].map((each) => accuracyOf(each, world.validationImages)));
  expect(accuracies[1]).toBeLessThan(accuracies[0]! - 0.2);
  expect(accuracies[2]).toBeGreaterThan(accuracies[0]! - 0.05);

  // All 250 samples are one batch, so that each layer's statistics are those of what it now reads.
  const dataset = await openDataset(world.data, { input: understandClassifier(model).input });
  const data = await dataset.load(Int32Array.from({ length: 250 }, (_, index) => index));
  for (const { input, channels, mean, variance } of describeBatchNorms(result)) {
    const outputs = [{ name: input, dataType: 'float32' as const, shape: undefined }];
    const tapped = { ...result, graph: { ...result.graph, outputs } };
    const values = (await runModel(tapped, { input: { dims: [250, ...SAMPLE_DIMS], data } })).get(input)!.data;
    const map = values.length / (250 * channels);
    const sums = new Float64Array(channels);
    const squares = new Float64Array(channels);
    for (let at = 0; at < values.length; at++) {
      const channel = Math.floor(at / map) % channels;
      sums[channel]! += Number(values[at]) / (250 * map);
      squares[channel]! += Number(values[at]) ** 2 / (250 * map);
    }
    expect(Math.max(...mean.map((value, channel) => Math.abs(value - sums[channel]!)))).toBeLessThan(1e-4);
    const spread = variance.map((value, channel) => Math.abs(value - (squares[channel]! - sums[channel]! ** 2)));
    expect(Math.max(...spread)).toBeLessThan(1e-3);
  }
});

test('a network without batch normalisation has nothing to re-estimate', async () => {
  expect(await reestimated(await toyNetwork('folded'))).toBeUndefined();
});

test('batches too small to speak for the data are left alone', async () => {
  expect(await reestimated(await toyNetwork('residual'), 31)).toBeUndefined();
  expect(await reestimated(await toyNetwork('residual', { batch: 16 }))).toBeUndefined();
});

test('a fixed batch that the samples do not fill is left alone', async () => {
  expect(await reestimated(await toyNetwork('residual', { batch: 64 }), 40)).toBeUndefined();
});

test('a fixed batch is filled as often as the samples allow', async () => {
  const fractions: number[] = [];
  expect(await reestimated(await toyNetwork('residual', { batch: 64 }), 250, fractions)).toBeDefined();
  expect(fractions).toEqual([1 / 3, 2 / 3, 1]);
});
