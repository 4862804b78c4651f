// Columns block by block against the calls that have them all at once. The kernels' own tests try far more shapes; this is
// about what JavaScript passes and gets.
import { listBackends } from '../../src/binding/backends';
import { loadAddon } from '../../src/binding/load';
import {
  centerSeparationIndex,
  centerSeparationIndexOfColumns,
  separationIndex,
  separationIndexOfColumns,
} from '../../src/separation';
import type { ColumnBlock, ColumnSource } from '../../src/separation';
import type { ProgressEvent } from '../../src/types';
import { clusters, ties } from './data';
import type { Labelled } from './data';

const backends = listBackends()
  .filter(({ available }) => available)
  .map(({ name }) => name);

function* blocksOf({ features, rows, dims }: Labelled, widths: readonly number[]): Generator<ColumnBlock> {
  for (let first = 0, i = 0; first < dims; i++) {
    const columns = Math.min(widths[i % widths.length]!, dims - first);
    const values = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row++)
      values.set(features.subarray(row * dims + first, row * dims + first + columns), row * columns);
    yield { values, columns };
    first += columns;
  }
}

const source =
  (data: Labelled, widths: readonly number[]): ColumnSource =>
  () =>
    blocksOf(data, widths);

describe.each(backends)('%s', (backend) => {
  test.each([
    ['Gaussian classes', clusters(130, 37, 4, 1)],
    ['ties', ties(65, 5, 3, 2)],
    ['copies', ties(64, 1, 3, 3)],
  ])('blocks of %s answer as the whole', async (_, data) => {
    const { rows, dims, labels, classes, features } = data;
    for (const widths of [[9], [dims], [3, 1, 16]]) {
      for (const kind of [{}, { soft: true, order: 3 }, { anti: true, order: 2, neighbours: true }]) {
        const options = { rows, dims, classes, ...kind };
        const streamed = source(data, widths);
        const result = await separationIndexOfColumns(streamed, labels, { ...options, backend });
        const whole = await separationIndex(features, labels, { ...options, backend });
        // Backends with 16-bit products work in float32 here.
        expect(result).toEqual({ ...whole, backend: result.backend, passes: result.passes });
        expect(result.passes).toBeLessThanOrEqual(2);
        expect(backends).toContain(result.backend);
      }
      const options = { rows, dims, classes, nearest: true, backend };
      const { passes, ...centers } = await centerSeparationIndexOfColumns(source(data, widths), labels, options);
      expect(centers).toEqual(await centerSeparationIndex(features, labels, options));
      expect(passes).toBe(1);
    }
  });
});

const data = clusters(60, 20, 3, 5);
const { rows, dims, labels, classes, features } = data;
const options = { rows, dims, classes, neighbours: true };

test('asynchronous sources, strides and 16-bit values', async () => {
  // Small integers, which bfloat16 holds; the bits are the upper half of those of float32.
  const integers = ties(rows, dims, 3, 7);
  const bits = new Uint16Array(rows * dims);
  const wide = new Uint32Array(integers.features.buffer);
  for (let i = 0; i < bits.length; i++) bits[i] = wide[i]! >>> 16;
  async function* strided(): AsyncGenerator<ColumnBlock> {
    for (let first = 0; first < dims; first += 5) {
      await new Promise((resolve) => setImmediate(resolve));
      yield { values: bits.subarray(first), columns: 5, rowStride: dims, elementType: 'bfloat16' };
    }
  }
  const result = await separationIndexOfColumns(strided, integers.labels, options);
  expect(result).toEqual(await separationIndexOfColumns(source(integers, [8]), integers.labels, options));
  expect(result.passes).toBe(1);
  expect(result.si).toBe((await separationIndex(integers.features, integers.labels, options)).si);
});

