// The native surface of shards and of matrices with an element type and a stride, without the checks of the TypeScript
// functions above it: wrong arguments throw with a code, whatever they are, and nothing crashes.
import type { NativeAddon } from '../../src/binding/addon';
import { loadAddon } from '../../src/binding/load';

const addon: NativeAddon = loadAddon();
const features = Float32Array.of(0, 1, 4, 9);
const labels = Int32Array.of(0, 0, 1, 1);
const separationRequest = { rows: 4, dims: 1, classes: 2, order: 1, kind: 'hard', skipNonFinite: false };
const request = {
  rows: 4,
  firstRow: 0,
  referenceRows: 4,
  referenceFirstRow: 0,
  dims: 1,
  order: 2,
  skipNonFinite: false,
};
const lists = (length = 8): { nearest: Int32Array; nearestDistanceSquared: Float64Array } => ({
  nearest: new Int32Array(length),
  nearestDistanceSquared: new Float64Array(length),
});

function refusal(name: keyof NativeAddon, ...args: unknown[]): { name: string; code: unknown; message: string } {
  try {
    (addon[name] as (...args: unknown[]) => unknown)(...args);
  } catch (error) {
    const { name: kind, code, message } = error as { name: string; code: unknown; message: string };
    return { name: kind, code, message };
  }
  throw new Error('Expected the call to throw but it returned');
}

const cases: readonly [
  what: string,
  args: [keyof NativeAddon, ...unknown[]],
  name: string,
  code: string,
  message: RegExp,
][] = [
  ['no arguments to a search', ['nearestNeighbours'], 'TypeError', 'ERR_OPTION', /object for request/],
  [
    'no references',
    ['nearestNeighbours', features, undefined, request, lists(), {}],
    'TypeError',
    'ERR_SHAPE',
    /reference/,
  ],
  [
    'too few references',
    ['nearestNeighbours', features, features.subarray(1), request, lists(), {}],
    'RangeError',
    'ERR_SHAPE',
    /4 for reference but received 3/,
  ],
  [
    'an output too short',
    ['nearestNeighbours', features, features, request, lists(7), {}],
    'RangeError',
    'ERR_SHAPE',
    /8 for nearest but received 7/,
  ],
  [
    'no output',
    ['nearestNeighbours', features, features, request, undefined, {}],
    'TypeError',
    'ERR_OPTION',
    /outputs/,
  ],
  [
    'a number past 32 bits',
    ['nearestNeighbours', features, features, { ...request, firstRow: 2 ** 31 - 4 }, lists(), {}],
    'RangeError',
    'ERR_SHAPE',
    /2\^31/,
  ],
  [
    'a negative number',
    ['nearestNeighbours', features, features, { ...request, referenceFirstRow: -1 }, lists(), {}],
    'RangeError',
    'ERR_OPTION',
    /referenceFirstRow/,
  ],
  [
    'order 0',
    ['nearestNeighbours', features, features, { ...request, order: 0 }, lists(), {}],
    'RangeError',
    'ERR_OPTION',
    /order/,
  ],
  [
    'parts that are no list',
    ['mergeNeighbours', {}, { rows: 4, order: 2 }, lists(), {}],
    'TypeError',
    'ERR_OPTION',
    /array for parts/,
  ],
  [
    'a part that is none',
    ['mergeNeighbours', [3], { rows: 4, order: 2 }, lists(), {}],
    'TypeError',
    'ERR_OPTION',
    /object for part/,
  ],
  [
    'a part of another size',
    ['mergeNeighbours', [lists(), lists(2)], { rows: 4, order: 2 }, lists(), {}],
    'RangeError',
    'ERR_SHAPE',
    /8 for nearest but received 2/,
  ],
  [
    'labels of other rows',
    [
      'scoreNeighbours',
      new Int32Array(4),
      labels.subarray(1),
      labels,
      { rows: 4, referenceRows: 4, order: 1, classes: 2, kind: 'hard' },
      {},
      {},
    ],
    'RangeError',
    'ERR_SHAPE',
    /4 for labels/,
  ],
  [
    'an unknown element type',
    ['separationIndex', features, labels, { ...separationRequest, elementType: 'int8' }, {}, {}],
    'TypeError',
    'ERR_OPTION',
    /"float32", "float16", "bfloat16"/,
  ],
  [
    'float32 values as float16',
    ['separationIndex', features, labels, { ...separationRequest, elementType: 'float16' }, {}, {}],
    'TypeError',
    'ERR_SHAPE',
    /Uint16Array for features but received a Float32Array/,
  ],
  [
    'bits as float32',
    ['separationIndex', new Uint16Array(4), labels, separationRequest, {}, {}],
    'TypeError',
    'ERR_SHAPE',
    /Float32Array for features but received a Uint16Array/,
  ],
  [
    'a stride below the dims',
    ['separationIndex', features, labels, { ...separationRequest, dims: 2, rowStride: 1 }, {}, {}],
    'RangeError',
    'ERR_SHAPE',
    /at least 2 for rowStride but received 1/,
  ],
  [
    'a stride that leaves the array',
    ['separationIndex', features, labels, { ...separationRequest, rowStride: 2 }, {}, {}],
    'RangeError',
    'ERR_SHAPE',
    /at least 7 for features but received 4/,
  ],
  [
    'a stride that overflows',
    ['separationIndex', features, labels, { ...separationRequest, rowStride: 2 ** 52 }, {}, {}],
    'RangeError',
    'ERR_SHAPE',
    /fit in memory/,
  ],
  [
    'an empty range of queries',
    ['centerSeparationIndex', features, labels, { ...separationRequest, firstQuery: 0, queryRows: 0 }, {}, {}],
    'RangeError',
    'ERR_OPTION',
    /queryRows/,
  ],
];
test.each(cases)('%s', (_, args, name, code, message) => {
  expect(refusal(...args)).toEqual({ name, code, message: expect.stringMatching(message) as string });
});

test('no rows, and a range past the rows, are refused by the core', async () => {
  const none = addon.nearestNeighbours(new Float32Array(0), features, { ...request, rows: 0 }, lists(0), {});
  await expect(none).rejects.toMatchObject({ name: 'SieveError', code: 'ERR_OPTION' });
  const past = addon.centerSeparationIndex(
    features,
    labels,
    { rows: 4, dims: 1, classes: 2, skipNonFinite: false, firstQuery: 2 ** 53 - 1, queryRows: 3 },
    {},
    {},
  );
  await expect(past).rejects.toMatchObject({ name: 'SieveError', code: 'ERR_OPTION' });
});

test('references that are transferred during the call are an error, not a result', async () => {
  const mine = features.slice();
  const call = addon.nearestNeighbours(features, mine, request, lists(), {});
  const elsewhere = structuredClone(mine, { transfer: [mine.buffer] });
  await expect(call).rejects.toMatchObject({ message: expect.stringContaining('transferred') as string });
  expect(elsewhere).toEqual(features);
});
