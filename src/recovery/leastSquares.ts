import type { NativeMoments } from '../binding/addon';
import { runNative, type NativeControl } from '../binding/run';
import { expected } from '../errors';
import type { LinearEdit, LinearLayer } from '../types';
import { type Fold, type Moments, patchCount, pooledSums, settle } from './moments';

/** Penalties that `auto` chooses from, as multiples of the mean square of a regressor. */
const RIDGES = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1] as const;
const FIRST_TRIED = 2;

export interface RefitOptions extends NativeControl {
  /** Strength of the pull towards the prior, as a multiple of the regressors' mean square. Default `auto`. */
  readonly ridge?: number | 'auto';
  /** Weights to stay near and to compare with; default: the layer's own. Same shapes. */
  readonly prior?: { readonly weight: Float32Array; readonly bias?: Float32Array };
  /**
   * For a layer without bias: a batch normalization follows whose mean will be adapted (re-estimated, or shifted by
   * `offset` of the result). Default false.
   */
  readonly offsetAbsorbed?: boolean;
}

export interface Refit {
  readonly edit: LinearEdit;
  /** The penalty used. */
  readonly ridge: number;
  /** Squared error over the variance of the target, of the prior weights on the held-back samples. */
  readonly relativeErrorBefore: number;
  /**
   * The same of a fit to the other samples alone, so an honest estimate: the returned weights are fitted to all
   * samples. Equal to `relativeErrorBefore` where no fit was better than the prior, which is then returned.
   */
  readonly relativeErrorAfter: number;
  /**
   * [outputs], only with `offsetAbsorbed` and no bias: the constant that the fit wants added to the layer's output.
   * The batch normalization must subtract it from its mean (`absorbOffset`) or be re-estimated.
   */
  readonly offset: Float64Array | undefined;
}

/**
 * Least-squares re-fit of a layer to the targets in `moments`: minimises ‖x·w − y‖² + λ‖w − prior‖².
 *
 * The constant. A layer with a bias gets it fitted along, unpenalised. A layer without one has no place for it; two
 * cases differ. If a batch normalization whose mean is adapted follows, any constant that the layer can not add is
 * added there, so the best weights are those of the fit WITH a constant (equivalently: of centred data); the constant
 * is handed back as `offset`. If nothing follows that could add it, x·w alone must reach y: the fit leaves the
 * constant out, and its error counts the constant that is missing. Before and after are measured in the same way.
 *
 * `auto` walks along a grid of penalties to the lowest error on the held-back samples. One Cholesky factor,
 * O(d³/3), a penalty and group, on native threads.
 *
 * @throws SieveError ERR_DATA_MISMATCH with fewer than 4 samples; ERR_SHAPE for a prior of another shape;
 *   ERR_OPTION for a negative or non-finite ridge.
 */
export async function refit(layer: LinearLayer, moments: Moments, options: RefitOptions = {}): Promise<Refit> {
  const { ridge = 'auto', prior = layer, offsetAbsorbed = false } = options;
  const control = { ...options, onProgress: undefined };
  if (ridge !== 'auto' && !(Number.isFinite(ridge) && ridge >= 0)) {
    throw expected('ERR_OPTION', "'auto' or a number of at least 0", 'ridge', ridge);
  }
  if (prior.weight.length !== layer.weight.length || (prior.bias?.length ?? layer.outputs) !== layer.outputs) {
    throw expected('ERR_SHAPE', `${layer.weight.length} weights`, `the prior of layer "${layer.node}"`, prior.weight);
  }
  await settle(moments, control);
  if (patchCount(moments.heldBack) === 0) {
    throw expected(
      'ERR_DATA_MISMATCH',
      'at least 4 samples',
      `the re-fit of layer "${layer.node}"`,
      moments.train.samples,
      {
        remedy: 'Give more calibration samples.',
      },
    );
  }

  const withConstant = layer.bias !== undefined || offsetAbsorbed;
  const free = withConstant && layer.bias === undefined;
  const given = toRegression(moments, prior.weight, layer.bias === undefined ? undefined : prior.bias);
  const variance = targetVariance(moments.heldBack);
  const errorOf = async (weights: readonly Float64Array[]): Promise<number> =>
    relativeTo(variance, await squaredError(moments, moments.heldBack.groups, weights, control));
  const fitTo = (groups: readonly NativeMoments[], strength: number): Promise<Float64Array[]> =>
    solve(moments, groups, { given, strength, withConstant }, control);

  // Where the constant is free, the prior is judged with its best one, as the fit is.
  const givenFor = (groups: readonly NativeMoments[]): readonly Float64Array[] =>
    free ? withBestConstant(moments, groups, given) : given;
  const before = await errorOf(givenFor(moments.heldBack.groups));
  const tried = async (strength: number): Promise<number> => errorOf(await fitTo(moments.train.groups, strength));
  const chosen =
    ridge === 'auto' ? await lowestOnGrid(RIDGES, FIRST_TRIED, tried) : { at: ridge, error: await tried(ridge) };

  const improved = chosen.error < before;
  const pooled = Array.from({ length: layer.groups }, (_, group) => pooledSums(moments, group));
  const { weight, constant } = fromRegression(moments, improved ? await fitTo(pooled, chosen.at) : givenFor(pooled));
  return {
    edit: {
      node: layer.node,
      weight: improved ? weight : prior.weight.slice(),
      bias: layer.bias === undefined ? undefined : Float32Array.from(constant),
    },
    ridge: chosen.at,
    relativeErrorBefore: before,
    relativeErrorAfter: improved ? chosen.error : before,
    offset: free ? constant : undefined,
  };
}

