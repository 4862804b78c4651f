import type { NativeFilterRequest } from '../binding/addon';
import type { IndexKind, LabelledOptions, NeighbourOptions } from './options';
import { checkArray, checkCount, checkLabels, checkNeighbours, checkRows, elementCount } from './options';

/** Features are [rows, filters, dims]: filter f of a sample owns the values f·dims .. f·dims+dims-1 of its row. */
export interface FilterOptions extends LabelledOptions, NeighbourOptions {
  readonly filters: number;
  /** Values of one filter of one sample: height · width of its map. */
  readonly dims: number;
  /** `separation` (SI, the default; order, soft and anti apply) or `center` (CSI). */
  readonly index?: IndexKind;
}

/** Checks features, labels and options together. */
export function filterRequest(features: Float32Array, labels: Int32Array, options: FilterOptions): NativeFilterRequest {
  const rows = checkRows(options.rows);
  const filters = checkCount(options.filters, 'filters', 1);
  const dims = checkCount(options.dims, 'dims', 1);
  checkArray(features, 'Float32Array', elementCount(rows, filters, dims), 'features', '[rows, filters, dims]');
  const classes = checkLabels(labels, rows, options.classes);
  const { order, kind } = checkNeighbours(options, rows - 1);
  const index = options.index ?? 'separation';
  return { rows, filters, dims, classes, order, kind, index, skipNonFinite: options.skipNonFinite === true };
}