test('a second pass is asked for only where it is needed', async () => {
  const apart = clusters(60, 20, 3, 5, 0.01);
  const passes: number[] = [];
  const counting: ColumnSource = (pass) => {
    passes.push(pass);
    return blocksOf(apart, [6]);
  };
  const backend = backends.at(-1)!;
  const certain = await separationIndexOfColumns(counting, apart.labels, { ...options, neighbours: false, backend });
  expect(certain).toMatchObject({ si: 1, passes: 1 });
  const exact = await separationIndexOfColumns(counting, apart.labels, { ...options, backend });
  expect(exact.passes).toBe(backend === 'serial' ? 1 : 2);
  expect(passes).toEqual(backend === 'serial' ? [1, 1] : [1, 1, 2]);
});

test('rows that are not finite are left out of everything, or named', async () => {
  const dirty = { ...data, features: features.slice() };
  dirty.features[4 * dims + 17] = NaN;
  dirty.features[9 * dims + 1] = Infinity;
  const skipping = { ...options, skipNonFinite: true };
  const result = await separationIndexOfColumns(source(dirty, [6]), labels, skipping);
  const whole = await separationIndex(dirty.features, labels, skipping);
  expect(result).toEqual({ ...whole, backend: result.backend, passes: result.passes });
  const centers = await centerSeparationIndexOfColumns(source(dirty, [6]), labels, { ...skipping, nearest: true });
  expect(centers).toEqual({
    ...(await centerSeparationIndex(dirty.features, labels, { ...skipping, nearest: true })),
    passes: 2,
  });
  await expect(separationIndexOfColumns(source(dirty, [6]), labels, options)).rejects.toMatchObject({
    code: 'ERR_NON_FINITE',
    message: expect.stringMatching(/row 9/) as string,
  });
});

describe('validation', () => {
  const blocks = (...list: unknown[]): ColumnSource => {
    return () => list as ColumnBlock[];
  };
  const values = new Float32Array(rows * dims);
  const other: ColumnSource = (pass) => {
    const changed = { ...data, features: features.slice() };
    if (pass === 2) changed.features[3]! += 1;
    return blocksOf(changed, [10]);
  };
  const widths: ColumnSource = (pass) => blocksOf(data, [pass * 5]);
  const vector = { ...options, backend: backends.at(-1)! };
  const cases: readonly [string, () => Promise<unknown>, string, RegExp][] = [
    [
      'too few columns',
      () => separationIndexOfColumns(source(data, [7]), labels, { ...options, dims: 21 }),
      'ERR_SHAPE',
      /21 columns .* received 20/,
    ],
    [
      'too many columns',
      () => separationIndexOfColumns(source(data, [7]), labels, { ...options, dims: 19 }),
      'ERR_SHAPE',
      /19 columns/,
    ],
    ['no blocks', () => separationIndexOfColumns(blocks(), labels, options), 'ERR_SHAPE', /received 0/],
    [
      'a short block',
      () => separationIndexOfColumns(blocks({ values: values.subarray(1), columns: dims }), labels, options),
      'ERR_SHAPE',
      /1200 values/,
    ],
    [
      'no columns',
      () => separationIndexOfColumns(blocks({ values, columns: 0 }), labels, options),
      'ERR_OPTION',
      /columns of a block/,
    ],
    [
      'another type',
      () => separationIndexOfColumns(blocks({ values: new Float64Array(rows * dims), columns: dims }), labels, options),
      'ERR_SHAPE',
      /Float32Array/,
    ],
    [
      'a label',
      () => separationIndexOfColumns(source(data, [7]), labels, { ...options, classes: 2 }),
      'ERR_LABELS',
      /from 0 to 1/,
    ],
    [
      'order',
      () => separationIndexOfColumns(source(data, [7]), labels, { ...options, order: rows }),
      'ERR_OPTION',
      /at most 59/,
    ],
    [
      'many rows',
      () => separationIndexOfColumns(blocks(), new Int32Array(20_001), { rows: 20_001, dims }),
      'ERR_OPTION',
      /shards/,
    ],
    ['other values in pass 2', () => separationIndexOfColumns(other, labels, vector), 'ERR_OPTION', /values of pass 1/],
    [
      'other widths in pass 2',
      () => separationIndexOfColumns(widths, labels, vector),
      'ERR_OPTION',
      /5 columns that it had in pass 1/,
    ],
  ];
  test.each(cases)('%s', async (name, call, code, message) => {
    if (name.endsWith('pass 2') && backends.length === 1) {
      console.warn(`not tested: ${name} (serial has one pass)`);
      return;
    }
    await expect(call()).rejects.toMatchObject({
      name: 'SieveError',
      code,
      message: expect.stringMatching(message) as string,
    });
  });
});

