// Every index against the float64 brute force at awkward sizes, on every backend this machine has. Neighbours must be
// equal; distances are float64 sums whose order of addition is free, so they may differ in the last bits.
import { listBackends } from '../../src/binding/backends';
import { centerSeparationIndex, crossSeparationIndex, separationIndex, smoothnessIndex } from '../../src/separation';
import type { Backend } from '../../src/separation';
import { bruteCenter, bruteIndex, bruteNeighbours, bruteSmoothness } from './bruteForce';
import type { Kind, Neighbours } from './bruteForce';
import { clusters, ties } from './data';

const backends = listBackends()
  .filter(({ available }) => available)
  .map(({ name }) => name);
const kinds: readonly Kind[] = ['hard', 'soft', 'anti'];

function expectClose(received: ArrayLike<number>, expectedValues: readonly number[], tolerance = 1e-12): void {
  expect(received.length).toBe(expectedValues.length);
  // One assertion for the whole array: jest's own cost would be most of the run time.
  const wrong = expectedValues.flatMap((value, i) => {
    const difference = Math.abs(received[i]! - value);
    const isClose = Number.isNaN(value)
      ? Number.isNaN(received[i])
      : difference <= tolerance * Math.max(1, Math.abs(value));
    return isClose ? [] : [{ i, value, received: received[i] }];
  });
  expect(wrong).toEqual([]);
}

const sizes: readonly (readonly [rows: number, dims: number])[] = [
  [2, 1],
  [3, 5],
  [7, 3],
  [8, 8],
  [9, 17],
  [16, 16],
  [31, 33],
  [33, 64],
  [65, 127],
  [130, 257],
  [257, 48],
];

/** Brute force takes longest by far: once for all backends. The first `order` of each row of a longer list are exact too. */
const bruteCache = new Map<string, Neighbours>();
function cachedNeighbours(
  name: string,
  dims: number,
  order: number,
  longest: number,
  data: readonly Float32Array[],
): Neighbours {
  const [queries, references] = data;
  const key = `${name} ${queries!.length} ${dims}`;
  let whole = bruteCache.get(key);
  if (whole === undefined) {
    whole = bruteNeighbours(queries!, references ?? queries!, dims, longest, references === undefined);
    bruteCache.set(key, whole);
  }
  const first = (_: number, i: number) => i % longest < order;
  return { nearest: whole.nearest.filter(first), distanceSquared: whole.distanceSquared.filter(first) };
}

describe.each(backends)('on %s', (backend: Backend) => {
  test.each(sizes)('SI of %i rows and %i dims equals brute force, all kinds and orders', async (rows, dims) => {
    for (const make of [clusters, ties]) {
      const { features, labels, classes } = make(rows, dims, 3, rows * 1000 + dims);
      const available = rows - 1;
      for (const order of new Set([1, Math.min(2, available), Math.min(5, available)])) {
        const brute = cachedNeighbours(make.name, dims, order, Math.min(5, available), [features]);
        for (const kind of kinds) {
          const result = await separationIndex(features, labels, {
            rows,
            dims,
            classes,
            order,
            soft: kind === 'soft',
            anti: kind === 'anti',
            neighbours: true,
            backend,
          });
          const expectedIndex = bruteIndex(brute, order, kind, labels, classes);
          expect(Array.from(result.nearest!)).toEqual(brute.nearest);
          expectClose(result.nearestDistanceSquared!, brute.distanceSquared);
          expectClose([result.si], [expectedIndex.value]);
          expectClose(result.perClass, expectedIndex.perClass);
          expect(result.rowsUsed).toBe(rows);
          expect(result.backend).toBe(backend);
          // Without the neighbours only labels need be certain: another path, the same index.
          const short = await separationIndex(features, labels, {
            rows,
            dims,
            classes,
            order,
            soft: kind === 'soft',
            anti: kind === 'anti',
            backend,
          });
          expectClose([short.si], [expectedIndex.value]);
          expect(short.nearest).toBeUndefined();
        }
      }
    }
  });

  test.each(sizes)('cross-SI of %i queries and %i dims equals brute force', async (rows, dims) => {
    const classes = 3;
    const queries = clusters(rows, dims, classes, 11);
    const reference = clusters(2 * rows + 1, dims, classes, 12);
    for (const order of [1, 3]) {
      const brute = cachedNeighbours('cross', dims, order, 3, [queries.features, reference.features]);
      for (const kind of kinds) {
        const result = await crossSeparationIndex(queries.features, queries.labels, reference, {
          rows,
          dims,
          classes,
          order,
          soft: kind === 'soft',
          anti: kind === 'anti',
          neighbours: true,
          backend,
        });
        const expectedIndex = bruteIndex(brute, order, kind, queries.labels, classes, reference.labels);
        expect(Array.from(result.nearest!)).toEqual(brute.nearest);
        expectClose([result.si], [expectedIndex.value]);
        expectClose(result.perClass, expectedIndex.perClass);
      }
    }
  });

  test.each(sizes)('CSI of %i rows and %i dims equals brute force', async (rows, dims) => {
    const { features, labels, classes } = clusters(rows, dims, 3, rows + dims, 3);
    const brute = bruteCenter(features, dims, labels, classes);
    const options = { rows, dims, classes, backend, nearest: true, centers: true };
    const result = await centerSeparationIndex(features, labels, options);
    expect(Array.from(result.nearest!)).toEqual(brute.nearest);
    expectClose([result.csi], [brute.value]);
    expectClose(result.perClass, brute.perClass);
    expectClose(result.centers!, brute.centers);
  });

  test.each(sizes)('SmI of %i rows and %i dims equals brute force', async (rows, dims) => {
    const { features } = clusters(rows, dims, 3, 5);
    for (const targetDims of [1, 3]) {
      const targets = clusters(rows, targetDims, 2, 6).features;
      const { smi } = await smoothnessIndex(features, targets, { rows, dims, targetDims, backend });
      expectClose([smi], [bruteSmoothness(features, dims, targets, targetDims)]);
    }
  });
});

