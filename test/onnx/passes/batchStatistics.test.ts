import type { Model } from '../../../src/onnx/ir';
import { applyBatchNormEdits, describeBatchNorms } from '../../../src/onnx/passes/batchNorm';
import { isInferenceBatchNorm, withBatchStatistics } from '../../../src/onnx/passes/batchStatistics';
import { inferShapes } from '../../../src/onnx/shapes';
import { halfPrecision, withFloat32Ends } from '../../compress/support/networks';
import { ModelBuilder } from '../../support/modelBuilder';
import { largestDifference, runModel, sampleInput } from '../../support/runtime';

/** Three normalisations, of [N, 6, 5, 5], [N, 4, 5, 5] and [N, 7]. */
function network(opset: number): Model {
  const b = new ModelBuilder({ opset, seed: 3 });
  const x = b.input('input', ['N', 3, 5, 5]);
  const first = b.node('Relu', [b.batchNorm(b.conv(x, 3, 6, 3, { pads: [1, 1, 1, 1] }), 6, { name: 'first' })]);
  const second = b.node('Relu', [b.batchNorm(b.conv(first, 6, 4, 1), 4, { name: 'second' })]);
  const flat = b.node('Flatten', [b.node('GlobalAveragePool', [second])]);
  b.output(b.batchNorm(b.gemm(flat, 4, 7), 7, { name: 'third', outputs: ['logits'] }), ['N', 7]);
  return b.build();
}

function ranksOf(model: Model): Map<string, number> {
  const shapes = inferShapes(model);
  return new Map(describeBatchNorms(model).map(({ node, input }) => [node, shapes.get(input)!.length]));
}

/** Mean and biased variance of each channel, in float64. */
function statistics(data: ArrayLike<number>, [samples = 0, channels = 0, ...map]: readonly number[]) {
  const size = map.reduce((product, dim) => product * dim, 1);
  const values = Array.from({ length: channels }, (): number[] => []);
  for (let at = 0; at < samples * channels * size; at++) values[Math.floor(at / size) % channels]!.push(data[at]!);
  const average = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0) / list.length;
  const mean = values.map(average);
  const variance = values.map((list, channel) => average(list.map((value) => (value - mean[channel]!) ** 2)));
  return { mean: Float32Array.from(mean), variance: Float32Array.from(variance) };
}

async function tap(model: Model, name: string, input: ReturnType<typeof sampleInput>) {
  const outputs = [{ name, dataType: 'float32' as const, shape: undefined }];
  const results = await runModel({ ...model, graph: { ...model.graph, outputs } }, { input });
  return results.get(name)! as { dims: readonly number[]; data: Float32Array };
}

// ReduceMean takes its axes as an attribute before operator set 18, and as an input from then on.
test.each([9, 13, 17, 18])(
  'the statistics are those of the batch, layer after layer, in operator set %d',
  async (opset) => {
    const model = network(opset);
    const input = sampleInput([24, 3, 5, 5], 7);
    const measuring = withBatchStatistics(model, ranksOf(model));
    const measured = await runModel(measuring.model, { input });
    expect(measuring.outputs.map(({ node }) => node)).toEqual(['first', 'second', 'third']);

    // The reference goes through the network with one normalisation after the other set to what it sees.
    let reference = model;
    for (const [position, { node, input: tensor, channels }] of describeBatchNorms(model).entries()) {
      const { data, dims } = await tap(reference, tensor, input);
      const direct = statistics(data, dims);
      const { mean, variance } = measuring.outputs[position]!;
      expect(measured.get(mean)!.data).toHaveLength(channels);
      expect(largestDifference(measured.get(mean)!.data, direct.mean)).toBeLessThan(1e-5);
      expect(largestDifference(measured.get(variance)!.data, direct.variance)).toBeLessThan(1e-5);
      reference = applyBatchNormEdits(reference, [{ node, ...direct }]);
    }
    const wanted = (await runModel(reference, { input })).get('logits')!.data;
    expect(largestDifference(measured.get('logits')!.data, wanted)).toBeLessThan(1e-4);
  },
);

test('a large mean leaves the variance its digits', async () => {
  const b = new ModelBuilder();
  b.output(b.batchNorm(b.input('input', ['N', 2, 4, 4]), 2, { name: 'norm', outputs: ['y'] }));
  const model = b.build();
  const { dims, data } = sampleInput([50, 2, 4, 4], 2);
  const input = { dims, data: data.map((value) => 1000 + value) };
  const { model: measuring, outputs } = withBatchStatistics(model, new Map([['norm', 4]]));
  const measured = await runModel(measuring, { input });
  const direct = statistics(input.data, dims);
  expect(largestDifference(measured.get(outputs[0]!.variance)!.data, direct.variance)).toBeLessThan(1e-3);
});

test('half precision is measured in single precision', async () => {
  const model = network(17);
  const half = halfPrecision(model);
  const { dims, data } = sampleInput([24, 3, 5, 5], 7);
  const measuring = withBatchStatistics(half, ranksOf(half));
  const [single, double] = [withBatchStatistics(model, ranksOf(model)), measuring].map(({ outputs }) => outputs[2]!);
  const wanted = await runModel(withBatchStatistics(model, ranksOf(model)).model, { input: { dims, data } });
  const measured = await runModel(withFloat32Ends(measuring.model), { input: { dims, data } });
  expect(measured.get(double!.mean)!.data).toBeInstanceOf(Float32Array);
  expect(largestDifference(measured.get(double!.mean)!.data, wanted.get(single!.mean)!.data)).toBeLessThan(5e-3);
  expect(largestDifference(measured.get(double!.variance)!.data, wanted.get(single!.variance)!.data)).toBeLessThan(
    5e-3,
  );
});

test('layers without a known rank, and those in training mode, stay as they are', () => {
  const model = network(17);
  const { model: same, outputs } = withBatchStatistics(model, new Map());
  expect(outputs).toEqual([]);
  expect(same.graph.nodes).toEqual(model.graph.nodes);
  const node = model.graph.nodes.find(({ opType }) => opType === 'BatchNormalization')!;
  const training = new Map([...node.attributes, ['training_mode', { kind: 'int' as const, value: 1 }]]);
  expect(isInferenceBatchNorm(node)).toBe(true);
  expect(isInferenceBatchNorm({ ...node, attributes: training })).toBe(false);
  expect(isInferenceBatchNorm({ ...node, domain: 'com.example' })).toBe(false);
});
