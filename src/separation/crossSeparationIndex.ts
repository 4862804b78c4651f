import { runNative } from '../binding/run';
import type { FeatureArray, FeatureLayout } from './matrix';
import { checkMatrix } from './matrix';
import type { SeparationIndexOptions, SeparationIndexResult } from './separationIndex';
import { allocateFloat64, allocateNeighbours, checkCount, checkLabels, checkNeighbours } from './options';

/** The samples among which neighbours are looked for, usually the training set. */
export interface ReferenceSet extends FeatureLayout {
  /** Row-major [rows, dims], the same dims as the queries; the element type and the stride are its own. */
  readonly features: FeatureArray;
  /** [rows] */
  readonly labels: Int32Array;
  readonly rows: number;
}

/** `nearest` holds rows of the reference set. */
export type CrossSeparationIndexResult = SeparationIndexResult;

/**
 * Cross Separation Index: as separationIndex, but each sample takes its nearest neighbours from another set, so that a
 * test set is judged by what the training set looks like. A sample that is in both sets is its own neighbour.
 *
 * O(rows · reference rows · dims) multiply-adds, O(rows · order) memory beyond packed blocks.
 *
 * @param features the queries, row-major [rows, dims]; both sets are read in place until the promise settles.
 * @param labels [rows]; classes are numbered alike in both sets.
 * @throws SieveError as separationIndex does; `order` may be as high as the reference set has rows.
 */
export async function crossSeparationIndex(
  features: FeatureArray,
  labels: Int32Array,
  reference: ReferenceSet,
  options: SeparationIndexOptions,
): Promise<CrossSeparationIndexResult> {
  const rows = checkCount(options.rows, 'rows', 1);
  const dims = checkCount(options.dims, 'dims', 1);
  const referenceRows = checkCount(reference.rows, 'reference.rows', 1);
  const queries = checkMatrix(features, options, rows, dims, 'features', '[rows, dims]');
  const references = checkMatrix(
    reference.features,
    reference,
    referenceRows,
    dims,
    'reference.features',
    '[reference.rows, dims]',
  );
  const classes = Math.max(
    checkLabels(labels, rows, options.classes),
    checkLabels(reference.labels, referenceRows, options.classes, 'reference.labels'),
  );
  const { order, kind } = checkNeighbours(options, referenceRows);
  const perClass = allocateFloat64(classes);
  const neighbours = options.neighbours === true ? allocateNeighbours(rows, order) : {};
  const { value, rowsUsed, backend } = await runNative('cross separation', options, (addon, run) =>
    addon.crossSeparationIndex(
      queries.data,
      labels,
      references.data,
      reference.labels,
      {
        rows,
        dims,
        classes,
        order,
        kind,
        skipNonFinite: options.skipNonFinite === true,
        elementType: queries.elementType,
        rowStride: queries.rowStride,
        referenceRows,
        referenceElementType: references.elementType,
        referenceRowStride: references.rowStride,
      },
      { perClass, ...neighbours },
      run,
    ),
  );
  return { si: value, perClass, rowsUsed, backend, ...neighbours };
}
