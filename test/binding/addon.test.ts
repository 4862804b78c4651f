// The native surface itself, without the checks of the TypeScript functions above it: whatever JavaScript passes, it
// answers or throws a TypeError or RangeError with a code, and never crashes.
import type { NativeAddon, NativeFilterRequest, NativeSeparationRequest } from '../../src/binding/addon';
import { loadAddon } from '../../src/binding/load';

const addon: NativeAddon = loadAddon();
const rows = 12;
const dims = 5;
const features = Float32Array.from({ length: rows * dims }, (_, i) => Math.sin(i * i));
const labels = Int32Array.from({ length: rows }, (_, i) => i % 3);
const request: NativeSeparationRequest = { rows, dims, classes: 3, order: 1, kind: 'hard', skipNonFinite: false };
const filterRequest: NativeFilterRequest = { ...request, filters: 5, dims: 1, index: 'separation' };

function refusal(call: () => unknown): { name: string; code: unknown; message: string } {
  try {
    call();
  } catch (error) {
    const { name, code, message } = error as { name: string; code: unknown; message: string };
    return { name, code, message };
  }
  throw new Error('Expected the call to throw but it returned');
}

/** Calls with arguments that the types forbid. */
function separation(...args: unknown[]): () => unknown {
  return () => (addon.separationIndex as (...args: unknown[]) => unknown)(...args);
}

test('backends: serial is always there, and every available one resolves to itself', () => {
  const backends = addon.backends();
  expect(backends.map(({ name }) => name)).toEqual([
    'serial',
    'avx2',
    'avx512',
    'avx512-bf16',
    'amx-bf16',
    'amx-fp16',
    'neon',
  ]);
  expect(backends[0]!.available).toBe(true);
  for (const { name, available } of backends) {
    if (available) expect(addon.resolveBackend(name)).toBe(name);
    else expect(refusal(() => addon.resolveBackend(name))).toMatchObject({ name: 'SieveError', code: 'ERR_DEVICE' });
  }
  expect(backends.map(({ name }) => name)).toContain(addon.resolveBackend('auto'));
  expect(addon.version).toMatch(/^\d+\.\d+\.\d+$/);
});

test('an exit code that is none is refused, and the process goes on', () => {
  for (const code of [256, -1, 1.5, NaN])
    expect(refusal(() => addon.exitNow(code))).toMatchObject({ name: 'RangeError', code: 'ERR_OPTION' });
  for (const code of [undefined, '0'])
    expect(refusal(() => addon.exitNow(code as never))).toMatchObject({ name: 'TypeError', code: 'ERR_OPTION' });
});

