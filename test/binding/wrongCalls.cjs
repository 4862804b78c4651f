// Every asynchronous function of the addon with arguments that work, and all the ways to make one of them wrong. Plain
// JavaScript: jest runs it, and valgrind without jest.
'use strict';

const rows = 12;
const dims = 4;
const classes = 3;

const features = () => Float32Array.from({ length: rows * dims }, (_, i) => Math.sin(i * i));
const labels = () => Int32Array.from({ length: rows }, (_, i) => i % classes);
const separationRequest = { rows, dims, classes, order: 2, kind: 'hard', skipNonFinite: false };
const filterRequest = { ...separationRequest, filters: dims, dims: 1, index: 'separation' };
const lists = () => ({ nearest: new Int32Array(rows * 2), nearestDistanceSquared: new Float64Array(rows * 2) });
const neighbourOutputs = () => ({ perClass: new Float64Array(classes), ...lists() });
const run = () => ({ threads: 1 });
// Two regressors and the constant, one output.
const moments = () => ({
  gram: Float64Array.of(4, 1, 2, 1, 5, 3, 2, 3, 9),
  cross: Float64Array.of(1, 2, 3),
  targetSquare: Float64Array.of(20),
  regressors: 3,
  outputs: 1,
});
const geometry = {
  ...{ channels: 1, height: 3, width: 3, kernelHeight: 2, kernelWidth: 2, strideHeight: 1, strideWidth: 1 },
  ...{ dilationHeight: 1, dilationWidth: 1, padTop: 0, padLeft: 0, outputHeight: 2, outputWidth: 2, outputs: 2 },
};

/**
 * @typedef {object} NativeCall
 * @property {string} name of the function, or of a class, or Class.method of an object that is ready for it
 * @property {() => unknown[]} args fresh ones that work
 * @property {(string | number)[][]} arrays where typed arrays are among them
 * @property {(string | number)[][]} [optional] those of the arrays that may be left out
 * @property {(string | number)[][]} [anyLength] those whose length is not given by other arguments
 * @property {(string | number)[][]} objects where plain objects are
 * @property {(string | number)[]} [labels] where class labels are
 * @property {(string | number)[]} [features] where a matrix with `dims` columns is
 */

