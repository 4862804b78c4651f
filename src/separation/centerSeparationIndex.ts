import { runNative } from '../binding/run';
import { expected } from '../errors';
import type { FeatureArray, FeatureLayout } from './matrix';
import { checkMatrix } from './matrix';
import type { LabelledOptions } from './options';
import { allocateFloat64, allocateInt32, checkCount, checkLabels, checkRows, elementCount } from './options';

/** Rows `first` .. `first + rows − 1`. */
export interface RowRange {
  readonly first: number;
  readonly rows: number;
}

export interface CenterSeparationIndexOptions extends LabelledOptions, FeatureLayout {
  /** Values of one sample. */
  readonly dims: number;
  /** Also return the class means. */
  readonly centers?: boolean;
  /** Also return the nearest class of every row. */
  readonly nearest?: boolean;
  /**
   * Count only these rows; the class means stay those of all. Hits of ranges that make up all rows add up to exactly
   * those of the whole. Default: all rows.
   */
  readonly queries?: RowRange;
}

export interface CenterSeparationIndexResult {
  readonly csi: number;
  /** [classes]: the index over the samples of each class; NaN for a class without samples. */
  readonly perClass: Float64Array;
  readonly rowsUsed: number;
  /** [rows], or [queries.rows]: id of the class whose mean is nearest; -1 for a row that was left out. Only with `nearest`. */
  readonly nearest?: Int32Array;
  /** [classes, dims], float64; NaN for a class without samples. Only with `centers`. */
  readonly centers?: Float64Array;
}

/**
 * Center Separation Index: the share of samples whose nearest class mean (squared Euclidean, the sample itself
 * included in its mean, ties to the lowest class) is that of their own class. What a linear head could still tell
 * apart; much cheaper than SI.
 *
 * O(rows · classes · dims) multiply-adds in two passes over the data, O(classes · dims) memory.
 *
 * Source: Kalhor et al., arXiv 1906.05156.
 *
 * @param features row-major [rows, dims]; read in place, so leave it alone until the promise settles.
 * @param labels [rows], class ids 0 .. classes-1.
 * @throws SieveError as separationIndex does.
 */
export async function centerSeparationIndex(
  features: FeatureArray,
  labels: Int32Array,
  options: CenterSeparationIndexOptions,
): Promise<CenterSeparationIndexResult> {
  const rows = checkRows(options.rows);
  const dims = checkCount(options.dims, 'dims', 1);
  const { data, elementType, rowStride } = checkMatrix(features, options, rows, dims, 'features', '[rows, dims]');
  const classes = checkLabels(labels, rows, options.classes);
  const queries = options.queries === undefined ? undefined : checkRange(options.queries, rows);
  const outputs = {
    perClass: allocateFloat64(classes),
    ...(options.nearest === true && { nearest: allocateInt32(queries?.rows ?? rows) }),
    ...(options.centers === true && { centers: allocateFloat64(elementCount(classes, dims)) }),
  };
  const { value, rowsUsed } = await runNative('center separation', options, (addon, run) =>
    addon.centerSeparationIndex(
      data,
      labels,
      {
        rows,
        dims,
        classes,
        skipNonFinite: options.skipNonFinite === true,
        elementType,
        rowStride,
        firstQuery: queries?.first,
        queryRows: queries?.rows,
      },
      outputs,
      run,
    ),
  );
  return { csi: value, rowsUsed, ...outputs };
}

function checkRange({ first, rows }: RowRange, available: number): RowRange {
  checkCount(first, 'queries.first', 0);
  checkCount(rows, 'queries.rows', 1);
  if (first + rows > available)
    throw expected('ERR_OPTION', `a range of the ${available} rows`, 'queries', `${first} + ${rows}`);
  return { first, rows };
}
