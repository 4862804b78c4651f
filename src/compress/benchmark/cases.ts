import { expected } from '../../errors';
import { BENCHMARK_KERNELS } from './types';
import type { BenchmarkCase, BenchmarkKernel, BenchmarkOptions, BenchmarkShape } from './types';

/** Classes of the data that is made. */
export const CLASSES = 10;

const SMALLEST_ROWS = 16;
const DEFAULT_SHAPE = { rows: 2000, dims: 1024 };
/** Filters that the values of a sample are split into where nobody says how many. */
const MOST_FILTERS = 16;

/** A long one, a wide one, several neighbours, another set, class means, a layer's filters, and their selection. */
const DEFAULT_CASES: readonly BenchmarkCase[] = [
  { kernel: 'separationIndex', rows: 2000, dims: 4096, order: 1 },
  { kernel: 'separationIndex', rows: 10_000, dims: 64, order: 1 },
  { kernel: 'separationIndex', rows: 2000, dims: 1024, order: 5 },
  { kernel: 'crossSeparationIndex', rows: 2000, dims: 1024, order: 1 },
  { kernel: 'centerSeparationIndex', rows: 10_000, dims: 1024, order: 1 },
  { kernel: 'filterSeparation', rows: 2000, dims: 64 * 64, filters: 64, order: 1 },
  { kernel: 'selectFilters', rows: 300, dims: 16 * 16, filters: 16, order: 1 },
];

/** @throws SieveError ERR_OPTION for a shape or an order that can not be. */
export function benchmarkCases(options: BenchmarkOptions): readonly BenchmarkCase[] {
  const { kernels, order } = options;
  if (order !== undefined) checkWhole(order, 1, 'order');
  const shapes = chosenShapes(options);
  if (shapes === undefined) {
    const cases = DEFAULT_CASES.filter(({ kernel }) => kernels?.includes(kernel) ?? true);
    if (order === undefined) return cases;
    const ordered = cases.map((item) => (hasOrder(item.kernel) ? { ...item, order } : item));
    // Cases that differed in their order alone would be the same twice.
    return [...new Map(ordered.map((item) => [JSON.stringify(item), item])).values()];
  }
  const chosen = kernels ?? BENCHMARK_KERNELS.filter((kernel) => kernel !== 'selectFilters');
  return shapes.flatMap((shape) => chosen.map((kernel) => caseOf(kernel, shape, order ?? 1)));
}

/** Additions and multiplications of the textbook algorithm: what GFLOP/s are counted by, whatever is really done. */
export function operationCount({ kernel, rows, dims, filters = 1 }: BenchmarkCase): number {
  switch (kernel) {
    case 'separationIndex':
    case 'crossSeparationIndex':
    case 'filterSeparation':
      return 2 * rows * rows * dims;
    case 'centerSeparationIndex':
      return 2 * rows * CLASSES * dims;
    case 'selectFilters':
      // Step k tries filters - k sets, each by adding one filter's distances to those of the chosen.
      return ((filters + 1) / 2) * 2 * rows * rows * dims;
  }
}

function chosenShapes({ shapes, rows, dims }: BenchmarkOptions): readonly BenchmarkShape[] | undefined {
  if (rows === undefined && dims === undefined) return shapes;
  if (shapes !== undefined) throw expected('ERR_OPTION', 'either shapes or rows and dims', 'the shapes', 'both');
  return [{ rows: rows ?? DEFAULT_SHAPE.rows, dims: dims ?? DEFAULT_SHAPE.dims }];
}

function caseOf(kernel: BenchmarkKernel, { rows, dims, filters }: BenchmarkShape, order: number): BenchmarkCase {
  checkWhole(rows, SMALLEST_ROWS, 'rows');
  checkWhole(dims, 1, 'dims');
  if (hasOrder(kernel)) return { kernel, rows, dims, order };
  if (kernel === 'centerSeparationIndex') return { kernel, rows, dims, order: 1 };
  if (filters !== undefined && (checkWhole(filters, 1, 'filters'), dims % filters !== 0))
    throw expected('ERR_OPTION', `a number that divides the ${dims} values of a sample`, 'filters', filters);
  return { kernel, rows, dims, filters: filters ?? largestDivisor(dims, MOST_FILTERS), order: 1 };
}

const hasOrder = (kernel: BenchmarkKernel): boolean =>
  kernel === 'separationIndex' || kernel === 'crossSeparationIndex';

function largestDivisor(value: number, limit: number): number {
  let divisor = Math.min(limit, value);
  while (value % divisor !== 0) divisor--;
  return divisor;
}

function checkWhole(value: number, minimum: number, subject: string): void {
  if (!Number.isSafeInteger(value) || value < minimum)
    throw expected('ERR_OPTION', `a whole number of at least ${minimum}`, subject, value);
}
