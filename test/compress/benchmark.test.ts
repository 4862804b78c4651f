import { benchmark } from '../../src/compress/benchmark/benchmark';
import { benchmarkCases, operationCount } from '../../src/compress/benchmark/cases';
import { makeData } from '../../src/compress/benchmark/data';
import { alternate, medians } from '../../src/compress/benchmark/rounds';
import * as rounds from '../../src/compress/benchmark/rounds';
import { BENCHMARK_KERNELS } from '../../src/compress/benchmark/types';
import type { KernelMeasurement } from '../../src/compress/benchmark/types';
import { listBackends } from '../../src/binding/backends';
import * as separation from '../../src/separation';

// The originals, wrapped so that a test can put something else in their place.
jest.mock('../../src/separation', () => ({ __esModule: true, ...jest.requireActual<object>('../../src/separation') }));
jest.mock('../../src/compress/benchmark/rounds', () => ({
  __esModule: true,
  ...jest.requireActual<object>('../../src/compress/benchmark/rounds'),
}));
afterEach(() => jest.restoreAllMocks());

const available = listBackends()
  .filter((backend) => backend.available)
  .map(({ name }) => name);
const SMALL = { rows: 600, dims: 24, repeats: 1, threads: 2 } as const;

/** Whether there is anything beside the serial backend to compare with; prints why not. */
function hasFastBackend(): boolean {
  if (available.length > 1) return true;
  console.warn('Not tested: this processor has the serial backend only');
  return false;
}

describe('rounds', () => {
  test('let every contender run once a round, in alternating order', async () => {
    const order: string[] = [];
    const contender = (name: string, seconds: number) => ({
      name,
      run: () => {
        order.push(name);
        return Promise.resolve({ cpuSeconds: 2 * seconds, wallSeconds: seconds });
      },
    });
    const settle = jest.fn(() => Promise.resolve());
    const onRun = jest.fn();
    const contenders = [contender('a', 1), contender('b', 3), contender('c', 11)];
    const timings = await alternate(contenders, { rounds: 3, settle, onRun });
    // A run above ten seconds is not repeated.
    expect(order).toEqual(['a', 'b', 'c', 'b', 'a', 'a', 'b']);
    expect(timings.map((list) => list.length)).toEqual([3, 3, 1]);
    expect(settle).toHaveBeenCalledTimes(7);
    expect(onRun.mock.calls.flat()).toEqual(order);
  });

  test('stop between two runs', async () => {
    const controller = new AbortController();
    const run = jest.fn(() => {
      controller.abort();
      return Promise.resolve({ cpuSeconds: 1, wallSeconds: 1 });
    });
    const stopped = alternate([{ name: 'a', run }], { rounds: 5, signal: controller.signal });
    await expect(stopped).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    expect(run).toHaveBeenCalledTimes(1);
  });

  test('medians of CPU and wall time are taken each by itself', () => {
    const timings = [
      { cpuSeconds: 1, wallSeconds: 30 },
      { cpuSeconds: 2, wallSeconds: 10 },
      { cpuSeconds: 9, wallSeconds: 20 },
    ];
    expect(medians(timings)).toEqual({ cpuSeconds: 2, wallSeconds: 20 });
  });
});

