import {
  allocate,
  countWithin,
  defaultFloor,
  uniformDeficit,
  type GroupCurve,
  type Meets,
} from '../../src/compress/allocation';

function group(id: string, size: number, deficit: ArrayLike<number>, multiple = 1): GroupCurve {
  return { id, size, deficit, floor: defaultFloor(size), multiple };
}

const total = (counts: ReadonlyMap<string, number>) => [...counts.values()].reduce((sum, count) => sum + count, 0);

describe('countWithin', () => {
  test('keeps the fewest channels within the tolerance', () => {
    const curve = group('a', 8, [9, 5, 3, 2, 1, 0.5, 0.2, 0.1, 0]);
    expect(countWithin(curve, 1)).toBe(4);
    expect(countWithin(curve, 0.15)).toBe(7);
    expect(countWithin(curve, -1)).toBe(8);
    expect(countWithin(curve, 100)).toBe(2);
  });

  test('rounds up to the multiple but never above the size', () => {
    const curve = { ...group('a', 36, uniformDeficit(36), 8) };
    expect(countWithin(curve, 0.5)).toBe(24);
    expect(countWithin(curve, 0.01)).toBe(36);
  });
});

const never: Meets = () => Promise.resolve(false);
const atMost =
  (budget: number): Meets =>
  (counts) =>
    Promise.resolve(total(counts) <= budget);

describe('allocate', () => {
  test('cuts nothing where the budget is met already', async () => {
    const result = await allocate([group('a', 8, uniformDeficit(8))], () => Promise.resolve(true));
    expect(result).toMatchObject({ met: true, tolerance: 0 });
    expect(result.counts.get('a')).toBe(8);
  });

  test('reports an impossible budget with every group at its floor', async () => {
    const result = await allocate([group('a', 16, uniformDeficit(16)), group('b', 64, uniformDeficit(64), 8)], never);
    expect(result.met).toBe(false);
    expect([...result.counts]).toEqual([
      ['a', 2],
      ['b', 8],
    ]);
  });

  test('cuts where the curve says that it costs least', async () => {
    const cheap = group(
      'cheap',
      10,
      Array.from({ length: 11 }, (_, kept) => 0.01 * (10 - kept)),
    );
    const dear = group(
      'dear',
      10,
      Array.from({ length: 11 }, (_, kept) => 10 - kept),
    );
    const result = await allocate([cheap, dear], atMost(14));
    expect(result.counts.get('cheap')).toBe(4);
    expect(result.counts.get('dear')).toBe(10);
  });

  test('does not overshoot where many groups shrink at the same tolerance', async () => {
    const groups = Array.from({ length: 10 }, (_, index) => group(`g${index}`, 64, uniformDeficit(64), 8));
    const result = await allocate(groups, atMost(600));
    expect(total(result.counts)).toBe(600);
  });

  test('goes no further down a flat curve than the budget asks', async () => {
    const flat = group(
      'flat',
      16,
      Array.from({ length: 17 }, (_, kept) => (kept < 3 ? 1 : 0)),
    );
    const steep = group(
      'steep',
      16,
      Array.from({ length: 17 }, (_, kept) => 16 - kept),
    );
    for (let budget = 19; budget < 32; budget++) {
      const { counts, met } = await allocate([flat, steep], atMost(budget));
      expect(met).toBe(true);
      expect([...counts]).toEqual([
        ['flat', budget - 16],
        ['steep', 16],
      ]);
    }
    const rounded = await allocate([{ ...flat, multiple: 4 }], atMost(13));
    expect(rounded.counts.get('flat')).toBe(12);
  });

  test('meets every reachable budget, never needlessly by more than one step of one group', async () => {
    const groups = [3, 16, 20, 33, 64, 100].map((size, index) =>
      group(
        `g${index}`,
        size,
        Float64Array.from({ length: size + 1 }, (_, kept) => ((size - kept) / size) ** (1 + index / 3)),
        size >= 32 ? 8 : 1,
      ),
    );
    const least = total((await allocate(groups, never)).counts);
    for (let budget = least; budget <= 236; budget++) {
      const { counts, met } = await allocate(groups, atMost(budget));
      expect(met).toBe(true);
      expect(total(counts)).toBeLessThanOrEqual(budget);
      expect(total(counts)).toBeGreaterThan(budget - 9);
    }
  });
});