test('what the source throws comes back unchanged, and the source is closed after a failure', async () => {
  const mine = new Error('no more disk');
  const failing: ColumnSource = function* () {
    yield* blocksOf(clusters(rows, 5, 3, 1), [5]);
    throw mine;
  };
  await expect(separationIndexOfColumns(failing, labels, options)).rejects.toBe(mine);
  let closed = false;
  const closing: ColumnSource = function* () {
    try {
      yield { values: new Float32Array(3), columns: 1 };
    } finally {
      closed = true;
    }
  };
  await expect(separationIndexOfColumns(closing, labels, options)).rejects.toMatchObject({ code: 'ERR_SHAPE' });
  expect(closed).toBe(true);
});

test('aborting between and during blocks rejects with ERR_CANCELLED', async () => {
  for (const during of [false, true]) {
    const controller = new AbortController();
    let given = 0;
    const aborting: ColumnSource = function* () {
      for (const block of blocksOf(data, [2])) {
        if (++given === 3 && !during) controller.abort();
        yield block;
      }
    };
    const onProgress = ({ fraction }: ProgressEvent): void => {
      if (during && fraction > 0.2) controller.abort();
    };
    const call = separationIndexOfColumns(aborting, labels, { ...options, signal: controller.signal, onProgress });
    await expect(call).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    expect(given).toBeLessThan(10);
  }
});

test('progress rises to exactly 1', async () => {
  const events: ProgressEvent[] = [];
  const onProgress = (event: ProgressEvent): void => void events.push(event);
  await separationIndexOfColumns(source(data, [3]), labels, { ...options, onProgress });
  const fractions = events.map(({ fraction }) => fraction);
  expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
  expect(fractions.length).toBeGreaterThan(3);
  expect(fractions.at(-1)).toBe(1);
});

describe('the native object', () => {
  const request = {
    rows,
    classes,
    index: 'separation',
    order: 1,
    kind: 'hard',
    skipNonFinite: false,
    neighbours: false,
  } as const;
  const { ColumnStream } = loadAddon();

  test('refuses a second call while one runs, and calls out of turn', async () => {
    const stream = new ColumnStream(labels, request);
    expect(() => stream.endPass({})).toThrow(/was opened/);
    const opening = stream.open({});
    // It may have ended by now.
    expect(() => stream.open({})).toThrow(/one call at a time|not open yet/);
    await opening;
    expect(() => stream.open({})).toThrow(/not open yet/);
    const adding = stream.add(features, { columns: dims }, {});
    // Refused at once while the first runs, or by the core after it.
    await expect((async () => stream.add(features, { columns: dims }, {}))()).rejects.toThrow();
    await adding;
    await expect(stream.finish({}, {})).rejects.toMatchObject({ code: 'ERR_OPTION' });
    await stream.endPass({});
  });

  test('released while a call runs: the call ends as it would, the next is refused', async () => {
    const stream = new ColumnStream(labels, request);
    await stream.open({});
    const adding = stream.add(features, { columns: dims }, {});
    stream.release();
    await adding;
    expect(() => stream.endPass({})).toThrow(/released/);
    stream.release();
  });

  test('a block whose buffer is transferred meanwhile is an error', async () => {
    const stream = new ColumnStream(labels, request);
    await stream.open({});
    const block = features.slice();
    structuredClone(block.buffer, { transfer: [block.buffer] });
    expect(() => stream.add(block, { columns: dims }, {})).toThrow(/detached|length/);
  });
});
