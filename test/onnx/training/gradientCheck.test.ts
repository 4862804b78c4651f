import type { Model } from '../../../src/onnx/ir';
import { ModelBuilder } from '../../support/modelBuilder';
import { checkGradients } from './gradientCheck';

function network(): Model {
  const b = new ModelBuilder();
  const x = b.input('input', ['N', 5]);
  const hidden = b.node('Relu', [b.node('Add', [x, b.weights([1, 5])])]);
  b.output(b.gemm(hidden, 5, 3));
  return b.build();
}

test('gradients through Add, Relu and Gemm are those of torch and of finite differences', async () => {
  const { references, errors } = await checkGradients(network());
  expect(references).toContain('finite differences');
  expect([...errors.keys()].filter((name) => name.includes('by differences'))).toHaveLength(4);
});