/** @type {NativeCall[]} */
const calls = [
  {
    name: 'separationIndex',
    args: () => [features(), labels(), { ...separationRequest }, neighbourOutputs(), run()],
    arrays: [[0], [1], [3, 'perClass'], [3, 'nearest'], [3, 'nearestDistanceSquared']],
    optional: [
      [3, 'perClass'],
      [3, 'nearestDistanceSquared'],
    ],
    objects: [[2], [3], [4]],
    labels: [1],
    features: [0],
  },
  {
    name: 'crossSeparationIndex',
    args: () => [
      ...[features(), labels(), features(), labels()],
      ...[{ ...separationRequest, referenceRows: rows }, neighbourOutputs(), run()],
    ],
    arrays: [[0], [1], [2], [3], [5, 'perClass'], [5, 'nearest'], [5, 'nearestDistanceSquared']],
    optional: [
      [5, 'perClass'],
      [5, 'nearestDistanceSquared'],
    ],
    objects: [[4], [5], [6]],
    labels: [3],
    features: [2],
  },
  {
    name: 'centerSeparationIndex',
    args: () => [
      ...[features(), labels(), { rows, dims, classes, skipNonFinite: false, firstQuery: 0, queryRows: rows }],
      { perClass: new Float64Array(classes), nearest: new Int32Array(rows), centers: new Float64Array(classes * dims) },
      run(),
    ],
    arrays: [[0], [1], [3, 'perClass'], [3, 'nearest'], [3, 'centers']],
    optional: [
      [3, 'perClass'],
      [3, 'nearest'],
      [3, 'centers'],
    ],
    objects: [[2], [3], [4]],
    labels: [1],
    features: [0],
  },
  {
    name: 'smoothnessIndex',
    args: () => [features(), new Float32Array(rows).fill(1), { rows, dims, targetDims: 1 }, run()],
    arrays: [[0], [1]],
    objects: [[2], [3]],
    features: [0],
  },
  {
    name: 'filterSeparation',
    args: () => [features(), labels(), { ...filterRequest }, new Float64Array(dims), run()],
    arrays: [[0], [1], [3]],
    objects: [[2], [4]],
    labels: [1],
    features: [0],
  },
  {
    name: 'subsetSeparation',
    args: () => [
      ...[features(), labels(), { ...filterRequest }],
      ...[Int32Array.of(0, 2, 3), Int32Array.of(0, 2, 3), new Float64Array(2), run()],
    ],
    arrays: [[0], [1], [3], [4], [5]],
    anyLength: [[3]],
    objects: [[2], [6]],
    labels: [1],
    features: [0],
  },
  {
    name: 'selectFilters',
    args: () => [
      ...[features(), labels(), { ...filterRequest, strategy: 'si', limit: 0 }],
      ...[new Int32Array(dims), new Float64Array(dims), run()],
    ],
    arrays: [[0], [1], [3], [4]],
    objects: [[2], [5]],
    labels: [1],
    features: [0],
  },
  {
    name: 'nearestNeighbours',
    args: () => [
      ...[features(), features()],
      { rows, firstRow: 0, referenceRows: rows, referenceFirstRow: 0, dims, order: 2, skipNonFinite: false },
      ...[lists(), run()],
    ],
    arrays: [[0], [1], [3, 'nearest'], [3, 'nearestDistanceSquared']],
    objects: [[2], [3], [4]],
    features: [1],
  },
  {
    name: 'mergeNeighbours',
    args: () => [[filledLists(), filledLists()], { rows, order: 2 }, lists(), run()],
    arrays: [
      [0, 0, 'nearest'],
      [0, 1, 'nearestDistanceSquared'],
      [2, 'nearest'],
      [2, 'nearestDistanceSquared'],
    ],
    objects: [[0], [0, 0], [1], [2], [3]],
  },
  {
    name: 'scoreNeighbours',
    args: () => [
      ...[filledLists().nearest, labels(), labels()],
      { rows, referenceRows: rows, order: 2, classes, kind: 'hard' },
      ...[{ perClass: new Float64Array(classes) }, run()],
    ],
    arrays: [[0], [1], [2], [4, 'perClass']],
    optional: [[4, 'perClass']],
    objects: [[3], [4], [5]],
    labels: [1],
  },
  {
    name: 'accumulateMoments',
    args: () => [
      { data: new Float32Array(18).fill(1), offset: 0, sampleStride: 9 },
      { data: new Float32Array(16).fill(2), offset: 0, sampleStride: 8 },
      2,
      { ...geometry },
      { gram: new Float64Array(25), cross: new Float64Array(10), targetSquare: new Float64Array(2) },
      run(),
    ],
    arrays: [
      [0, 'data'],
      [1, 'data'],
      [4, 'gram'],
      [4, 'cross'],
      [4, 'targetSquare'],
    ],
    anyLength: [
      [0, 'data'],
      [1, 'data'],
    ],
    objects: [[0], [1], [3], [4], [5]],
  },
  {
    name: 'ridgeSolve',
    args: () => [
      { ...moments(), active: Int32Array.of(0, 1, 2), ridge: 0.1, prior: new Float64Array(3) },
      ...[new Float64Array(3), new Float64Array(1), run()],
    ],
    arrays: [[0, 'gram'], [0, 'cross'], [0, 'targetSquare'], [0, 'active'], [0, 'prior'], [1], [2]],
    optional: [[0, 'prior'], [2]],
    objects: [[0], [3]],
  },
  {
    name: 'momentsResidual',
    args: () => [moments(), new Float64Array(3), new Float64Array(1), run()],
    arrays: [[0, 'gram'], [0, 'cross'], [0, 'targetSquare'], [1], [2]],
    objects: [[0], [3]],
  },
  {
    name: 'eliminateUnits',
    args: () => [
      [{ ...moments(), members: Int32Array.of(0, 1), offsets: Int32Array.of(0, 1, 2) }],
      ...[2, 0.1, new Int32Array(2), new Float64Array(2), run()],
    ],
    arrays: [[0, 0, 'gram'], [0, 0, 'cross'], [0, 0, 'targetSquare'], [0, 0, 'members'], [0, 0, 'offsets'], [3], [4]],
    anyLength: [[0, 0, 'members']],
    objects: [[0], [0, 0], [5]],
  },
];

