// 16-bit elements and row strides: every call answers as for the same values in dense float32, and copies nothing.
import {
  centerSeparationIndex,
  crossSeparationIndex,
  filterSeparation,
  nearestNeighbours,
  selectFilters,
  separationIndex,
  smoothnessIndex,
  subsetSeparation,
} from '../../src/separation';
import type { FeatureArray, FeatureLayout } from '../../src/separation';
import { clusters } from './data';
import { halves } from './halves';

const rows = 33;
const dims = 12;
const classes = 3;

/** Everything that takes features, on one matrix. */
async function everything(features: FeatureArray, labels: Int32Array, layout: FeatureLayout): Promise<unknown[]> {
  const options = { ...layout, rows, dims, classes };
  const filters = { ...options, filters: 4, dims: dims / 4 };
  const reference = { ...layout, features, labels, rows };
  const targets = Float32Array.from(labels);
  return [
    await separationIndex(features, labels, { ...options, neighbours: true, order: 3, soft: true }),
    await crossSeparationIndex(features, labels, reference, { ...options, neighbours: true, order: 2 }),
    await centerSeparationIndex(features, labels, { ...options, nearest: true, centers: true }),
    await smoothnessIndex(features, targets, options),
    await filterSeparation(features, labels, filters),
    await filterSeparation(features, labels, { ...filters, index: 'center' }),
    await subsetSeparation(features, labels, { ...filters, subsets: [[0, 2], [3]] }),
    await selectFilters(features, labels, filters),
    await nearestNeighbours(reference, { ...reference, firstRow: 20 }, { dims, order: 2 }),
  ];
}

/** The rows again, each `stride` elements after the one before, between values that must not be read. */
function spread<Data extends Float32Array | Uint16Array>(dense: Data, stride: number, filler: number): Data {
  const kind = dense.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => Data;
  const { BYTES_PER_ELEMENT } = dense;
  const length = (rows - 1) * stride + dims;
  const all = new kind(new ArrayBuffer((length + 9) * BYTES_PER_ELEMENT), 0, length + 9).fill(filler) as Data;
  const view = all.subarray(5, 5 + length) as Data;
  for (let row = 0; row < rows; row++) view.set(dense.subarray(row * dims, (row + 1) * dims), row * stride);
  return view;
}

test('rows with a stride, in a view into a larger buffer', async () => {
  const { features, labels } = clusters(rows, dims, classes, 5);
  const view = spread(features, dims + 3, Number.NaN);
  expect(view.byteOffset).toBe(20);
  expect(await everything(view, labels, { rowStride: dims + 3 })).toEqual(await everything(features, labels, {}));
  const longer = new Float32Array(rows * dims + 7);
  longer.set(features);
  expect(await everything(longer, labels, { rowStride: dims })).toEqual(await everything(features, labels, {}));
});

describe.each(['float16', 'bfloat16'] as const)('%s', (elementType) => {
  const data = halves(rows, dims, classes, elementType);

  test('answers as float32 does, dense and with a stride', async () => {
    const wanted = await everything(data.features, data.labels, {});
    expect(await everything(data.bits, data.labels, { elementType })).toEqual(wanted);
    const view = spread(data.bits, dims + 1, 0x7fff);
    expect(await everything(view, data.labels, { elementType, rowStride: dims + 1 })).toEqual(wanted);
  });

  test('queries and references may differ in type and stride', async () => {
    const options = { rows, dims, neighbours: true, classes };
    const reference = { features: data.features, labels: data.labels, rows };
    const wanted = await crossSeparationIndex(data.features, data.labels, reference, options);
    const bits = { ...reference, features: spread(data.bits, 2 * dims, 0x7fff), elementType, rowStride: 2 * dims };
    expect(await crossSeparationIndex(data.features, data.labels, bits, options)).toEqual(wanted);
  });

  test('on shared memory', async () => {
    const shared = new Uint16Array(new SharedArrayBuffer(2 * (rows * dims + 1)), 2, rows * dims);
    shared.set(data.bits);
    const options = { rows, dims, elementType };
    expect(await separationIndex(shared, data.labels, options)).toEqual(
      await separationIndex(data.bits, data.labels, options),
    );
  });
});

test('a Float16Array is float16 without being told so', async () => {
  const data = halves(rows, dims, classes, 'float16');
  const wanted = await separationIndex(data.features, data.labels, { rows, dims });
  const native = (globalThis as { Float16Array?: new (buffer: ArrayBufferLike, offset: number) => never }).Float16Array;
  const room = new Uint16Array(data.bits.length + 1);
  room.set(data.bits, 1);
  // Where Node has no Float16Array yet, an array that says it is one.
  const array =
    native === undefined
      ? Object.defineProperty(room.subarray(1), Symbol.toStringTag, { value: 'Float16Array' })
      : new native(room.buffer, 2);
  const half = array as unknown as FeatureArray;
  expect(await separationIndex(half, data.labels, { rows, dims })).toEqual(wanted);
  expect(await separationIndex(half, data.labels, { rows, dims, elementType: 'float16' })).toEqual(wanted);
  const wrong = separationIndex(half, data.labels, { rows, dims, elementType: 'bfloat16' });
  await expect(wrong).rejects.toMatchObject({ code: 'ERR_OPTION' });
});

