import { selectPositions } from '../../src/onnx/selectPositions';
import {
  copyTensor,
  float32Tensor,
  int64Tensor,
  rawTensor,
  tensorToFloat32,
  tensorToNumbers,
} from '../../src/onnx/tensor';
import { createRandom } from '../../src/random';
import { codeOf } from '../support/errors';

test('positions along an axis are taken in the given order, whatever the element type', () => {
  const tensor = float32Tensor('x', [2, 3, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  const values = tensorToFloat32(selectPositions(tensor, [{ axis: 1, positions: [2, 0] }]));
  expect(Array.from(values)).toEqual([4, 5, 0, 1, 10, 11, 6, 7]);
  expect(selectPositions(tensor, [{ axis: 0, positions: [] }]).dims).toEqual([0, 3, 2]);
  const integers = int64Tensor('i', [3], [7, 8, 9]);
  expect(tensorToNumbers(selectPositions(integers, [{ axis: 0, positions: [1, 1] }]))).toEqual([8, 8]);
  expect(tensorToNumbers(selectPositions(integers, []))).toEqual([7, 8, 9]);
  expect(() => selectPositions(tensor, [{ axis: 1, positions: [3] }])).toThrow(/indices 0\.\.2 on axis 1/);
  expect(codeOf(() => selectPositions(tensor, [{ axis: 3, positions: [] }]))).toBe('ERR_SHAPE');
});

/** Element by element, from the definition. */
function oracle(values: ArrayLike<number>, dims: readonly number[], taken: readonly (readonly number[])[]): number[] {
  const offsets = dims.reduce(
    (found, length, axis) =>
      found.flatMap((offset) => (taken[axis] ?? []).map((position) => offset * length + position)),
    [0],
  );
  return offsets.map((offset) => values[offset] ?? NaN);
}

test('several axes at once give what the definition says, in blocks of any length', () => {
  const random = createRandom(5);
  for (let trial = 0; trial < 60; trial++) {
    const dims = Array.from({ length: 1 + random.integer(4) }, () => 1 + random.integer(trial % 3 === 0 ? 20 : 5));
    const count = dims.reduce((product, dim) => product * dim, 1);
    const bytes = Uint8Array.from({ length: count }, () => random.integer(256));
    const isTaken = dims.map(() => random.uniform() < 0.6);
    const taken = dims.map((length, axis) => {
      const all = Array.from({ length }, (_, index) => index);
      return isTaken[axis] === true ? all.filter(() => random.uniform() < 0.7) : all;
    });
    const selections = taken.flatMap((positions, axis) => (isTaken[axis] === true ? [{ axis, positions }] : []));
    const tensor = selectPositions(rawTensor('t', dims, 'uint8', bytes), selections.reverse());
    const expected = oracle(bytes, dims, taken);
    expect(Array.from(tensor.bytes())).toEqual(expected);
    const target = new Uint8Array(tensor.byteLength);
    copyTensor(tensor, target);
    expect(Array.from(target)).toEqual(expected);
  }
});

test('long blocks are copied whole', () => {
  const values = Float32Array.from({ length: 3 * 1000 }, (_, index) => index);
  const tensor = selectPositions(float32Tensor('x', [3, 1000], values), [{ axis: 0, positions: [2, 0, 1] }]);
  expect(tensorToFloat32(tensor)).toEqual(
    Float32Array.from([...values.subarray(2000), ...values.subarray(0, 1000), ...values.subarray(1000, 2000)]),
  );
});
