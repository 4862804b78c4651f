import { expected } from '../errors';
import type { BatchNormEdit, BatchNormLayer } from '../types';

/**
 * Running mean and spread of each channel, in float64: what a batch normalization would see. An accumulator:
 * `addActivations` writes to it.
 */
export interface ChannelStatistics {
  readonly channels: number;
  /** Values of one channel so far. */
  count: number;
  /** [channels] */
  readonly mean: Float64Array;
  /** [channels], sum of squared deviations from the mean. */
  readonly squaredDeviation: Float64Array;
}

export function createStatistics(channels: number): ChannelStatistics {
  return {
    channels,
    count: 0,
    mean: new Float64Array(channels),
    squaredDeviation: new Float64Array(channels),
  };
}

/**
 * Adds activations [N, channels, ...]. Each channel of the batch is centred on its own mean (two passes) and merged
 * into the running sums by the update of Chan, Golub and LeVeque (1979), so that nothing cancels, however large the
 * mean or the number of values.
 *
 * @throws SieveError ERR_SHAPE where dims and data do not fit; ERR_NON_FINITE, naming the channel.
 */
export function addActivations(statistics: ChannelStatistics, data: Float32Array, dims: readonly number[]): void {
  const [samples = 0, channels, ...map] = dims;
  const mapSize = map.reduce((product, dim) => product * dim, 1);
  if (dims.length < 2 || channels !== statistics.channels || data.length !== samples * channels * mapSize) {
    throw expected(
      'ERR_SHAPE',
      `[N, ${statistics.channels}, ...] and as many values`,
      'the activations of a batch normalization',
      `[${dims.join(', ')}] and ${data.length} values`,
    );
  }
  if (samples * mapSize === 0) return;
  const means = new Float64Array(channels);
  const variances = new Float64Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    const { mean, squaredDeviation } = channelOf(data, samples, channels, mapSize, channel);
    means[channel] = mean;
    variances[channel] = squaredDeviation / (samples * mapSize);
  }
  mergeStatistics(statistics, samples * mapSize, means, variances);
}

/**
 * Adds `added` values of each channel of which only the mean and the biased variance are known; [channels] each. Equal
 * numbers of values may be counted in any unit, samples for instance.
 *
 * @throws SieveError ERR_SHAPE, ERR_NON_FINITE as addActivations.
 */
export function mergeStatistics(
  statistics: ChannelStatistics,
  added: number,
  means: ArrayLike<number>,
  variances: ArrayLike<number>,
): void {
  if (means.length !== statistics.channels || variances.length !== statistics.channels) {
    throw expected('ERR_SHAPE', `${statistics.channels} values`, 'the statistics of a batch', means.length);
  }
  if (added === 0) return;
  const count = statistics.count + added;
  for (let channel = 0; channel < statistics.channels; channel++) {
    const shift = means[channel]! - statistics.mean[channel]!;
    const squaredDeviation = variances[channel]! * added;
    if (!Number.isFinite(shift) || !Number.isFinite(squaredDeviation)) {
      throw expected(
        'ERR_NON_FINITE',
        'finite values',
        `channel ${channel} of a batch normalization`,
        'NaN or infinity',
      );
    }
    statistics.mean[channel]! += (shift * added) / count;
    statistics.squaredDeviation[channel]! += squaredDeviation + (shift * shift * statistics.count * added) / count;
  }
  statistics.count = count;
}

function channelOf(data: Float32Array, samples: number, channels: number, mapSize: number, channel: number) {
  const step = channels * mapSize;
  const end = samples * step;
  let sum = 0;
  for (let start = channel * mapSize; start < end; start += step) {
    for (let i = start; i < start + mapSize; i++) sum += data[i]!;
  }
  const mean = sum / (samples * mapSize);
  let squaredDeviation = 0;
  for (let start = channel * mapSize; start < end; start += step) {
    for (let i = start; i < start + mapSize; i++) {
      const deviation = data[i]! - mean;
      squaredDeviation += deviation * deviation;
    }
  }
  return { mean, squaredDeviation };
}

/**
 * New running statistics of a batch normalization from activations of ITS INPUT: the mean and the biased variance,
 * which is what it would normalise by in training if all samples were one batch.
 *
 * @param blend share of the new statistics, from 0 (keep the old) to 1 (default, only the new).
 * @throws SieveError ERR_SHAPE, ERR_OPTION, or ERR_DATA_MISMATCH without activations.
 */
export function reestimate(layer: BatchNormLayer, statistics: ChannelStatistics, blend = 1): BatchNormEdit {
  if (statistics.channels !== layer.channels) {
    throw expected(
      'ERR_SHAPE',
      `${layer.channels} channels`,
      `batch normalization "${layer.node}"`,
      statistics.channels,
    );
  }
  if (!(blend >= 0 && blend <= 1)) throw expected('ERR_OPTION', 'a number from 0 to 1', 'blend', blend);
  if (statistics.count === 0) {
    throw expected('ERR_DATA_MISMATCH', 'activations', `batch normalization "${layer.node}"`, 'none');
  }
  const variance = statistics.squaredDeviation.map((sum) => sum / statistics.count);
  return {
    node: layer.node,
    mean: mixed(layer.mean, statistics.mean, blend),
    variance: mixed(layer.variance, variance, blend),
  };
}

function mixed(old: Float32Array, fresh: Float64Array, blend: number): Float32Array {
  return old.map((value, channel) => (1 - blend) * value + blend * fresh[channel]!);
}

/**
 * Lets a batch normalization add, exactly, a constant that the layer before it has no bias for (`offset` of a
 * re-fit): its mean is lowered by it.
 */
export function absorbOffset(layer: BatchNormLayer, offset: Float64Array): BatchNormEdit {
  if (offset.length !== layer.channels) {
    throw expected(
      'ERR_SHAPE',
      `${layer.channels} values`,
      `the offset of batch normalization "${layer.node}"`,
      offset,
    );
  }
  return {
    node: layer.node,
    mean: layer.mean.map((mean, channel) => mean - offset[channel]!),
    variance: layer.variance.slice(),
  };
}
