import { parseModel } from '../../../src/onnx/load';
import { applyBatchNormEdits, describeBatchNorm, describeBatchNorms } from '../../../src/onnx/passes/batchNorm';
import { codeOf } from '../../support/errors';
import { ModelBuilder } from '../../support/modelBuilder';
import { largestDifference, runModel, sampleInput } from '../../support/runtime';

function twoNorms(): ModelBuilder {
  const b = new ModelBuilder({ opset: 13 });
  const x = b.input('input', ['N', 3, 4, 4]);
  const [scale, shift, mean, variance] = [
    [1, 2, 3],
    [0, 1, -1],
    [0.1, 0.2, 0.3],
    [1, 4, 0.25],
  ].map((values) => b.weights([3], values));
  const parameters = [scale ?? '', shift ?? '', mean ?? '', variance ?? ''];
  const first = b.node('BatchNormalization', [x, ...parameters], { epsilon: 1e-3 }, { name: 'first' });
  b.output(
    b.node('BatchNormalization', [b.node('Relu', [first]), ...parameters], {}, { name: 'second', outputs: ['y'] }),
  );
  return b;
}

const edit = { node: 'second', mean: Float32Array.of(1, 2, 3), variance: Float32Array.of(4, 5, 6) };

test('parameters come out by name, with the standard epsilon where none is stated', () => {
  const model = parseModel(twoNorms().bytes());
  const [first, second] = describeBatchNorms(model);
  expect(first?.epsilon).toBeCloseTo(1e-3, 9);
  expect(second).toMatchObject({ node: 'second', output: 'y', channels: 3 });
  expect(second?.epsilon).toBeCloseTo(1e-5, 9);
  expect(second?.variance).toEqual(Float32Array.of(1, 4, 0.25));
  expect(describeBatchNorm(model, 'y')).toBeUndefined();
});

test('an edit changes one of two nodes that share statistics, and the runtime computes with it', async () => {
  const model = parseModel(twoNorms().bytes());
  const edited = applyBatchNormEdits(model, [edit]);
  expect(describeBatchNorm(edited, 'first')).toEqual(describeBatchNorm(model, 'first'));
  const second = describeBatchNorm(edited, 'second');
  expect(second).toMatchObject({ mean: edit.mean, variance: edit.variance });
  const input = sampleInput([2, 3, 4, 4]);
  const actual = (await runModel(edited, { input })).get('y');
  const first = describeBatchNorm(edited, 'first');
  const expectedValues = Array.from(input.data, (value, index) => {
    const channel = Math.floor(index / 16) % 3;
    const apply = (layer: typeof first, x: number) =>
      layer === undefined
        ? NaN
        : ((layer.scale[channel] ?? 0) * (x - (layer.mean[channel] ?? 0))) /
            Math.sqrt((layer.variance[channel] ?? 0) + layer.epsilon) +
          (layer.shift[channel] ?? 0);
    return apply(second, Math.max(0, apply(first, value)));
  });
  expect(largestDifference(actual?.data ?? [], expectedValues)).toBeLessThan(1e-5);
});

test('training mode is not described, wrong edits are refused', () => {
  const b = new ModelBuilder({ opset: 15 });
  const x = b.input('input', ['N', 3, 4, 4]);
  const parameters = [1, 2, 3, 4].map(() => b.weights([3]));
  const outputs = ['y', 'mean', 'variance'];
  b.node('BatchNormalization', [x, ...parameters], { training_mode: 1 }, { name: 'training', outputs });
  b.output('y');
  const model = b.build();
  expect(describeBatchNorms(model)).toEqual([]);
  expect(codeOf(() => applyBatchNormEdits(model, [{ ...edit, node: 'training' }]))).toBe('ERR_OPTION');
  const valid = parseModel(twoNorms().bytes());
  expect(codeOf(() => applyBatchNormEdits(valid, [{ ...edit, mean: new Float32Array(2) }]))).toBe('ERR_SHAPE');
});
