import { splitStratified, stratifiedSample } from '../../src/activations/calibration';

/** 60 of class 0, 30 of class 2, 10 of class 1, interleaved. */
const LABELS = Int32Array.from({ length: 100 }, (_, index) => (index % 10 === 0 ? 1 : index % 10 < 4 ? 2 : 0));

function countsOf(positions: Int32Array): number[] {
  return [0, 1, 2].map((label) => positions.filter((position) => LABELS[position] === label).length);
}

function isAscending(positions: Int32Array): boolean {
  return positions.every((position, index) => index === 0 || positions[index - 1]! < position);
}

test('classes keep their shares', () => {
  for (const [count, wanted] of [
    [10, [6, 1, 3]],
    [50, [30, 5, 15]],
    [100, [60, 10, 30]],
    [1, [1, 0, 0]],
    [15, [9, 2, 4]],
  ] as const) {
    const chosen = stratifiedSample(LABELS, count, 7);
    expect(countsOf(chosen)).toEqual(wanted);
    expect(isAscending(chosen)).toBe(true);
  }
});

test('equal seeds choose the same, other seeds others', () => {
  const first = stratifiedSample(LABELS, 40, 1);
  expect([...stratifiedSample(LABELS, 40, 1)]).toEqual([...first]);
  expect([...stratifiedSample([...LABELS], 40, 1)]).toEqual([...first]);
  expect([...stratifiedSample(LABELS, 40, 2)]).not.toEqual([...first]);
});

test('every position has the same chance', () => {
  const hits = new Int32Array(LABELS.length);
  for (let seed = 0; seed < 400; seed++) for (const position of stratifiedSample(LABELS, 50, seed)) hits[position]!++;
  // 200 expected, standard deviation 10: five of them either way.
  expect(Math.min(...hits)).toBeGreaterThan(150);
  expect(Math.max(...hits)).toBeLessThan(250);
});

test('excluded positions are never chosen, and more than there are means all', () => {
  const exclude = stratifiedSample(LABELS, 40, 1);
  const chosen = stratifiedSample(LABELS, 60, 1, { exclude });
  expect(new Set([...exclude, ...chosen]).size).toBe(100);
  expect([...stratifiedSample(LABELS, 1000, 3, { exclude })]).toEqual([...chosen]);
  expect(stratifiedSample(LABELS, 5, 1, { exclude: LABELS.keys() })).toHaveLength(0);
});

test('a split takes its share of every class and loses nothing', () => {
  const { part, rest } = splitStratified(LABELS, 0.1, 5);
  expect(countsOf(part)).toEqual([6, 1, 3]);
  expect(countsOf(rest)).toEqual([54, 9, 27]);
  expect(new Set([...part, ...rest]).size).toBe(100);
  expect(isAscending(part) && isAscending(rest)).toBe(true);
  expect(splitStratified(LABELS, 0.1, 5)).toEqual({ part, rest });
});

test('counts and fractions out of range are refused', () => {
  for (const count of [0, -1, 1.5, NaN]) {
    expect(() => stratifiedSample(LABELS, count, 0)).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }) as Error);
  }
  for (const fraction of [0, 1, -0.5, NaN]) {
    expect(() => splitStratified(LABELS, fraction, 0)).toThrow(
      expect.objectContaining({ code: 'ERR_OPTION' }) as Error,
    );
  }
});