const streamRequest = (index) => ({
  ...{ rows, classes, index, order: 2, kind: 'hard', skipNonFinite: false, neighbours: true },
});
calls.push(
  {
    name: 'ColumnStream',
    args: () => [labels(), streamRequest('separation')],
    arrays: [[0]],
    objects: [[1]],
  },
  {
    name: 'ColumnStream.add',
    args: () => [features(), { columns: dims }, run()],
    arrays: [[0]],
    objects: [[1], [2]],
    features: [0],
  },
  {
    name: 'ColumnStream.finish',
    args: () => [neighbourOutputs(), run()],
    arrays: [
      [0, 'perClass'],
      [0, 'nearest'],
      [0, 'nearestDistanceSquared'],
    ],
    optional: [
      [0, 'perClass'],
      [0, 'nearestDistanceSquared'],
    ],
    objects: [[0], [1]],
  },
  {
    name: 'ColumnStream.finishCenters',
    args: () => [{ perClass: new Float64Array(classes), nearest: new Int32Array(rows) }, run()],
    arrays: [
      [0, 'perClass'],
      [0, 'nearest'],
    ],
    optional: [
      [0, 'perClass'],
      [0, 'nearest'],
    ],
    objects: [[0], [1]],
  },
);

/** The method of a stream that has come as far as the method needs. */
async function streamMethod(addon, method) {
  const stream = new addon.ColumnStream(labels(), streamRequest(method === 'finishCenters' ? 'center' : 'separation'));
  await stream.open(run());
  if (method !== 'add')
    do await stream.add(features(), { columns: dims }, run());
    while (await stream.endPass(run()));
  return (...args) => stream[method](...args);
}

/** Calls it: `thrown`, `rejected` or neither; never fails itself. */
async function invoke(addon, name, args) {
  const [owner, method] = name.split('.');
  const call =
    method !== undefined
      ? await streamMethod(addon, method)
      : owner === 'ColumnStream'
        ? (...values) => Promise.resolve(void new addon.ColumnStream(...values))
        : addon[owner];
  let promise;
  try {
    promise = call(...args);
  } catch (thrown) {
    return { thrown };
  }
  return promise.then(
    (value) => ({ value }),
    (rejected) => ({ rejected }),
  );
}

// The next two rows of each.
function filledLists() {
  const filled = lists();
  for (let row = 0; row < rows; row++)
    for (const i of [0, 1]) {
      filled.nearest[row * 2 + i] = (row + 1 + i) % rows;
      filled.nearestDistanceSquared[row * 2 + i] = i + 1;
    }
  return filled;
}

function get(args, where) {
  return where.reduce((value, key) => value[key], args);
}

function set(args, where, value) {
  get(args, where.slice(0, -1))[where[where.length - 1]] = value;
}

const has = (list, where) => (list ?? []).some((entry) => entry.join() === where.join());

function detached(array) {
  const copy = array.slice();
  structuredClone(copy.buffer, { transfer: [copy.buffer] });
  return copy;
}

function resizable(array) {
  const buffer = new ArrayBuffer(array.byteLength, { maxByteLength: array.byteLength * 2 });
  const copy = new array.constructor(buffer);
  copy.set(array);
  return copy;
}

function shared(array) {
  const copy = new array.constructor(new SharedArrayBuffer(array.byteLength));
  copy.set(array);
  return copy;
}

