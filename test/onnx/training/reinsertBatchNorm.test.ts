import { listFoldedConvolutions, reinsertBatchNorms } from '../../../src/onnx/training/reinsertBatchNorm';
import { float32Tensor } from '../../../src/onnx/tensor';
import { ModelBuilder } from '../../support/modelBuilder';
import { largestDifference, runModel, sampleInput } from '../../support/runtime';

function network() {
  const b = new ModelBuilder({ seed: 4 });
  const x = b.input('input', [2, 3, 6, 6]);
  const first = b.node('Relu', [b.conv(x, 3, 5, 3)]);
  const second = b.conv(first, 5, 4, 1);
  const normalised = b.batchNorm(b.conv(second, 4, 4, 1), 4);
  b.output(b.node('Add', [normalised, second]), [2, 4, 4, 4]);
  return b.build();
}

const image = { input: sampleInput([2, 3, 6, 6], 7) };
const STATISTICS = [5, 4].map((channels, at) => ({
  mean: sampleInput([channels], at + 1).data,
  variance: sampleInput([channels], at + 3).data.map((value) => value + 1.5),
}));

test('a normalisation that comes back changes nothing, and folds into what it came from', async () => {
  const model = network();
  const convolutions = listFoldedConvolutions(model);
  expect(convolutions.map(({ channels }) => channels)).toEqual([5, 4]);
  const statistics = new Map(convolutions.map(({ node }, at) => [node, STATISTICS[at]!]));
  const { model: steadied, fold } = reinsertBatchNorms(model, statistics);
  expect(steadied.graph.nodes.filter(({ opType }) => opType === 'BatchNormalization')).toHaveLength(3);
  const output = model.graph.outputs[0]!.name;
  const expected = (await runModel(model, image)).get(output)!.data;
  expect(largestDifference((await runModel(steadied, image)).get(output)!.data, expected)).toBeLessThan(2e-6);
  expect(largestDifference((await runModel(fold(steadied), image)).get(output)!.data, expected)).toBeLessThan(2e-6);
});

test('what is trained with them is what the folded network computes', async () => {
  const model = network();
  const statistics = new Map(listFoldedConvolutions(model).map(({ node }, at) => [node, STATISTICS[at]!]));
  const { model: steadied, fold } = reinsertBatchNorms(model, statistics);
  // As after training: every stored tensor has other values, variances positive ones.
  const variances = new Set(
    steadied.graph.nodes.flatMap(({ opType, inputs }) => (opType === 'BatchNormalization' ? [inputs[4]] : [])),
  );
  const initializers = new Map(
    [...steadied.graph.initializers].map(([name, tensor], at) => {
      const { data } = sampleInput(tensor.dims, at + 20);
      return [name, float32Tensor(name, tensor.dims, variances.has(name) ? data.map(Math.abs) : data, tensor)];
    }),
  );
  const trained = { ...steadied, graph: { ...steadied.graph, initializers } };
  const output = model.graph.outputs[0]!.name;
  const expected = (await runModel(trained, image)).get(output)!.data;
  const folded = fold(trained);
  expect(folded.graph.nodes).toEqual(model.graph.nodes);
  const scale = Math.max(...Array.from(expected, (value) => Math.abs(Number(value))));
  expect(largestDifference((await runModel(folded, image)).get(output)!.data, expected)).toBeLessThan(1e-5 * scale);
});
