import type { SelectionStrategy } from '../binding/addon';
import { runNative } from '../binding/run';
import { expected } from '../errors';
import type { FilterOptions } from './filterRequest';
import { filterRequest } from './filterRequest';
import type { FeatureArray } from './matrix';
import { allocateFloat64, allocateInt32, checkCount } from './options';

export type { SelectionStrategy };

export interface SelectFiltersOptions extends FilterOptions {
  /**
   * `si` (the default): forward selection, the filter next that makes the index of the joint set highest. `si-rank`: by
   * the index of the single filter. Ties go to the lowest filter.
   */
  readonly strategy?: SelectionStrategy;
  /** Stop after that many filters. Default: all. */
  readonly limit?: number;
}

export interface SelectFiltersResult {
  /** [limit or filters]: filter indices, best first. */
  readonly order: Int32Array;
  /** [limit or filters]: the index of the first k + 1 filters of `order` together. */
  readonly curve: Float64Array;
}

/**
 * Orders the filters of a layer by what they contribute to the Separation Index, exact at every step.
 *
 * `si` costs up to O(filters² · rows² · dims / 2) multiply-adds and is much cheaper in practice, where neighbour lists
 * settle most samples; `si-rank` costs O(filters · rows² · dims).
 *
 * Source: Saffar, Kalhor, Habibnia, doi 10.1038/s41598-024-68172-6. SI alone ignores what the next layer reads.
 *
 * @param features row-major [rows, filters, dims]; read in place, so leave it alone until the promise settles.
 * @param labels [rows], class ids 0 .. classes-1.
 * @throws SieveError as separationIndex does.
 */
export async function selectFilters(
  features: FeatureArray,
  labels: Int32Array,
  options: SelectFiltersOptions,
): Promise<SelectFiltersResult> {
  const { data, request } = filterRequest(features, labels, options);
  const limit = checkCount(options.limit ?? request.filters, 'limit', 1);
  if (limit > request.filters) throw expected('ERR_OPTION', `at most ${request.filters} (the filters)`, 'limit', limit);
  const order = allocateInt32(request.filters);
  const curve = allocateFloat64(request.filters);
  await runNative('filter selection', options, (addon, run) =>
    addon.selectFilters(data, labels, { ...request, strategy: options.strategy ?? 'si', limit }, order, curve, run),
  );
  return { order: order.slice(0, limit), curve: curve.slice(0, limit) };
}
