import { runNative } from '../binding/run';
import type { NativeControl } from '../binding/run';
import { expected } from '../errors';
import type { FeatureArray, FeatureLayout } from './matrix';
import { checkMatrix } from './matrix';
import type { NeighbourLists, NeighbourOptions } from './options';
import {
  allocateFloat64,
  allocateNeighbours,
  checkArray,
  checkCount,
  checkLabels,
  checkNeighbours,
  elementCount,
} from './options';

/** A range of samples: row i is sample `firstRow + i`. */
export interface NumberedRows extends FeatureLayout {
  /** Row-major [rows, dims]. */
  readonly features: FeatureArray;
  readonly rows: number;
  /** Number of the first row among all samples. Default 0. */
  readonly firstRow?: number;
}

export interface NearestNeighboursOptions extends NativeControl {
  /** Values of one sample. */
  readonly dims: number;
  /** Neighbours wanted of each query. Default 1. */
  readonly order?: number;
  /** Leave rows with NaN or an infinity out, as queries and as references. Default: such a row is an error that names it. */
  readonly skipNonFinite?: boolean;
}

/**
 * The nearest references of each query, where both are ranges of one set of samples: a shard of separationIndex. A
 * reference with the query's own number is the sample itself and left out. Lists of the same queries from several
 * ranges of references are put together by mergeNeighbours, without loss.
 *
 * O(queries · references · dims) multiply-adds, half of it where both are the same rows; O(queries · order) memory beyond
 * packed blocks.
 *
 * @param queries read in place, as the references are: leave both alone until the promise settles.
 * @throws SieveError ERR_SHAPE, ERR_OPTION, ERR_NON_FINITE (names the row within its range, and the range), ERR_DEVICE,
 *   ERR_OUT_OF_MEMORY, ERR_CANCELLED, ERR_NATIVE_MISSING.
 */
export async function nearestNeighbours(
  queries: NumberedRows,
  references: NumberedRows,
  options: NearestNeighboursOptions,
): Promise<NeighbourLists> {
  const dims = checkCount(options.dims, 'dims', 1);
  const order = checkCount(options.order ?? 1, 'order', 1);
  const query = checkNumbered(queries, dims, 'queries');
  const reference = checkNumbered(references, dims, 'references');
  const lists = allocateNeighbours(query.rows, order);
  await runNative('neighbours', options, (addon, run) =>
    addon.nearestNeighbours(
      query.data,
      reference.data,
      {
        dims,
        order,
        skipNonFinite: options.skipNonFinite === true,
        rows: query.rows,
        firstRow: query.firstRow,
        elementType: query.elementType,
        rowStride: query.rowStride,
        referenceRows: reference.rows,
        referenceFirstRow: reference.firstRow,
        referenceElementType: reference.elementType,
        referenceRowStride: reference.rowStride,
      },
      lists,
      run,
    ),
  );
  return lists;
}

export interface MergeNeighboursOptions extends NativeControl {
  /** Queries: every part has a list for each. */
  readonly rows: number;
  /** Neighbours in a list, the same in all parts. Default 1. */
  readonly order?: number;
}

/**
 * Merges what nearestNeighbours said of the same queries about several ranges of references: the answer is that of one
 * call with all of them. Ranges may overlap; a reference counts once.
 *
 * O(rows · parts · order · log(parts · order)).
 *
 * @throws SieveError ERR_SHAPE for a part of another size, ERR_OPTION where a list is no ascending list of neighbours, or
 *   two parts disagree about a distance.
 */
export async function mergeNeighbours(
  parts: readonly NeighbourLists[],
  options: MergeNeighboursOptions,
): Promise<NeighbourLists> {
  const rows = checkCount(options.rows, 'rows', 1);
  const order = checkCount(options.order ?? 1, 'order', 1);
  if (parts.length === 0) throw expected('ERR_OPTION', 'at least one part', 'parts', 'none');
  parts.forEach(({ nearest, nearestDistanceSquared }, i) => {
    const length = elementCount(rows, order);
    checkArray(nearest, 'Int32Array', length, `parts[${i}].nearest`, '[rows, order]');
    const subject = `parts[${i}].nearestDistanceSquared`;
    checkArray(nearestDistanceSquared, 'Float64Array', length, subject, '[rows, order]');
  });
  const lists = allocateNeighbours(rows, order);
  await runNative('merging neighbours', options, (addon, run) =>
    addon.mergeNeighbours(parts, { rows, order }, lists, run),
  );
  return lists;
}

export interface ScoreNeighboursOptions extends NativeControl, NeighbourOptions {
  /** Queries, a list of neighbours for each. */
  readonly rows: number;
  /** Number of classes; default: the highest label + 1. */
  readonly classes?: number;
}

export interface ScoreNeighboursResult {
  readonly si: number;
  /** [classes]: the index over the queries of each class; NaN for a class without queries. */
  readonly perClass: Float64Array;
  /** Queries that have neighbours. */
  readonly rowsUsed: number;
}

/**
 * The Separation Index of queries whose neighbours are known: with those among all samples, and all samples as queries, it
 * is what separationIndex gives, to the bit.
 *
 * O(rows · order + samples).
 *
 * @param nearest [rows, order] sample numbers; a query without any was left out and counts nothing.
 * @param labels [rows], of the queries.
 * @param referenceLabels of all samples, by number.
 * @throws SieveError ERR_SHAPE, ERR_LABELS, ERR_OPTION where a query has some but fewer than `order` neighbours.
 */
export async function scoreNeighbours(
  nearest: Int32Array,
  labels: Int32Array,
  referenceLabels: Int32Array,
  options: ScoreNeighboursOptions,
): Promise<ScoreNeighboursResult> {
  const rows = checkCount(options.rows, 'rows', 1);
  const referenceRows = checkCount(referenceLabels.length, 'the length of referenceLabels', 1);
  const classes = Math.max(
    checkLabels(labels, rows, options.classes),
    checkLabels(referenceLabels, referenceRows, options.classes, 'referenceLabels'),
  );
  const { order, kind } = checkNeighbours(options, referenceRows);
  checkArray(nearest, 'Int32Array', elementCount(rows, order), 'nearest', '[rows, order]');
  const perClass = allocateFloat64(classes);
  const { value, rowsUsed } = await runNative('scoring neighbours', options, (addon, run) =>
    addon.scoreNeighbours(
      nearest,
      labels,
      referenceLabels,
      { rows, referenceRows, order, classes, kind },
      { perClass },
      run,
    ),
  );
  return { si: value, perClass, rowsUsed };
}

function checkNumbered(
  range: NumberedRows,
  dims: number,
  subject: string,
): ReturnType<typeof checkMatrix> & { readonly rows: number; readonly firstRow: number } {
  const rows = checkCount(range.rows, `${subject}.rows`, 1);
  const firstRow = checkCount(range.firstRow ?? 0, `${subject}.firstRow`, 0);
  return { ...checkMatrix(range.features, range, rows, dims, `${subject}.features`, '[rows, dims]'), rows, firstRow };
}
