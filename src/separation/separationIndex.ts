import { runNative } from '../binding/run';
import type { FeatureArray, FeatureLayout } from './matrix';
import { checkMatrix } from './matrix';
import type { Backend, LabelledOptions, NeighbourOptions } from './options';
import { allocateFloat64, allocateNeighbours, checkCount, checkLabels, checkNeighbours, checkRows } from './options';

export interface SeparationIndexOptions extends LabelledOptions, NeighbourOptions, FeatureLayout {
  /** Values of one sample. */
  readonly dims: number;
  /** Also return the neighbours themselves. */
  readonly neighbours?: boolean;
}

export interface SeparationIndexResult {
  readonly si: number;
  /** [classes]: the index over the samples of each class. SI is their mean weighted by class size. */
  readonly perClass: Float64Array;
  /** Rows that took part: all of them, unless skipNonFinite left some out. */
  readonly rowsUsed: number;
  /** The kernel that ran. */
  readonly backend: Backend;
  /** [rows, order]: row indices, nearest first; -1 for a row that was left out. Only with `neighbours`. */
  readonly nearest?: Int32Array;
  /** [rows, order]: squared Euclidean distances, float64. Only with `neighbours`. */
  readonly nearestDistanceSquared?: Float64Array;
}

/**
 * Separation Index: the share of samples whose nearest other sample has the same label; with `order` r, whose r
 * nearest all have it; with `soft`, the mean share of them that have it; with `anti`, the share of samples with none.
 * Exact: the neighbours of a float64 brute force over squared Euclidean distances, ties to the lowest row.
 *
 * O(rows² · dims / 2) multiply-adds, O(rows · order) memory beyond packed blocks. Runs on threads of its own.
 *
 * Source: Kalhor et al., arXiv 1906.05156; SI of order r and anti-SI as in Saffar et al., doi 10.1038/s41598-024-68172-6.
 *
 * @param features row-major [rows, dims]; read in place, so leave it alone until the promise settles.
 * @param labels [rows], class ids 0 .. classes-1.
 * @throws SieveError ERR_SHAPE, ERR_LABELS, ERR_OPTION, ERR_NON_FINITE (names the row), ERR_DEVICE (a backend that is
 *   missing), ERR_OUT_OF_MEMORY, ERR_CANCELLED, ERR_NATIVE_MISSING.
 */
export async function separationIndex(
  features: FeatureArray,
  labels: Int32Array,
  options: SeparationIndexOptions,
): Promise<SeparationIndexResult> {
  const rows = checkRows(options.rows);
  const dims = checkCount(options.dims, 'dims', 1);
  const { data, elementType, rowStride } = checkMatrix(features, options, rows, dims, 'features', '[rows, dims]');
  const classes = checkLabels(labels, rows, options.classes);
  const { order, kind } = checkNeighbours(options, rows - 1);
  const perClass = allocateFloat64(classes);
  const neighbours = options.neighbours === true ? allocateNeighbours(rows, order) : {};
  const { value, rowsUsed, backend } = await runNative('separation', options, (addon, run) =>
    addon.separationIndex(
      data,
      labels,
      { rows, dims, classes, order, kind, skipNonFinite: options.skipNonFinite === true, elementType, rowStride },
      { perClass, ...neighbours },
      run,
    ),
  );
  return { si: value, perClass, rowsUsed, backend, ...neighbours };
}
