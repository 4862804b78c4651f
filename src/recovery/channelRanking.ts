import type { NativeEliminationProblem, NativeMoments } from '../binding/addon';
import { runNative, type NativeControl } from '../binding/run';
import { expected } from '../errors';
import { createRandom } from '../random';
import type { LinearLayer } from '../types';
import { type Moments, patchCount, pooledSums, settle } from './moments';

/** A layer that reads the channels which are to be ranked, with moments of its original input and output. */
export interface ConsumerProblem {
  readonly layer: LinearLayer;
  readonly moments: Moments;
  /**
   * The unit of each input channel of the layer ([groups · inputsPerGroup]; for a dense layer behind a flatten each
   * feature is a channel), −1 where the channel is not to be removed.
   */
  readonly channelUnits: Int32Array;
  /** As in RefitOptions: a layer without bias may use a constant that a batch normalization will absorb. */
  readonly offsetAbsorbed?: boolean;
}

export interface ChannelRanking {
  /** [units], removed first first. */
  readonly order: Int32Array;
  /** [units], the criterion's cost after each removal: for `rankChannels` see there. */
  readonly errorAfter: Float64Array;
}

export interface RankOptions extends NativeControl {
  /** As in the re-fit that will follow: a multiple of the regressors' mean square. Default 1e-3. */
  readonly ridge?: number;
}

/**
 * The `reconstruction` criterion: removes, one at a time, the unit that the consumers miss least when all their
 * remaining weights are re-fitted (structured optimal brain surgeon, exact at every step; ties to the lowest unit).
 * `errorAfter` is the sum over the consumers' groups of penalised squared error over the targets' variance: from 0
 * (nothing lost) to the number of groups (nothing left). O(units · d² · unit size) a group, on native threads.
 *
 * @throws SieveError ERR_SHAPE where `channelUnits` does not fit its layer; ERR_OPTION for a unit out of range or
 *   no problems; ERR_DATA_MISMATCH for moments without data.
 */
export async function rankChannels(
  problems: readonly ConsumerProblem[],
  units: number,
  options: RankOptions = {},
): Promise<ChannelRanking> {
  if (problems.length === 0) throw expected('ERR_OPTION', 'at least one layer', 'the ranking of channels', 'none');
  const order = new Int32Array(units);
  const errorAfter = new Float64Array(units);
  const eliminations: NativeEliminationProblem[] = [];
  for (const problem of problems) {
    await settle(problem.moments, options);
    eliminations.push(...eliminationsOf(problem, units));
  }
  await runNative('rank channels', options, (addon, run) =>
    addon.eliminateUnits(eliminations, units, options.ridge ?? 1e-3, order, errorAfter, run),
  );
  return { order, errorAfter };
}

/** The `random` criterion: a permutation that depends on the seed alone. */
export function rankRandomly(units: number, seed: number): Int32Array {
  return createRandom(seed).shuffle(Int32Array.from({ length: units }, (_, unit) => unit));
}

/** Units by ascending score (removed first first); ties to the lowest unit. */
export function rankAscending(scores: ArrayLike<number>): Int32Array {
  return Int32Array.from({ length: scores.length }, (_, unit) => unit).sort(
    (left, right) => scores[left]! - scores[right]! || left - right,
  );
}

/** A layer whose output channels are to be ranked. */
export interface Producer {
  readonly layer: LinearLayer;
  /** The unit of each output channel, −1 where the channel is not to be removed. */
  readonly channelUnits: Int32Array;
}

/**
 * The `l1` criterion: for each unit the sum of |w| over the output channels that it stands for. Where several layers
 * write to one group (a residual stream), each layer's norms are divided by their mean first, so that a layer with
 * small weights counts as much as one with large; a unit's norm is the mean over the layers that write it, 0 where none does.
 */
export function channelNorms(producers: readonly Producer[], units: number): Float64Array {
  const total = new Float64Array(units);
  const writers = new Int32Array(units);
  for (const { layer, channelUnits } of producers) {
    requireUnits(channelUnits, layer.outputs, units, layer);
    const norms = new Float64Array(units);
    const written = new Uint8Array(units);
    const inputs = layer.weight.length / layer.outputs;
    for (const [channel, unit] of channelUnits.entries()) {
      if (unit < 0) continue;
      written[unit] = 1;
      for (let i = channel * inputs; i < (channel + 1) * inputs; i++) norms[unit]! += Math.abs(layer.weight[i]!);
    }
    const writtenUnits = written.reduce((sum, value) => sum + value, 0);
    const mean = norms.reduce((sum, norm) => sum + norm, 0) / writtenUnits;
    for (let unit = 0; unit < units; unit++) {
      if (written[unit] === 0) continue;
      writers[unit]!++;
      if (mean > 0) total[unit]! += norms[unit]! / mean;
    }
  }
  return total.map((sum, unit) => (writers[unit] === 0 ? 0 : sum / writers[unit]!));
}

function eliminationsOf(problem: ConsumerProblem, units: number): NativeEliminationProblem[] {
  const { layer, moments, channelUnits } = problem;
  requireUnits(channelUnits, layer.groups * layer.inputsPerGroup, units, layer);
  if (patchCount(moments.train) === 0) {
    throw expected('ERR_DATA_MISMATCH', 'at least one sample', `the moments of layer "${layer.node}"`, 'none');
  }
  const withConstant = layer.bias !== undefined || problem.offsetAbsorbed === true;
  const kernelSize = layer.kernel[0] * layer.kernel[1];
  return Array.from({ length: layer.groups }, (_, group) => {
    const regressorsOf = Array.from({ length: units }, (): number[] => []);
    for (let channel = 0; channel < layer.inputsPerGroup; channel++) {
      const unit = channelUnits[group * layer.inputsPerGroup + channel]!;
      if (unit < 0) continue;
      for (let tap = 0; tap < kernelSize; tap++) regressorsOf[unit]!.push(channel * kernelSize + tap);
    }
    const offsets = new Int32Array(units + 1);
    for (const [unit, members] of regressorsOf.entries()) offsets[unit + 1] = offsets[unit]! + members.length;
    const pooled = pooledSums(moments, group);
    return {
      ...(withConstant ? pooled : withoutConstant(pooled)),
      regressors: moments.regressors,
      outputs: moments.outputsPerGroup,
      members: Int32Array.from(regressorsOf.flat()),
      offsets,
    };
  });
}

// A constant that is uncorrelated to everything has no part in the fit; its count must stay. The targets' "variance"
// then is their mean square, which is what such a layer has to explain.
function withoutConstant({ gram, cross, targetSquare }: NativeMoments): NativeMoments {
  const outputs = targetSquare.length;
  const regressors = cross.length / outputs;
  const last = regressors - 1;
  const uncoupled = gram.slice();
  for (let i = 0; i < last; i++) uncoupled[i * regressors + last] = uncoupled[last * regressors + i] = 0;
  return { gram: uncoupled, cross: cross.slice().fill(0, last * outputs), targetSquare };
}

function requireUnits(channelUnits: Int32Array, channels: number, units: number, layer: LinearLayer): void {
  if (channelUnits.length !== channels) {
    throw expected('ERR_SHAPE', `${channels} unit numbers`, `the channels of layer "${layer.node}"`, channelUnits);
  }
  const outside = channelUnits.find((unit) => unit < -1 || unit >= units);
  if (outside !== undefined) {
    throw expected(
      'ERR_OPTION',
      `unit numbers from -1 to ${units - 1}`,
      `the channels of layer "${layer.node}"`,
      outside,
    );
  }
}
