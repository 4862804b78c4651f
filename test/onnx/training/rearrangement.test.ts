import { ModelBuilder } from '../../support/modelBuilder';
import { checkGradients } from './gradientCheck';

/** The chain makes the arriving gradient one that an operator computes. */
test('Transpose, Reshape, Flatten and Concat', async () => {
  const b = new ModelBuilder();
  const x = b.input('x', [2, 3, 4, 5]);
  const y = b.input('y', [2, 2, 4, 5]);
  const joined = b.node('Concat', [x, y, x], { axis: -3 });
  const turned = b.node('Transpose', [joined], { perm: [0, 3, 1, 2] });
  const shaped = b.node('Reshape', [turned, b.ints([0, -1, 4])]);
  b.output(b.node('Flatten', [shaped], { axis: -1 }));
  await checkGradients(b.build());
});

test('Pad and Slice', async () => {
  const b = new ModelBuilder();
  const x = b.input('x', [2, 3, 6, 7]);
  const padded = b.node('Pad', [x, b.ints([0, 1, 0, 2, 0, 3, -1, 1]), b.weights([], [0.5])]);
  const taken = b.node('Slice', [padded, b.ints([1, -1]), b.ints([7, -9]), b.ints([1, -1]), b.ints([2, -3])]);
  b.output(taken);
  await checkGradients(b.build());
});
