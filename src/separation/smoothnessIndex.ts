import type { NativeControl } from '../binding/run';
import { runNative } from '../binding/run';
import type { FeatureArray, FeatureLayout } from './matrix';
import { checkMatrix } from './matrix';
import { checkArray, checkCount, checkRows, elementCount } from './options';

export interface SmoothnessIndexOptions extends NativeControl, FeatureLayout {
  /** Number of samples. */
  readonly rows: number;
  /** Values of one sample. */
  readonly dims: number;
  /** Values of one target. Default 1. */
  readonly targetDims?: number;
}

export interface SmoothnessIndexResult {
  /** 0 (the nearest sample has the farthest target) to 1 (it has the nearest target). */
  readonly smi: number;
}

/**
 * Smoothness Index (linear), the Separation Index of regression: the mean over samples of (dmax - d) / (dmax - dmin),
 * where d is the target distance to the sample that is nearest in feature space, dmax and dmin the largest and smallest
 * target distance to any other sample. A sample whose targets are all equally far counts as 1.
 *
 * O(rows² · (dims + targetDims)) multiply-adds, O(rows) memory.
 *
 * Source: Kalhor et al., arXiv 1906.05156.
 *
 * @param features row-major [rows, dims]; both arrays are read in place until the promise settles.
 * @param targets row-major [rows, targetDims], float32 without a stride.
 * @throws SieveError as separationIndex does, but for labels.
 */
export async function smoothnessIndex(
  features: FeatureArray,
  targets: Float32Array,
  options: SmoothnessIndexOptions,
): Promise<SmoothnessIndexResult> {
  const rows = checkRows(options.rows);
  const dims = checkCount(options.dims, 'dims', 1);
  const targetDims = checkCount(options.targetDims ?? 1, 'targetDims', 1);
  const { data, elementType, rowStride } = checkMatrix(features, options, rows, dims, 'features', '[rows, dims]');
  checkArray(targets, 'Float32Array', elementCount(rows, targetDims), 'targets', '[rows, targetDims]');
  const smi = await runNative('smoothness', options, (addon, run) =>
    addon.smoothnessIndex(data, targets, { rows, dims, targetDims, elementType, rowStride }, run),
  );
  return { smi };
}