describe('cases', () => {
  test('by default every kernel, separationIndex long and wide and with several neighbours', () => {
    const cases = benchmarkCases({});
    expect([...new Set(cases.map(({ kernel }) => kernel))].sort()).toEqual([...BENCHMARK_KERNELS].sort());
    const shapes = cases.filter(({ kernel }) => kernel === 'separationIndex');
    expect(shapes.map(({ rows, dims, order }) => [rows, dims, order])).toEqual([
      [2000, 4096, 1],
      [10_000, 64, 1],
      [2000, 1024, 5],
    ]);
    expect(benchmarkCases({ kernels: ['selectFilters'] }).map(({ kernel }) => kernel)).toEqual(['selectFilters']);
    expect(benchmarkCases({ order: 3 }).filter(({ order }) => order === 3)).toHaveLength(4);
  });

  test('of one shape or several; filters only where they count', () => {
    const shapes = [
      { rows: 100, dims: 30 },
      { rows: 200, dims: 64, filters: 2 },
    ];
    const cases = benchmarkCases({ shapes, kernels: ['centerSeparationIndex', 'filterSeparation'], order: 2 });
    expect(cases).toEqual([
      { kernel: 'centerSeparationIndex', rows: 100, dims: 30, order: 1 },
      { kernel: 'filterSeparation', rows: 100, dims: 30, filters: 15, order: 1 },
      { kernel: 'centerSeparationIndex', rows: 200, dims: 64, order: 1 },
      { kernel: 'filterSeparation', rows: 200, dims: 64, filters: 2, order: 1 },
    ]);
    expect(benchmarkCases({ dims: 7 })[0]).toEqual({ kernel: 'separationIndex', rows: 2000, dims: 7, order: 1 });
  });

  test('that can not be are refused', () => {
    const refused = { code: 'ERR_OPTION' };
    const caught = (run: () => unknown): unknown => {
      try {
        return run();
      } catch (error) {
        return error;
      }
    };
    expect(caught(() => benchmarkCases({ rows: 15 }))).toMatchObject(refused);
    expect(caught(() => benchmarkCases({ dims: 0.5 }))).toMatchObject(refused);
    expect(caught(() => benchmarkCases({ order: 0 }))).toMatchObject(refused);
    expect(caught(() => benchmarkCases({ rows: 20, shapes: [] }))).toMatchObject(refused);
    const shapes = [{ rows: 20, dims: 10, filters: 3 }];
    expect(caught(() => benchmarkCases({ shapes }))).toMatchObject({
      message: expect.stringContaining('divides') as unknown,
    });
  });

  test('operations are those of the textbook', () => {
    const shape = { rows: 10, dims: 12, order: 1 };
    expect(operationCount({ ...shape, kernel: 'separationIndex' })).toBe(2 * 100 * 12);
    expect(operationCount({ ...shape, kernel: 'centerSeparationIndex' })).toBe(2 * 10 * 10 * 12);
    // 4 + 3 + 2 + 1 candidates of 3 values each.
    expect(operationCount({ ...shape, kernel: 'selectFilters', filters: 4 })).toBe(10 * 2 * 100 * 3);
  });
});

test('data: seeded; clusters are told apart, random values are not', async () => {
  const si = async (kind: 'random' | 'clustered'): Promise<number> => {
    const { features, labels } = await makeData(kind, 2000, 16, 3, undefined);
    const again = await makeData(kind, 2000, 16, 3, undefined);
    expect(again.features).toEqual(features);
    return (await separation.separationIndex(features, labels, { rows: 2000, dims: 16, classes: 10 })).si;
  };
  expect(await si('clustered')).toBeGreaterThan(0.95);
  expect(await si('random')).toBeLessThan(0.25);
});

