import { findCutPoints } from '../../src/onnx/cutPoints';
import { ModelBuilder } from '../support/modelBuilder';

function residualNetwork() {
  const model = new ModelBuilder();
  const x = model.input('input', ['N', 3, 8, 8]);
  const stem = model.node('Relu', [model.conv(x, 3, 4, 3, { pads: [1, 1, 1, 1] })], {}, { outputs: ['stem'] });
  const inner = model.node('Relu', [model.conv(stem, 4, 4, 3, { pads: [1, 1, 1, 1] })], {}, { outputs: ['inner'] });
  const branch = model.conv(inner, 4, 4, 3, { pads: [1, 1, 1, 1] });
  const sum = model.node('Add', [branch, stem], {}, { outputs: ['sum'] });
  const block = model.node('Relu', [sum], {}, { outputs: ['block'] });
  const pooled = model.node('GlobalAveragePool', [block], {}, { outputs: ['pooled'] });
  model.node('Flatten', [pooled], { axis: 1 }, { outputs: ['flat'] });
  model.node('Gemm', ['flat', model.initializer({ ...weight('w', [4, 10]) })], {}, { outputs: ['logits'] });
  model.output('logits', ['N', 10]);
  return model.build();
}

function weight(name: string, dims: number[]) {
  const bytes = new Uint8Array(dims.reduce((total, dim) => total * dim, 4));
  return { name, dims, dataType: 'float32' as const, byteLength: bytes.byteLength, bytes: () => bytes };
}

test('only block outputs count: neither the inside of a block, nor a layer before its activation, nor a flatten', () => {
  expect(findCutPoints(residualNetwork().graph, 'input', 'logits')).toEqual([
    'input',
    'stem',
    'block',
    'pooled',
    'logits',
  ]);
});

test('a network of one layer has its input and its output', () => {
  const model = new ModelBuilder();
  const x = model.input('input', ['N', 3, 8, 8]);
  model.node(
    'Flatten',
    [model.node('Conv', [x, model.initializer(weight('w', [2, 3, 8, 8]))])],
    {},
    { outputs: ['logits'] },
  );
  model.output('logits', ['N', 2]);
  const points = findCutPoints(model.build().graph, 'input', 'logits');
  expect(points[0]).toBe('input');
  expect(points.at(-1)).toBe('logits');
});