test('a worked example: two pairs and one sample on the wrong side', async () => {
  // Positions 0 1 | 10 11 12 with labels 0 0 | 1 1 0: the last one's nearest is 11, of the other class.
  const features = Float32Array.of(0, 1, 10, 11, 12);
  const labels = Int32Array.of(0, 0, 1, 1, 0);
  const options = { rows: 5, dims: 1, neighbours: true };
  const result = await separationIndex(features, labels, options);
  expect(result.si).toBeCloseTo(4 / 5, 15);
  expect(Array.from(result.nearest!)).toEqual([1, 0, 3, 2, 3]);
  expect(Array.from(result.nearestDistanceSquared!)).toEqual([1, 1, 1, 1, 1]);
  expect(Array.from(result.perClass)).toEqual([2 / 3, 1]);
  const soft = await separationIndex(features, labels, { rows: 5, dims: 1, order: 2, soft: true });
  expect(soft.si).toBeCloseTo((1 / 2 + 1 / 2 + 1 / 2 + 1 / 2 + 0) / 5, 15);
  const anti = await separationIndex(features, labels, { rows: 5, dims: 1, order: 2, anti: true });
  expect(anti.si).toBeCloseTo(1 / 5, 15);
});

test('a class without samples has NaN, and one class alone separates perfectly', async () => {
  const features = Float32Array.of(0, 1, 5);
  const empty = await separationIndex(features, Int32Array.of(0, 0, 2), { rows: 3, dims: 1, classes: 4 });
  expect(Array.from(empty.perClass)).toEqual([1, NaN, 0, NaN]);
  const alone = await separationIndex(features, new Int32Array(3), { rows: 3, dims: 1 });
  expect(alone.si).toBe(1);
  const centers = await centerSeparationIndex(features, Int32Array.of(0, 0, 2), {
    rows: 3,
    dims: 1,
    centers: true,
  });
  expect(Array.from(centers.centers!)).toEqual([0.5, NaN, 5]);
});

test('rows that are not finite are named, or left out on request', async () => {
  const { features, labels, classes } = clusters(40, 6, 3, 77);
  features[17 * 6 + 2] = NaN;
  features[30 * 6] = -Infinity;
  const options = { rows: 40, dims: 6, classes, neighbours: true };
  await expect(separationIndex(features, labels, options)).rejects.toMatchObject({
    name: 'SieveError',
    code: 'ERR_NON_FINITE',
    message: expect.stringContaining('17') as string,
  });
  const skipped = await separationIndex(features, labels, { ...options, skipNonFinite: true });
  const kept = Array.from(labels.keys()).filter((row) => row !== 17 && row !== 30);
  const keptFeatures = Float32Array.from(kept.flatMap((row) => Array.from(features.subarray(row * 6, row * 6 + 6))));
  const keptLabels = Int32Array.from(kept, (row) => labels[row]!);
  const alone = await separationIndex(keptFeatures, keptLabels, { ...options, rows: 38 });
  expect(skipped.rowsUsed).toBe(38);
  expect(skipped.si).toBe(alone.si);
  expect([skipped.nearest![17], skipped.nearest![30]]).toEqual([-1, -1]);
  expect(kept.map((row) => skipped.nearest![row])).toEqual(Array.from(alone.nearest!, (row) => kept[row]));
});

test('threads do not change the answer', async () => {
  const { features, labels } = clusters(300, 40, 5, 3);
  const run = (threads: number) =>
    separationIndex(features, labels, { rows: 300, dims: 40, order: 4, threads, neighbours: true });
  const one = await run(1);
  const three = await run(3);
  expect(three.nearest).toEqual(one.nearest);
  expect(three.nearestDistanceSquared).toEqual(one.nearestDistanceSquared);
  expect(three.si).toBe(one.si);
});
