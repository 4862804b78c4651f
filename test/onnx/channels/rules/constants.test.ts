import type { DataType } from '../../../../src/onnx/ir';
import { float32Tensor, rawTensor } from '../../../../src/onnx/tensor';
import type { ModelBuilder } from '../../../support/modelBuilder';
import { analyze } from '../support';
import { expectExactCut, groupOf, network, nodeOf } from '../exactCut';

/** Numbers that every floating-point type holds exactly. */
function stored(m: ModelBuilder, dataType: DataType, dims: readonly number[]): string {
  const count = dims.reduce((product, dim) => product * dim, 1);
  const values = Float32Array.from({ length: count }, (_, index) => ((index * 7) % 13) / 8 - 0.75);
  const like = rawTensor('', [0], dataType, new Uint8Array(0));
  return m.initializer(float32Tensor(`stored_${dataType}`, dims, values, like));
}

const CODES = { float32: 1, float16: 10, float64: 11, bfloat16: 16 } as const;

test.each(['float16', 'bfloat16', 'float64'] as const)('weights stored as %s behind a Cast', async (dataType) => {
  const model = network((m, x) => {
    // More than 4,096 values: weights, not shape arithmetic.
    const weight = m.node('Cast', [stored(m, dataType, [80, 6, 3, 3])], { to: CODES.float32 });
    return [m.node('Conv', [x, weight], { pads: [1, 1, 1, 1] }, { name: 'wide', outputs: ['h'] }), 80];
  });
  const cut = await expectExactCut(model, { x: [0, 3], h: [1, 2, 79] });
  expect(cut.graph.initializers.get(nodeOf(cut, 'wide')?.inputs[1] ?? '')).toMatchObject({
    dataType: 'float32',
    dims: [77, 4, 3, 3],
  });
  expect(cut.graph.initializers.has(`stored_${dataType}`)).toBe(false);
});

test('weights behind Cast, Transpose, Reshape and Unsqueeze, one after the other', async () => {
  const model = network((m, x) => {
    const half = m.node('Cast', [stored(m, 'float16', [9, 6, 80])], { to: CODES.float32 });
    const turned = m.node('Transpose', [half], { perm: [2, 1, 0] });
    const squared = m.node('Reshape', [m.node('Unsqueeze', [turned, m.ints([3])]), m.ints([80, 6, 3, 3])]);
    return [m.node('Conv', [x, squared], { pads: [1, 1, 1, 1] }, { outputs: ['h'] }), 80];
  });
  await expectExactCut(model, { x: [5], h: [0, 7] });
});

test('what is rounded twice is no weight: float64 as float16', () => {
  const model = network((m, x) => {
    const half = m.node('Cast', [stored(m, 'float64', [80, 6, 3, 3])], { to: CODES.float16 });
    const weight = m.node('Cast', [half], { to: CODES.float32 });
    return [m.node('Conv', [x, weight], { pads: [1, 1, 1, 1] }, { name: 'culprit' }), 80];
  });
  expect(groupOf(model)).toMatchObject({ prunable: false, reason: 'Conv "culprit" has weights that are not constant' });
});

test('a list of whole numbers in a Constant node is whole numbers', async () => {
  const model = network((m, x) => {
    const list = m.node('Constant', [], { value_ints: { kind: 'ints', value: [6, 5, 4, 3, 2, 1] } });
    const column = m.node('Reshape', [m.node('Cast', [list], { to: CODES.float32 }), m.ints([6, 1, 1])]);
    const whole = m.node('Cast', [x], { to: 7 });
    const sum = m.node('Add', [m.node('Reshape', [list, m.ints([6, 1, 1])]), whole]);
    return [m.node('Mul', [m.node('Cast', [sum], { to: CODES.float32 }), column]), 6];
  });
  expect(analyze(model).groups[0]).toMatchObject({ prunable: true });
  await expectExactCut(model, { x: [0, 5] });
});
