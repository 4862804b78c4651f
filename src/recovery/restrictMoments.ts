import { expected } from '../errors';
import type { NativeMoments } from '../binding/addon';
import type { LinearLayer } from '../types';
import type { Fold, Moments } from './moments';

/**
 * Moments of a layer after some of its input channels have been removed: rows and columns of what is known already, no
 * new pass over the data. Only right where the channels that stay have kept their values.
 *
 * @param layer the layer as it is now, with one group
 * @param keptChannels the channels it still reads, ascending, as numbered before
 * @throws SieveError ERR_SHAPE where layer and channels do not fit together or samples still wait to be summed.
 */
export function restrictMoments(moments: Moments, layer: LinearLayer, keptChannels: readonly number[]): Moments {
  const taps = layer.kernel[0] * layer.kernel[1];
  if (layer.groups !== 1 || layer.inputsPerGroup !== keptChannels.length || layer.outputs !== moments.outputsPerGroup) {
    throw expected(
      'ERR_SHAPE',
      `${keptChannels.length} input channels and ${moments.outputsPerGroup} outputs in one group`,
      `layer "${layer.node}"`,
      `${layer.inputsPerGroup} and ${layer.outputs} in ${layer.groups}`,
    );
  }
  const constant = moments.regressors - 1;
  const kept = [
    ...keptChannels.flatMap((channel) => Array.from({ length: taps }, (_, tap) => channel * taps + tap)),
    constant,
  ];
  const restrict = (fold: Fold): Fold => {
    if ((fold.staged?.samples ?? 0) > 0)
      throw expected('ERR_SHAPE', 'settled moments', `layer "${layer.node}"`, 'waiting samples');
    return { ...fold, staged: undefined, groups: fold.groups.map((sums) => restrictSums(sums, moments, kept)) };
  };
  return {
    ...moments,
    layer,
    regressors: kept.length,
    train: restrict(moments.train),
    heldBack: restrict(moments.heldBack),
  };
}

function restrictSums(
  sums: NativeMoments,
  { regressors, outputsPerGroup }: Moments,
  kept: readonly number[],
): NativeMoments {
  const gram = new Float64Array(kept.length * kept.length);
  const cross = new Float64Array(kept.length * outputsPerGroup);
  kept.forEach((row, newRow) => {
    kept.forEach((column, newColumn) => {
      gram[newRow * kept.length + newColumn] = sums.gram[row * regressors + column]!;
    });
    cross.set(sums.cross.subarray(row * outputsPerGroup, (row + 1) * outputsPerGroup), newRow * outputsPerGroup);
  });
  return { gram, cross, targetSquare: sums.targetSquare };
}