function ofAnotherType(array) {
  return array instanceof Float64Array ? new Float32Array(array.length) : new Float64Array(array.length);
}

/** What can be wrong about an array: [what, the wrong value]. */
function wrongArrays(array, { optional, anyLength }) {
  const wrong = [
    ['a number', 3],
    ['a list', [...array]],
    ['a DataView', new DataView(new ArrayBuffer(array.byteLength))],
    ['an ArrayBuffer', new ArrayBuffer(array.byteLength)],
    ['another type', ofAnotherType(array)],
    ['64-bit integers', new BigInt64Array(array.length)],
    ['detached', detached(array)],
    ['resizable', resizable(array)],
    ['disguised', Object.create(array.constructor.prototype)],
  ];
  if (!optional) wrong.push(['nothing', undefined], ['null', null]);
  if (!anyLength) {
    wrong.push(['one too short', array.slice(1)]);
    wrong.push(['empty', array.slice(0, 0)]);
    wrong.push(['one too long', new array.constructor(array.length + 1)]);
  }
  return wrong;
}

const WRONG_NUMBERS = [-1, 1.5, NaN, -Infinity, 2 ** 53, '3', null, {}, 3n, Symbol('three')];

/**
 * All wrong calls: the function's name, what is wrong, arguments, and what must come: a TypeError or RangeError
 * (`throws`), or a rejection with this code and row (`rejects`); neither: any of the two.
 */
function* wrongCalls() {
  for (const call of calls) {
    const hasRun = call.name !== 'ColumnStream';
    const wrong = (what, change, expectation = { throws: true }) => {
      const args = call.args();
      change(args);
      return { name: call.name, what, args, ...expectation };
    };
    yield { name: call.name, what: 'no arguments', args: [], throws: true };
    for (const where of call.arrays) {
      const flags = { optional: has(call.optional, where), anyLength: has(call.anyLength, where) };
      for (const [what, value] of wrongArrays(get(call.args(), where), flags))
        yield wrong(`${what} for ${where.join('.')}`, (args) => set(args, where, value));
    }
    for (const where of call.objects) {
      for (const value of [undefined, null, 3, 'text'])
        yield wrong(`${String(value)} for the object ${where.join('.')}`, (args) => set(args, where, value));
      for (const [key, value] of Object.entries(get(call.args(), where))) {
        const path = [...where, key];
        if (typeof value === 'number' && key !== 'threads' && key !== 'ridge')
          for (const number of WRONG_NUMBERS)
            yield wrong(`${String(number)} for ${path.join('.')}`, (args) => set(args, path, number), {});
        if (typeof value === 'string' || typeof value === 'boolean')
          for (const choice of ['', 'hArd', 7, null, {}, undefined])
            yield wrong(`${JSON.stringify(choice)} for ${path.join('.')}`, (args) => set(args, path, choice));
      }
    }
    if (call.labels !== undefined)
      for (const label of [-1, classes, 2 ** 31 - 1, -(2 ** 31)])
        yield wrong(`label ${label}`, (args) => (get(args, call.labels)[7] = label), {
          rejects: { code: 'ERR_LABELS', row: 7 },
        });
    if (call.features !== undefined)
      for (const value of [NaN, Infinity, -Infinity])
        yield wrong(`${value} in row 5`, (args) => (get(args, call.features)[5 * dims + 1] = value), {
          rejects: { code: 'ERR_NON_FINITE', row: 5 },
        });
    if (!hasRun) continue;
    for (const threads of [-1, 0.5, NaN, '2']) {
      yield wrong(`${String(threads)} threads`, (args) => (args[args.length - 1].threads = threads));
    }
    for (const key of ['token', 'onProgress', 'backend'])
      yield wrong(`a ${key} that is none`, (args) => (args[args.length - 1][key] = 'nobody'));
  }
}

module.exports = { calls, get, invoke, set, shared, wrongCalls };
