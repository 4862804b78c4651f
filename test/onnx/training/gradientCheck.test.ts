import type { Model } from '../../../src/onnx/ir';
import { scale } from '../../../src/onnx/training/operations';
import { GRADIENT_RULES } from '../../../src/onnx/training/rules';
import type { Differentiable, GradientRule } from '../../../src/onnx/training/rule';
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

test('a gradient that is wrong by a thousandth is noticed', async () => {
  const relu: GradientRule = (scope) => {
    const right = GRADIENT_RULES.Relu!(scope);
    const backward: Differentiable['backward'] = (gradients) =>
      right.backward(gradients).map((gradient) => gradient && scale(scope.build, gradient, 1.001));
    return { outputs: right.outputs, backward };
  };
  const check = checkGradients(network(), { rules: { ...GRADIENT_RULES, Relu: relu } });
  await expect(check).rejects.toThrow('gradient of input, by differences');
});

test('sizes that are computed from a tensor on the way of gradients are constants', async () => {
  const b = new ModelBuilder({ opset: 13 });
  const x = b.node('Exp', [b.input('input', ['N', 3, 4])]);
  const batch = b.node('Gather', [b.node('Shape', [x]), b.ints([0])], { axis: 0 });
  b.output(b.node('Reshape', [x, b.node('Concat', [batch, b.ints([-1])], { axis: 0 })]));
  const { operators } = await checkGradients(b.build());
  expect(operators).toContain('Reshape');
});
