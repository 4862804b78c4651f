import type { NativeFilterRequest, NativeMatrixData } from '../binding/addon';
import type { FeatureArray, FeatureLayout } from './matrix';
import { checkMatrix } from './matrix';
import type { IndexKind, LabelledOptions, NeighbourOptions } from './options';
import { checkCount, checkLabels, checkNeighbours, checkRows, elementCount } from './options';

/** Features are [rows, filters, dims]: filter f of a sample owns the values f·dims .. f·dims+dims-1 of its row. */
export interface FilterOptions extends LabelledOptions, NeighbourOptions, FeatureLayout {
  readonly filters: number;
  /** Values of one filter of one sample: height · width of its map. */
  readonly dims: number;
  /** `separation` (SI, the default; order, soft and anti apply) or `center` (CSI). */
  readonly index?: IndexKind;
}

/** Checks features, labels and options together. */
export function filterRequest(
  features: FeatureArray,
  labels: Int32Array,
  options: FilterOptions,
): { readonly data: NativeMatrixData; readonly request: NativeFilterRequest } {
  const rows = checkRows(options.rows);
  const filters = checkCount(options.filters, 'filters', 1);
  const dims = checkCount(options.dims, 'dims', 1);
  const columns = elementCount(filters, dims);
  const { data, elementType, rowStride } = checkMatrix(
    features,
    options,
    rows,
    columns,
    'features',
    '[rows, filters, dims]',
  );
  const classes = checkLabels(labels, rows, options.classes);
  const { order, kind } = checkNeighbours(options, rows - 1);
  const index = options.index ?? 'separation';
  const skipNonFinite = options.skipNonFinite === true;
  return {
    data,
    request: { rows, filters, dims, classes, order, kind, index, skipNonFinite, elementType, rowStride },
  };
}
