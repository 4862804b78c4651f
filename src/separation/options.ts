import type { Backend, BackendChoice, IndexKind, SeparationKind } from '../binding/addon';
import type { NativeControl } from '../binding/run';
import { SieveError, expected } from '../errors';

export type { Backend, BackendChoice, IndexKind };

/** What all indices over labelled rows take. Features are row-major; they are read in place while the call runs. */
export interface LabelledOptions extends NativeControl {
  /** Number of samples. */
  readonly rows: number;
  /** Number of classes; default: the highest label + 1. A class without samples has NaN in `perClass`. */
  readonly classes?: number;
  /** Leave rows with NaN or an infinity out, as samples and as neighbours. Default: such a row is an error that names it. */
  readonly skipNonFinite?: boolean;
}

/** Which neighbours count, and how. */
export interface NeighbourOptions {
  /** Neighbours of each sample that are looked at. Default 1. */
  readonly order?: number;
  /** Count the share of the `order` nearest that have the sample's label, not only whether all have it. */
  readonly soft?: boolean;
  /** Count the samples of which NONE of the `order` nearest has the label. */
  readonly anti?: boolean;
}

/** [rows, order] each, a row for each query. */
export interface NeighbourLists {
  /** Sample numbers, nearest first, ties to the lowest; -1 where there are fewer, and for a query that was left out. */
  readonly nearest: Int32Array;
  /** Squared Euclidean distances, float64; NaN where there are fewer. */
  readonly nearestDistanceSquared: Float64Array;
}

// Labels above this are taken for a mistake unless `classes` says so: memory follows from the number of classes.
const MAXIMUM_IMPLIED_CLASSES = 1 << 20;
const MAXIMUM_INT32 = 2 ** 31 - 1;

/** A whole number of at least `minimum`, or ERR_OPTION. */
export function checkCount(value: unknown, subject: string, minimum: number): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < minimum)
    throw expected('ERR_OPTION', `a whole number of at least ${minimum}`, subject, value);
  return value;
}

/** Whether a value is a typed array of that name, also one of another realm. */
export function isTypedArray(value: unknown, type: string): boolean {
  return ArrayBuffer.isView(value) && (value as unknown as Record<symbol, unknown>)[Symbol.toStringTag] === type;
}

/** A typed array of exactly `length` values, or ERR_SHAPE. Arrays of other realms are taken too. */
export function checkArray(
  value: unknown,
  type: 'Float32Array' | 'Float64Array' | 'Int32Array' | 'Uint16Array',
  length: number,
  subject: string,
  shape: string,
): void {
  if (!isTypedArray(value, type)) throw expected('ERR_SHAPE', `a ${type} ${shape}`, subject, value);
  const received = (value as Float32Array).length;
  if (received !== length) throw expected('ERR_SHAPE', `${length} values ${shape}`, subject, received);
}

/**
 * Checks that labels are 0 .. C-1 and gives C.
 *
 * @throws SieveError ERR_SHAPE where the array does not fit the rows, ERR_LABELS where a label is out of range.
 */
export function checkLabels(labels: Int32Array, rows: number, classes: number | undefined, subject = 'labels'): number {
  checkArray(labels, 'Int32Array', rows, subject, '[rows]');
  if (classes !== undefined && checkCount(classes, 'classes', 1) > MAXIMUM_INT32)
    throw expected('ERR_OPTION', `at most ${MAXIMUM_INT32}`, 'classes', classes);
  const limit = classes ?? MAXIMUM_IMPLIED_CLASSES;
  let highest = -1;
  for (let row = 0; row < rows; row++) {
    const label = labels[row]!;
    if (label < 0 || label >= limit)
      throw expected('ERR_LABELS', `a class id from 0 to ${limit - 1}`, `${subject}[${row}]`, label, {
        remedy: 'Number the classes from 0 without gaps; set `classes` where not every class has a sample.',
      });
    if (label > highest) highest = label;
  }
  return classes ?? highest + 1;
}

/** The native kind and order; `available` is how many neighbours a sample can have. */
export function checkNeighbours(
  options: NeighbourOptions,
  available: number,
): { readonly order: number; readonly kind: SeparationKind } {
  const order = checkCount(options.order ?? 1, 'order', 1);
  if (order > available) throw expected('ERR_OPTION', `at most ${available} (the other rows)`, 'order', order);
  if (options.soft === true && options.anti === true)
    throw expected('ERR_OPTION', 'one of soft and anti', 'the kind of index', 'both');
  return { order, kind: options.soft === true ? 'soft' : options.anti === true ? 'anti' : 'hard' };
}

/** Fewer than two rows have no neighbours, and no separation to speak of. */
export function checkRows(rows: unknown): number {
  return checkCount(rows, 'rows', 2);
}

/** The product of sizes; ERR_SHAPE where no array can have that many elements. */
export function elementCount(...sizes: readonly number[]): number {
  const product = sizes.reduce((left, right) => left * right, 1);
  if (!Number.isSafeInteger(product))
    throw expected('ERR_SHAPE', 'sizes whose product is below 2^53', 'an array', sizes.join(' x '));
  return product;
}

/** An array for results. @throws SieveError ERR_OUT_OF_MEMORY */
export function allocateFloat64(length: number): Float64Array {
  return allocate(() => new Float64Array(length), length);
}

/** An array for results. @throws SieveError ERR_OUT_OF_MEMORY */
export function allocateInt32(length: number): Int32Array {
  return allocate(() => new Int32Array(length), length);
}

/** Lists of neighbours to be filled. @throws SieveError ERR_OUT_OF_MEMORY, ERR_SHAPE */
export function allocateNeighbours(rows: number, order: number): NeighbourLists {
  const length = elementCount(rows, order);
  return { nearest: allocateInt32(length), nearestDistanceSquared: allocateFloat64(length) };
}

function allocate<Result>(create: () => Result, length: number): Result {
  try {
    return create();
  } catch (cause) {
    throw new SieveError('ERR_OUT_OF_MEMORY', `Expected room for ${length} results but received none`, {
      cause,
      remedy: 'Ask for fewer results: no neighbours, or a lower order.',
    });
  }
}