describe('refused at once', () => {
  const detached = new Float32Array(rows * dims);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  const resizable = new (ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer)(
    rows * dims * 4,
    {
      maxByteLength: rows * dims * 8,
    },
  );
  const cases: readonly [string, () => unknown, string, string, RegExp][] = [
    ['no arguments', separation(), 'TypeError', 'ERR_OPTION', /object for request but received nothing/],
    [
      'an array',
      separation([], labels, request, {}, {}),
      'TypeError',
      'ERR_SHAPE',
      /Float32Array for features but received an object/,
    ],
    [
      'a DataView',
      separation(new DataView(new ArrayBuffer(240)), labels, request, {}, {}),
      'TypeError',
      'ERR_SHAPE',
      /Float32Array/,
    ],
    [
      'a plain buffer',
      separation(new ArrayBuffer(240), labels, request, {}, {}),
      'TypeError',
      'ERR_SHAPE',
      /Float32Array/,
    ],
    [
      'the wrong array',
      separation(new Float64Array(60), labels, request, {}, {}),
      'TypeError',
      'ERR_SHAPE',
      /Float64Array/,
    ],
    ['a detached array', separation(detached, labels, request, {}, {}), 'TypeError', 'ERR_SHAPE', /detached/],
    [
      'a resizable array',
      separation(new Float32Array(resizable), labels, request, {}, {}),
      'TypeError',
      'ERR_SHAPE',
      /resizable/,
    ],
    [
      'too few values',
      separation(new Float32Array(59), labels, request, {}, {}),
      'RangeError',
      'ERR_SHAPE',
      /60 for features but received 59/,
    ],
    [
      'too few labels',
      separation(features, new Int32Array(3), request, {}, {}),
      'RangeError',
      'ERR_SHAPE',
      /12 for labels but received 3/,
    ],
    [
      'negative rows',
      separation(features, labels, { ...request, rows: -1 }, {}, {}),
      'RangeError',
      'ERR_OPTION',
      /rows but received -1/,
    ],
    [
      'fractional rows',
      separation(features, labels, { ...request, rows: 1.5 }, {}, {}),
      'RangeError',
      'ERR_OPTION',
      /1\.5/,
    ],
    ['NaN rows', separation(features, labels, { ...request, rows: NaN }, {}, {}), 'RangeError', 'ERR_OPTION', /NaN/],
    [
      'a string for rows',
      separation(features, labels, { ...request, rows: '12' }, {}, {}),
      'TypeError',
      'ERR_OPTION',
      /"12"/,
    ],
    [
      'a product that overflows',
      separation(features, labels, { ...request, rows: 2 ** 52, dims: 2 ** 52 }, {}, {}),
      'RangeError',
      'ERR_SHAPE',
      /fit in memory/,
    ],
    ['zero dims', separation(features, labels, { ...request, dims: 0 }, {}, {}), 'RangeError', 'ERR_OPTION', /dims/],
    [
      'too many classes',
      separation(features, labels, { ...request, classes: 2 ** 31 }, {}, {}),
      'RangeError',
      'ERR_OPTION',
      /classes/,
    ],
    [
      'an unknown kind',
      separation(features, labels, { ...request, kind: 'firm' }, {}, {}),
      'TypeError',
      'ERR_OPTION',
      /"hard", "soft", "anti"/,
    ],
    [
      'no flag',
      separation(features, labels, { ...request, skipNonFinite: 1 }, {}, {}),
      'TypeError',
      'ERR_OPTION',
      /true or false/,
    ],
    [
      'a short output',
      separation(features, labels, request, { perClass: new Float64Array(2) }, {}),
      'RangeError',
      'ERR_SHAPE',
      /3 for perClass/,
    ],
    [
      'distances alone',
      separation(features, labels, request, { nearestDistanceSquared: new Float64Array(12) }, {}),
      'TypeError',
      'ERR_OPTION',
      /nearest/,
    ],
    ['no run', separation(features, labels, request, {}), 'TypeError', 'ERR_OPTION', /run/],
    [
      'an unknown backend',
      separation(features, labels, request, {}, { backend: 'sse' }),
      'TypeError',
      'ERR_OPTION',
      /"sse"/,
    ],
    [
      'a token of nobody',
      separation(features, labels, request, {}, { token: { cancel: () => 0 } }),
      'TypeError',
      'ERR_OPTION',
      /CancelToken/,
    ],
    [
      'a listener that is none',
      separation(features, labels, request, {}, { onProgress: 3 }),
      'TypeError',
      'ERR_OPTION',
      /onProgress/,
    ],
    [
      'offsets that fall',
      () =>
        addon.subsetSeparation(
          features,
          labels,
          filterRequest,
          Int32Array.of(0, 1),
          Int32Array.of(0, 2, 1),
          new Float64Array(2),
          {},
        ),
      'RangeError',
      'ERR_OPTION',
      /offsets/,
    ],
    [
      'offsets beyond the members',
      () =>
        addon.subsetSeparation(
          features,
          labels,
          filterRequest,
          Int32Array.of(0, 1),
          Int32Array.of(0, 3),
          new Float64Array(1),
          {},
        ),
      'RangeError',
      'ERR_OPTION',
      /offsets/,
    ],
    [
      'no offsets',
      () =>
        addon.subsetSeparation(
          features,
          labels,
          filterRequest,
          Int32Array.of(0),
          new Int32Array(0),
          new Float64Array(0),
          {},
        ),
      'RangeError',
      'ERR_SHAPE',
      /offsets/,
    ],
  ];
  test.each(cases)('%s', (_, call, name, code, message) => {
    expect(refusal(call)).toEqual({ name, code, message: expect.stringMatching(message) as string });
  });

  test('a getter that throws passes its own error on', () => {
    const hostile = Object.defineProperty({ ...request }, 'rows', {
      get: () => {
        throw new Error('from the getter');
      },
    });
    expect(refusal(separation(features, labels, hostile, {}, {}))).toMatchObject({ message: 'from the getter' });
  });
});

