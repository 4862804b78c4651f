// Per-filter indices, subsets and selection against the brute force on the columns taken out.
import { listBackends } from '../../src/binding/backends';
import { filterSeparation, selectFilters, subsetSeparation } from '../../src/separation';
import type { Backend, IndexKind } from '../../src/separation';
import { bruteCenter, bruteIndex, bruteNeighbours, takeFilters } from './bruteForce';
import { clusters, ties } from './data';
import type { Labelled } from './data';

const backends = listBackends()
  .filter(({ available }) => available)
  .map(({ name }) => name);

function bruteOf(data: Labelled, filters: number, dims: number, members: readonly number[], index: IndexKind): number {
  const taken = takeFilters(data.features, filters, dims, members);
  const width = members.length * dims;
  if (index === 'center') return bruteCenter(taken, width, data.labels, data.classes).value;
  return bruteIndex(bruteNeighbours(taken, taken, width, 1, true), 1, 'hard', data.labels, data.classes).value;
}

const shapes: readonly (readonly [rows: number, filters: number, dims: number])[] = [
  [2, 1, 1],
  [9, 3, 1],
  [33, 5, 4],
  [64, 8, 9],
  [101, 6, 25],
];

describe.each(backends)('on %s', (backend: Backend) => {
  describe.each(['separation', 'center'] as const)('by %s', (index) => {
    test.each(shapes)('%i rows, %i filters of %i values', async (rows, filters, dims) => {
      const all = Array.from({ length: filters }, (_, f) => f);
      // Ties on integers are exact for SI; class means of integers are rounded, so CSI takes the continuous data only.
      for (const make of index === 'separation' ? [clusters, ties] : [clusters]) {
        const data = make(rows, filters * dims, 3, rows + filters);
        const options = { rows, filters, dims, classes: 3, index, backend };
        const singles = await filterSeparation(data.features, data.labels, options);
        expect(Array.from(singles.si)).toEqual(
          all.map((f) => expect.closeTo(bruteOf(data, filters, dims, [f], index), 12) as number),
        );

        const subsets = [all, all.slice(0, 1), all.filter((f) => f % 2 === 0), [...all].reverse().slice(0, 2)];
        const joint = await subsetSeparation(data.features, data.labels, { ...options, subsets });
        expect(Array.from(joint.si)).toEqual(
          subsets.map((members) => expect.closeTo(bruteOf(data, filters, dims, members, index), 12) as number),
        );

        for (const strategy of ['si', 'si-rank'] as const) {
          const selected = await selectFilters(data.features, data.labels, { ...options, strategy });
          const brute = bruteSelect(data, filters, dims, strategy, index);
          expect(Array.from(selected.order)).toEqual(brute.order);
          expect(Array.from(selected.curve)).toEqual(brute.curve.map((value) => expect.closeTo(value, 12) as number));
        }
      }
    });
  });
});

function bruteSelect(
  data: Labelled,
  filters: number,
  dims: number,
  strategy: 'si' | 'si-rank',
  index: IndexKind,
): { readonly order: number[]; readonly curve: number[] } {
  const evaluate = (members: readonly number[]): number => bruteOf(data, filters, dims, members, index);
  const remaining = Array.from({ length: filters }, (_, f) => f);
  const order: number[] = [];
  const curve: number[] = [];
  if (strategy === 'si-rank') {
    const single = remaining.map((f) => evaluate([f]));
    remaining.sort((a, b) => single[b]! - single[a]! || a - b);
  }
  while (remaining.length > 0) {
    const values = strategy === 'si' ? remaining.map((f) => evaluate([...order, f])) : [0];
    const [next] = remaining.splice(values.indexOf(Math.max(...values)), 1);
    order.push(next!);
    curve.push(evaluate(order));
  }
  return { order, curve };
}

test('a limit gives the first filters of the whole order', async () => {
  const data = clusters(60, 7 * 3, 3, 8);
  const options = { rows: 60, filters: 7, dims: 3 };
  const whole = await selectFilters(data.features, data.labels, options);
  const first = await selectFilters(data.features, data.labels, { ...options, limit: 3 });
  expect(first.order).toEqual(whole.order.slice(0, 3));
  expect(first.curve).toEqual(whole.curve.slice(0, 3));
});

test('subsets that are empty or name no filter are refused', async () => {
  const data = clusters(10, 6, 2, 1);
  const options = { rows: 10, filters: 3, dims: 2 };
  await expect(subsetSeparation(data.features, data.labels, { ...options, subsets: [[0], []] })).rejects.toMatchObject({
    code: 'ERR_OPTION',
    message: 'Expected at least one filter for subsets[1] but received "none"',
  });
  await expect(subsetSeparation(data.features, data.labels, { ...options, subsets: [[3]] })).rejects.toMatchObject({
    code: 'ERR_OPTION',
  });
  await expect(subsetSeparation(data.features, data.labels, { ...options, subsets: [] })).rejects.toMatchObject({
    code: 'ERR_OPTION',
  });
});
