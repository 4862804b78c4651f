import { compareOutputs } from '../../../src/onnx/passes/checkEquivalence';

test('the difference is measured against the largest value of the reference', () => {
  expect(compareOutputs([0, -10, 5], [0.0005, -10, 5])).toEqual({
    maxAbsoluteDifference: 0.0005,
    outputScale: 10,
    relativeDifference: 0.00005,
    equal: true,
  });
  expect(compareOutputs([0, -10, 5], [0.002, -10, 5]).equal).toBe(false);
  expect(compareOutputs([0, -10, 5], [0.002, -10, 5], 1e-3).equal).toBe(true);
});

test.each([
  ['a NaN that was none', [1, 2], [1, NaN], false],
  ['a number that was NaN', [1, NaN], [1, 2], false],
  ['the same NaN and infinity', [1, NaN, Infinity], [1, NaN, Infinity], true],
  ['opposite infinities', [Infinity], [-Infinity], false],
  ['anything where the reference is all zero', [0, 0], [0, 1e-9], false],
  ['zeros of either sign', [0, 0], [0, -0], true],
  ['nothing at all', [], [], true],
])('%s', (_, reference, actual, equal) => {
  expect(compareOutputs(reference, actual).equal).toBe(equal);
});

test('outputs of different lengths are no match', () => {
  expect(() => compareOutputs([1, 2], [1])).toThrow('Expected 2 values for the output of the cut graph');
});
