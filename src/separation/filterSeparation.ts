import { runNative } from '../binding/run';
import { expected } from '../errors';
import type { FilterOptions } from './filterRequest';
import { filterRequest } from './filterRequest';
import type { FeatureArray } from './matrix';
import { allocateFloat64, allocateInt32 } from './options';

export interface FilterSeparationResult {
  /** [filters]: SI (or CSI, as `index` says) of each filter's output alone. */
  readonly si: Float64Array;
}

/**
 * SI or CSI of every filter of a layer, each by itself.
 *
 * O(rows² · filters · dims / 2) multiply-adds for SI, O(rows · classes · filters · dims) for CSI; memory as for one filter.
 *
 * @param features row-major [rows, filters, dims]; read in place, so leave it alone until the promise settles.
 * @param labels [rows], class ids 0 .. classes-1.
 * @throws SieveError as separationIndex does.
 */
export async function filterSeparation(
  features: FeatureArray,
  labels: Int32Array,
  options: FilterOptions,
): Promise<FilterSeparationResult> {
  const { data, request } = filterRequest(features, labels, options);
  const si = allocateFloat64(request.filters);
  await runNative('filter separation', options, (addon, run) => addon.filterSeparation(data, labels, request, si, run));
  return { si };
}

export interface SubsetSeparationOptions extends FilterOptions {
  /** Sets of filter indices: at least one, none empty. */
  readonly subsets: readonly ArrayLike<number>[];
}

export interface SubsetSeparationResult {
  /** [subsets]: SI (or CSI) of the joint output of each set of filters. */
  readonly si: Float64Array;
}

/**
 * SI or CSI of sets of filters. Squared distances add over filters, so no set is ever copied out.
 *
 * O(rows² · dims / 2) multiply-adds for each member of each set.
 *
 * @param features row-major [rows, filters, dims]; read in place, so leave it alone until the promise settles.
 * @throws SieveError as separationIndex does; ERR_OPTION for an empty set or an index that is no filter.
 */
export async function subsetSeparation(
  features: FeatureArray,
  labels: Int32Array,
  options: SubsetSeparationOptions,
): Promise<SubsetSeparationResult> {
  const { data, request } = filterRequest(features, labels, options);
  const { members, offsets } = flattenSubsets(options.subsets, request.filters);
  const si = allocateFloat64(options.subsets.length);
  await runNative('subset separation', options, (addon, run) =>
    addon.subsetSeparation(data, labels, request, members, offsets, si, run),
  );
  return { si };
}

function flattenSubsets(
  subsets: readonly ArrayLike<number>[],
  filters: number,
): { readonly members: Int32Array; readonly offsets: Int32Array } {
  if (subsets.length === 0) throw expected('ERR_OPTION', 'at least one set of filters', 'subsets', 'none');
  const total = subsets.reduce((sum, subset) => sum + subset.length, 0);
  const members = allocateInt32(total);
  const offsets = allocateInt32(subsets.length + 1);
  let position = 0;
  subsets.forEach((subset, s) => {
    if (subset.length === 0) throw expected('ERR_OPTION', 'at least one filter', `subsets[${s}]`, 'none');
    for (let i = 0; i < subset.length; i++) {
      const filter = subset[i];
      if (filter === undefined || !Number.isInteger(filter) || filter < 0 || filter >= filters)
        throw expected('ERR_OPTION', `a filter from 0 to ${filters - 1}`, `subsets[${s}][${i}]`, filter);
      members[position++] = filter;
    }
    offsets[s + 1] = position;
  });
  return { members, offsets };
}