describe('refused by the core', () => {
  test('a label out of range names its row', async () => {
    const wrong = labels.map((label, i) => (i === 4 ? 9 : label));
    await expect(addon.separationIndex(features, wrong, request, {}, {})).rejects.toMatchObject({
      name: 'SieveError',
      code: 'ERR_LABELS',
      row: 4,
    });
  });

  test('no rows, and an order above the rows', async () => {
    const none = addon.separationIndex(new Float32Array(0), new Int32Array(0), { ...request, rows: 0 }, {}, {});
    await expect(none).rejects.toMatchObject({ name: 'SieveError', code: 'ERR_OPTION', row: -1 });
    const deep = addon.separationIndex(features, labels, { ...request, order: 12 }, {}, {});
    await expect(deep).rejects.toMatchObject({ name: 'SieveError', code: 'ERR_OPTION' });
  });

  test('a member that is no filter', async () => {
    const offsets = Int32Array.of(0, 1);
    const call = addon.subsetSeparation(
      features,
      labels,
      filterRequest,
      Int32Array.of(5),
      offsets,
      new Float64Array(1),
      {},
    );
    await expect(call).rejects.toMatchObject({ name: 'SieveError', code: 'ERR_OPTION' });
  });
});

test('labels are copied at the call, so that writing them meanwhile changes nothing', async () => {
  const expectedResult = await addon.separationIndex(features, labels, request, {}, {});
  const mine = labels.slice();
  const call = addon.separationIndex(features, mine, request, {}, {});
  mine.fill(2 ** 31 - 1);
  expect(await call).toEqual(expectedResult);
});

test('an array that is transferred during the call is an error, not a result', async () => {
  const mine = features.slice();
  const call = addon.separationIndex(mine, labels, request, {}, {});
  const elsewhere = structuredClone(mine, { transfer: [mine.buffer] });
  await expect(call).rejects.toMatchObject({
    name: 'SieveError',
    message: expect.stringContaining('transferred') as string,
  });
  expect(elsewhere).toHaveLength(rows * dims);
});

describe('CancelToken', () => {
  test('is a class of its own', () => {
    expect(refusal(() => (addon.CancelToken as unknown as () => void)()).message).toMatch(/new/);
    const { cancel } = addon.CancelToken.prototype as { cancel: () => void };
    expect(refusal(() => cancel.call({})).name).toBe('TypeError');
  });

  test('cancelled beforehand, the call does not compute; cancelled twice or late, nothing happens', async () => {
    const token = new addon.CancelToken();
    token.cancel();
    token.cancel();
    const call = addon.separationIndex(features, labels, request, {}, { token });
    await expect(call).rejects.toMatchObject({ name: 'SieveError', code: 'ERR_CANCELLED' });
    token.cancel();
  });
});

test('a hundred calls at once all settle', async () => {
  const outputs = Array.from({ length: 100 }, () => new Int32Array(rows));
  const calls = outputs.map((nearest) => addon.separationIndex(features, labels, request, { nearest }, {}));
  const results = await Promise.all(calls);
  expect(new Set(results.map(({ value }) => value)).size).toBe(1);
  expect(new Set(outputs.map((nearest) => nearest.join())).size).toBe(1);
});