/** Walks downhill from `values[start]`; along a penalty the held-back error falls, then rises. */
async function lowestOnGrid(
  values: readonly number[],
  start: number,
  evaluate: (value: number) => Promise<number>,
): Promise<{ readonly at: number; readonly error: number }> {
  let index = start;
  let error = await evaluate(values[start]!);
  for (const step of [1, -1]) {
    const from = index;
    for (let next = index + step; next >= 0 && next < values.length; next += step) {
      const there = await evaluate(values[next]!);
      if (!(there < error)) break;
      index = next;
      error = there;
    }
    if (index !== from) break;
  }
  return { at: values[index]!, error };
}

/** By group: [regressors, outputsPerGroup], the constant's row last. */
function toRegression(moments: Moments, weight: Float32Array, bias: Float32Array | undefined): Float64Array[] {
  const { layer, regressors, outputsPerGroup } = moments;
  const inputs = regressors - 1;
  return Array.from({ length: layer.groups }, (_, group) => {
    const weights = new Float64Array(regressors * outputsPerGroup);
    for (let column = 0; column < outputsPerGroup; column++) {
      const output = group * outputsPerGroup + column;
      for (let i = 0; i < inputs; i++) weights[i * outputsPerGroup + column] = weight[output * inputs + i]!;
      weights[inputs * outputsPerGroup + column] = bias?.[output] ?? 0;
    }
    return weights;
  });
}

function fromRegression(
  moments: Moments,
  groups: readonly Float64Array[],
): { readonly weight: Float32Array; readonly constant: Float64Array } {
  const { layer, regressors, outputsPerGroup } = moments;
  const inputs = regressors - 1;
  const weight = new Float32Array(layer.outputs * inputs);
  const constant = new Float64Array(layer.outputs);
  for (const [group, weights] of groups.entries()) {
    for (let column = 0; column < outputsPerGroup; column++) {
      const output = group * outputsPerGroup + column;
      for (let i = 0; i < inputs; i++) weight[output * inputs + i] = weights[i * outputsPerGroup + column]!;
      constant[output] = weights[inputs * outputsPerGroup + column]!;
    }
  }
  return { weight, constant };
}

interface Fit {
  readonly given: readonly Float64Array[];
  readonly strength: number;
  readonly withConstant: boolean;
}

/** The fit of each group, rounded to the float32 that the layer will hold. */
async function solve(
  moments: Moments,
  groups: readonly NativeMoments[],
  { given, strength, withConstant }: Fit,
  control: NativeControl,
): Promise<Float64Array[]> {
  const { regressors, outputsPerGroup } = moments;
  const active = Int32Array.from({ length: withConstant ? regressors : regressors - 1 }, (_, index) => index);
  const fits: Float64Array[] = [];
  for (const [group, sums] of groups.entries()) {
    const weights = new Float64Array(regressors * outputsPerGroup);
    const solved = weights.subarray(0, active.length * outputsPerGroup);
    const problem = {
      ...sums,
      regressors,
      outputs: outputsPerGroup,
      active,
      ridge: strength,
      prior: given[group]!.subarray(0, solved.length),
    };
    await runNative('refit', control, (addon, run) => addon.ridgeSolve(problem, solved, undefined, run));
    fits.push(weights.map(Math.fround));
  }
  return fits;
}

async function squaredError(
  moments: Moments,
  groups: readonly NativeMoments[],
  weights: readonly Float64Array[],
  control: NativeControl,
): Promise<number> {
  const { regressors, outputsPerGroup } = moments;
  const residual = new Float64Array(outputsPerGroup);
  let error = 0;
  for (const [group, sums] of groups.entries()) {
    const problem = { ...sums, regressors, outputs: outputsPerGroup };
    await runNative('refit', control, (addon, run) => addon.momentsResidual(problem, weights[group]!, residual, run));
    error += residual.reduce((total, value) => total + value, 0);
  }
  return error;
}

/** The same weights with the constant that leaves the residual a mean of zero. */
function withBestConstant(
  moments: Moments,
  groups: readonly NativeMoments[],
  given: readonly Float64Array[],
): Float64Array[] {
  const { regressors, outputsPerGroup } = moments;
  const inputs = regressors - 1;
  return given.map((weights, group) => {
    const { gram, cross } = groups[group]!;
    const constantRow = inputs * regressors;
    const best = weights.slice();
    for (let column = 0; column < outputsPerGroup; column++) {
      let total = cross[inputs * outputsPerGroup + column]!;
      for (let i = 0; i < inputs; i++) total -= gram[constantRow + i]! * weights[i * outputsPerGroup + column]!;
      best[inputs * outputsPerGroup + column] = total / gram[constantRow + inputs]!;
    }
    return best;
  });
}

/** Sum over all outputs of the squared deviation of the targets from their mean. */
function targetVariance(fold: Fold): number {
  let variance = 0;
  for (const { gram, cross, targetSquare } of fold.groups) {
    const outputs = targetSquare.length;
    const count = gram.at(-1)!;
    const constantRow = cross.length - outputs;
    for (let column = 0; column < outputs; column++) {
      variance += Math.max(0, targetSquare[column]! - cross[constantRow + column]! ** 2 / count);
    }
  }
  return variance;
}

function relativeTo(variance: number, error: number): number {
  if (variance > 0) return error / variance;
  return error > 0 ? Number.POSITIVE_INFINITY : 0;
}