test('features are read in place: what is written before a waiting call starts is what it sees', async () => {
  const slow = clusters(1000, 256, 4, 6);
  const busy = Array.from({ length: 4 }, () =>
    separationIndex(slow.features, slow.labels, { rows: 1000, dims: 256, backend: 'serial', threads: 1 }),
  );
  // Four calls compute at once; these two wait, their arrays bound already.
  const { features, labels } = clusters(rows, dims, classes, 7);
  const bits = new Uint16Array(rows * dims);
  const zeros = new Float32Array(rows * dims);
  const options = { rows, dims, classes };
  const waiting = [
    separationIndex(zeros, labels, options),
    separationIndex(bits, labels, { ...options, elementType: 'bfloat16' }),
  ] as const;
  zeros.set(features);
  bits.set(new Uint16Array(features.buffer).filter((_, i) => i % 2 === 1));
  const truncated = Float32Array.from(bits, (value) => new Float32Array(Uint32Array.of(value * 2 ** 16).buffer)[0]!);
  const [float32, bfloat16] = await Promise.all(waiting);
  expect(float32).toEqual(await separationIndex(features, labels, options));
  expect(bfloat16).toEqual(await separationIndex(truncated, labels, options));
  await Promise.all(busy);
});

describe('refused', () => {
  const { features, labels, bits } = halves(rows, dims, classes, 'float16');
  const ok = { rows, dims };
  const cases: readonly [string, () => Promise<unknown>, string, RegExp][] = [
    [
      'bits of no type',
      () => separationIndex(bits, labels, ok),
      'ERR_OPTION',
      /float16 or bfloat16 beside a Uint16Array for elementType but received nothing/,
    ],
    [
      'bits as float32',
      () => separationIndex(bits, labels, { ...ok, elementType: 'float32' }),
      'ERR_OPTION',
      /"float32"/,
    ],
    [
      'float32 as float16',
      () => separationIndex(features, labels, { ...ok, elementType: 'float16' }),
      'ERR_SHAPE',
      /Uint16Array \[rows, dims\] of float16 for features but received Float32Array/,
    ],
    [
      'an unknown type',
      () => separationIndex(features, labels, { ...ok, elementType: 'int8' as never }),
      'ERR_OPTION',
      /float32, float16 or bfloat16 for elementType but received "int8"/,
    ],
    [
      'a stride below the dims',
      () => separationIndex(features, labels, { ...ok, rowStride: 11 }),
      'ERR_OPTION',
      /at least 12 for rowStride/,
    ],
    ['half a stride', () => separationIndex(features, labels, { ...ok, rowStride: 12.5 }), 'ERR_OPTION', /12\.5/],
    [
      'a stride that leaves the array',
      () => separationIndex(features, labels, { ...ok, rowStride: 13 }),
      'ERR_SHAPE',
      /at least 428 values \[rows, dims\] with rowStride 13 for features but received 396/,
    ],
    [
      'a stride beyond all memory',
      () => separationIndex(features, labels, { ...ok, rowStride: 2 ** 52 }),
      'ERR_SHAPE',
      /2\^53/,
    ],
    [
      'references of no type',
      () => crossSeparationIndex(features, labels, { features: bits, labels, rows }, ok),
      'ERR_OPTION',
      /elementType/,
    ],
    [
      'too few bits',
      () => separationIndex(bits.subarray(1), labels, { ...ok, elementType: 'float16' }),
      'ERR_SHAPE',
      /396/,
    ],
    [
      'signed bits',
      () => separationIndex(new Int16Array(396) as never, labels, { ...ok, elementType: 'float16' }),
      'ERR_SHAPE',
      /Int16Array/,
    ],
  ];
  test.each(cases)('%s', async (_, call, code, message) => {
    const wanted = { name: 'SieveError', code, message: expect.stringMatching(message) as string };
    await expect(call()).rejects.toMatchObject(wanted);
  });

  test('bits whose buffer was transferred', async () => {
    const mine = bits.slice();
    structuredClone(mine, { transfer: [mine.buffer] });
    const call = separationIndex(mine, labels, { ...ok, elementType: 'float16' });
    await expect(call).rejects.toMatchObject({ code: 'ERR_SHAPE' });
  });
});