describe('benchmark', () => {
  test('measures every backend that there is, in the shape that scripts rely on', async () => {
    const { results, threads, data, ...rest } = await benchmark({ ...SMALL, kernels: BENCHMARK_KERNELS });
    expect({ threads, data }).toEqual({ threads: 2, data: 'random' });
    expect(rest).not.toHaveProperty('peers');
    expect(rest.loadAverage).toBeGreaterThanOrEqual(0);
    const order = ['serial', ...available.filter((name) => name !== 'serial')];
    expect(results.map(({ kernel, backend }) => [kernel, backend])).toEqual(
      BENCHMARK_KERNELS.flatMap((kernel) => order.map((backend) => [kernel, backend])),
    );
    for (const result of results) {
      expect(result).toMatchObject({ rows: 600, dims: 24, trials: 1 });
      const { cpuSeconds, wallSeconds, gflops, ratioToSerial } = result;
      for (const value of [cpuSeconds, wallSeconds, gflops, ratioToSerial]) expect(value).toBeGreaterThan(0);
      expect(gflops).toBeCloseTo(operationCount(result) / wallSeconds / 1e9, 6);
      if (result.backend === 'serial') expect(ratioToSerial).toBe(1);
    }
  });

  test('a serial run that is cut short is scaled by what was left out, and says so everywhere', async () => {
    // Every timed call takes one second, so that only the arithmetic is left.
    jest.spyOn(rounds, 'time').mockImplementation(async (call) => {
      return { value: await call(), cpuSeconds: 2, wallSeconds: 1 };
    });
    const kernels = ['separationIndex', 'crossSeparationIndex', 'filterSeparation'] as const;
    const options = { ...SMALL, shapes: [{ rows: 600, dims: 24, filters: 12 }], rows: undefined, dims: undefined };
    const { results } = await benchmark({ ...options, kernels, serialSeconds: 3 });
    const of = (kernel: string, serial: boolean): readonly KernelMeasurement[] =>
      results.filter((result) => result.kernel === kernel && (result.backend === 'serial') === serial);
    for (const kernel of ['separationIndex', 'crossSeparationIndex']) {
      // A portion is 32 queries a thread: three of them fit.
      expect(of(kernel, true)).toEqual([
        expect.objectContaining({ measuredRows: 192, extrapolated: true, serialExtrapolated: true, trials: 1 }),
      ]);
      expect(of(kernel, true)[0]!.cpuSeconds).toBeCloseTo((2 * 600) / 192, 9);
      expect(of(kernel, true)[0]!.wallSeconds).toBeCloseTo(600 / 192, 9);
    }
    expect(of('filterSeparation', true)).toEqual([
      expect.objectContaining({ measuredRows: 600, measuredFilters: 6, extrapolated: true, cpuSeconds: 4 }),
    ]);
    for (const fast of kernels.flatMap((kernel) => of(kernel, false))) {
      expect(fast).toMatchObject({ cpuSeconds: 2, measuredRows: 600, extrapolated: false, serialExtrapolated: true });
      expect(fast.ratioToSerial).toBeCloseTo(fast.kernel === 'filterSeparation' ? 2 : 600 / 192, 9);
    }
  });

  test('a part that is short is repeated, however long the whole would take', async () => {
    jest.spyOn(rounds, 'time').mockImplementation(async (call) => {
      return { value: await call(), cpuSeconds: 2, wallSeconds: 5 };
    });
    const { results } = await benchmark({ ...SMALL, repeats: 2, kernels: ['separationIndex'], serialSeconds: 5 });
    expect(results[0]).toMatchObject({ backend: 'serial', extrapolated: true, trials: 2 });
    expect(results[0]!.wallSeconds).toBeCloseTo((5 * 600) / 64, 9);
  });

  test('a serial run that fits is done in full', async () => {
    const { results } = await benchmark({ ...SMALL, kernels: ['separationIndex'], order: 4, serialSeconds: 100 });
    for (const result of results)
      expect(result).toMatchObject({ order: 4, measuredRows: 600, extrapolated: false, serialExtrapolated: false });
  });

  test.each([1, 5])('the part that serial did agrees with the whole of the others, order %d', async (order) => {
    const kernels = ['separationIndex', 'crossSeparationIndex'] as const;
    const { results } = await benchmark({ ...SMALL, kernels, order, serialSeconds: 0, data: 'clustered' });
    for (const { backend, extrapolated } of results) expect(extrapolated).toBe(backend === 'serial');
  });

  test.each([
    ['the whole', 100, 'perClass'],
    ['a part', 0, 'nearest'],
  ] as const)('a wrong answer is found where serial did %s', async (_, serialSeconds, part) => {
    if (!hasFastBackend()) return;
    const { separationIndex } = jest.requireActual<typeof separation>('../../src/separation');
    jest.spyOn(separation, 'separationIndex').mockImplementation(async (features, labels, options) => {
      const result = await separationIndex(features, labels, options);
      if (options.backend !== 'serial') (part === 'nearest' ? result.nearest : result.perClass)?.fill(77, 0, 1);
      return result;
    });
    const wrong = benchmark({ ...SMALL, kernels: ['separationIndex'], serialSeconds });
    await expect(wrong).rejects.toMatchObject({
      code: 'ERR_VERIFICATION',
      message: expect.stringContaining(`Expected ${part}[0] =`) as unknown,
    });
  });

  test('backends are those of the addon, and serial is always one of them', async () => {
    const chosen = available.at(-1)!;
    const { results } = await benchmark({ ...SMALL, kernels: ['centerSeparationIndex'], backends: [chosen] });
    expect(results.map(({ backend }) => backend)).toEqual([...new Set(['serial', chosen])]);
    const unknown = benchmark({ ...SMALL, backends: ['sse9'] });
    await expect(unknown).rejects.toMatchObject({
      code: 'ERR_OPTION',
      message: expect.stringContaining('"sse9"') as unknown,
    });
    const absent = listBackends().find((backend) => !backend.available);
    if (absent === undefined) return;
    await expect(benchmark({ ...SMALL, backends: [absent.name] })).rejects.toMatchObject({ code: 'ERR_DEVICE' });
  });
});
