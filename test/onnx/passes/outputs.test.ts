import { parseModel } from '../../../src/onnx/load';
import { addOutputs, keepOnlyOutputs } from '../../../src/onnx/passes/outputs';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import { codeOf } from '../../support/errors';
import { ModelBuilder } from '../../support/modelBuilder';
import { hasPython, onnxProblems } from '../../support/python';
import { runModel, sampleInput } from '../../support/runtime';

function network(): ModelBuilder {
  const b = new ModelBuilder({ opset: 13 });
  const x = b.input('input', ['N', 3, 6, 6]);
  const relu = b.node('Relu', [b.conv(x, 3, 4, 3, {}, { outputs: ['conv'] })], {}, { outputs: ['relu'] });
  b.node('ArgMax', [relu], { axis: 1 }, { outputs: ['winner'] });
  const pooled = b.node('GlobalAveragePool', [relu], {}, { outputs: ['pooled'] });
  b.output(b.gemm(b.node('Flatten', [pooled]), 4, 2, { outputs: ['logits'] }), ['N', 2]);
  return b;
}

test('taps of any element type come out beside the old outputs, which stay first', async () => {
  const model = parseModel(network().bytes());
  const tapped = addOutputs(model, ['relu', 'winner', 'logits', 'relu'], inferShapes(model));
  expect(tapped.graph.outputs.map((output) => [output.name, output.dataType, output.shape])).toEqual([
    ['logits', 'float32', ['N', 2]],
    ['relu', 'float32', ['N', 4, 4, 4]],
    ['winner', 'int64', ['N', 1, 4, 4]],
  ]);
  const results = await runModel(tapped, { input: sampleInput([2, 3, 6, 6]) });
  expect(results.get('relu')?.dims).toEqual([2, 4, 4, 4]);
  expect(results.get('winner')?.dims).toEqual([2, 1, 4, 4]);
  if (hasPython('onnx')) expect(onnxProblems({ 'tapped.onnx': serializeModel(tapped) })).toEqual({});
  expect(addOutputs(model, ['logits'], inferShapes(model))).toBe(model);
});

test('keeping only some outputs drops what only the others needed', async () => {
  const model = parseModel(network().bytes());
  const shapes = inferShapes(model);
  const kept = keepOnlyOutputs(model, ['pooled', 'conv'], shapes);
  expect(kept.graph.outputs.map((output) => output.name)).toEqual(['pooled', 'conv']);
  expect(kept.graph.nodes.some((node) => node.opType === 'Gemm')).toBe(false);
  expect(kept.graph.initializers.size).toBe(2);
  const results = await runModel(kept, { input: sampleInput([1, 3, 6, 6]) });
  expect(results.get('pooled')?.dims).toEqual([1, 4, 1, 1]);
  expect(keepOnlyOutputs(model, ['logits'], shapes)).toBe(model);
});

test('names that nobody writes are refused', () => {
  const model = parseModel(network().bytes());
  const shapes = inferShapes(model);
  expect(codeOf(() => addOutputs(model, ['nothing'], shapes))).toBe('ERR_OPTION');
  expect(codeOf(() => addOutputs(model, ['input'], shapes))).toBe('ERR_OPTION');
  expect(codeOf(() => keepOnlyOutputs(model, [], shapes))).toBe('ERR_OPTION');
});
