import { runNative } from '../binding/run';
import type { LabelledOptions } from './options';
import {
  allocateFloat64,
  allocateInt32,
  checkArray,
  checkCount,
  checkLabels,
  checkRows,
  elementCount,
} from './options';

export interface CenterSeparationIndexOptions extends LabelledOptions {
  /** Values of one sample. */
  readonly dims: number;
  /** Also return the class means. */
  readonly centers?: boolean;
  /** Also return the nearest class of every row. */
  readonly nearest?: boolean;
}

export interface CenterSeparationIndexResult {
  readonly csi: number;
  /** [classes]: the index over the samples of each class; NaN for a class without samples. */
  readonly perClass: Float64Array;
  readonly rowsUsed: number;
  /** [rows]: id of the class whose mean is nearest; -1 for a row that was left out. Only with `nearest`. */
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
  features: Float32Array,
  labels: Int32Array,
  options: CenterSeparationIndexOptions,
): Promise<CenterSeparationIndexResult> {
  const rows = checkRows(options.rows);
  const dims = checkCount(options.dims, 'dims', 1);
  checkArray(features, 'Float32Array', elementCount(rows, dims), 'features', '[rows, dims]');
  const classes = checkLabels(labels, rows, options.classes);
  const outputs = {
    perClass: allocateFloat64(classes),
    ...(options.nearest === true && { nearest: allocateInt32(rows) }),
    ...(options.centers === true && { centers: allocateFloat64(elementCount(classes, dims)) }),
  };
  const { value, rowsUsed } = await runNative('center separation', options, (addon, run) =>
    addon.centerSeparationIndex(
      features,
      labels,
      { rows, dims, classes, skipNonFinite: options.skipNonFinite === true },
      outputs,
      run,
    ),
  );
  return { csi: value, rowsUsed, ...outputs };
}
