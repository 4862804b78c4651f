import type { NativeMoments, NativePatchGeometry } from '../binding/addon';
import { runNative, type NativeControl } from '../binding/run';
import { expected, isSieveError } from '../errors';
import type { LinearLayer } from '../types';

/**
 * What least squares needs to know of a layer's data: for each group of the layer, sums over patches x (the
 * group's inputs under the kernel, then a constant 1) and targets y of x·xᵀ, x·yᵀ and y², in float64. One sample of
 * four is held back, so that a fit can be judged on samples it has not seen.
 *
 * An accumulator: `accumulate` writes to it. Memory: two Gram matrices of 8·(d + 1)² bytes a group, d =
 * inputsPerGroup · kernel height · kernel width, and a few MiB of samples that wait for enough company.
 */
export interface Moments {
  readonly layer: LinearLayer;
  /** d + 1; the last regressor is the constant. */
  readonly regressors: number;
  readonly outputsPerGroup: number;
  readonly train: Fold;
  readonly heldBack: Fold;
}

/** The sums over some of the samples. */
export interface Fold {
  /** By group. */
  readonly groups: readonly NativeMoments[];
  /** Samples that are not in the sums yet. */
  staged: StagedSamples | undefined;
  /** Samples that are in the sums. */
  samples: number;
}

interface StagedSamples {
  readonly geometry: MapGeometry;
  readonly input: Float32Array;
  readonly target: Float32Array;
  readonly capacity: number;
  samples: number;
}

/** Shapes of one batch, as the native side wants them: `rows` maps a sample, [channels, height, width] each. */
interface MapGeometry {
  readonly rows: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly outputHeight: number;
  readonly outputWidth: number;
}

/** Every fourth sample is held back. */
const FOLDS = 4;
const SMALLEST_STAGE_BYTES = 4 * 2 ** 20;

/** Empty moments for a layer. */
export function createMoments(layer: LinearLayer): Moments {
  const [kernelHeight, kernelWidth] = layer.kernel;
  const outputsPerGroup = layer.outputs / layer.groups;
  const regressors = layer.inputsPerGroup * kernelHeight * kernelWidth + 1;
  if (!Number.isInteger(outputsPerGroup) || layer.weight.length !== layer.outputs * (regressors - 1)) {
    throw expected(
      'ERR_SHAPE',
      `weights [${layer.outputs}, ${layer.inputsPerGroup}, ${kernelHeight}, ${kernelWidth}] in ${layer.groups} groups`,
      `layer "${layer.node}"`,
      `${layer.weight.length} values`,
    );
  }
  const emptyFold = (): Fold => ({
    groups: Array.from({ length: layer.groups }, () => emptySums(regressors, outputsPerGroup)),
    staged: undefined,
    samples: 0,
  });
  return { layer, regressors, outputsPerGroup, train: emptyFold(), heldBack: emptyFold() };
}

function emptySums(regressors: number, outputs: number): NativeMoments {
  return {
    gram: new Float64Array(regressors * regressors),
    cross: new Float64Array(regressors * outputs),
    targetSquare: new Float64Array(outputs),
  };
}

/**
 * Adds a batch: `input` holds the values of `layer.input` ([N, C, H, W] or [N, C, L] for a convolution,
 * [N, ..., inputs] for a dense layer), `target` what the layer's output ought to be ([N, M, OH, OW] or [N, M, OL];
 * [N, ..., outputs]). Both are read before the promise settles and not kept. Calls for one `moments` must follow one
 * another. O(patches · d · (d/2 + outputsPerGroup)) a group, on native threads.
 *
 * @throws SieveError ERR_SHAPE where dims, data and layer do not fit together; ERR_NON_FINITE, with the number of
 *   the sample since the first batch (it may belong to an earlier batch that was waiting); ERR_CANCELLED.
 */
export async function accumulate(
  moments: Moments,
  input: Float32Array,
  inputDims: readonly number[],
  target: Float32Array,
  targetDims: readonly number[],
  control: NativeControl = {},
): Promise<void> {
  const { layer } = moments;
  const geometry = mapGeometry(layer, inputDims, targetDims);
  const samples = inputDims[0] ?? 0;
  const inputSize = geometry.rows * geometry.channels * geometry.height * geometry.width;
  const targetSize = geometry.rows * layer.outputs * geometry.outputHeight * geometry.outputWidth;
  requireLength(input, samples * inputSize, layer.input);
  requireLength(target, samples * targetSize, layer.output);

  for (let sample = 0; sample < samples; sample++) {
    const seen = samplesIn(moments.train) + samplesIn(moments.heldBack);
    const fold = seen % FOLDS === FOLDS - 1 ? moments.heldBack : moments.train;
    if (fold.staged !== undefined && !sameGeometry(fold.staged.geometry, geometry)) {
      await addStaged(moments, fold, control);
      fold.staged = undefined;
    }
    fold.staged ??= stageFor(moments, geometry, inputSize, targetSize);
    const { staged } = fold;
    staged.input.set(input.subarray(sample * inputSize, (sample + 1) * inputSize), staged.samples * inputSize);
    staged.target.set(target.subarray(sample * targetSize, (sample + 1) * targetSize), staged.samples * targetSize);
    staged.samples++;
    if (staged.samples === staged.capacity) await addStaged(moments, fold, control);
  }
}

/** Brings the waiting samples into the sums. What reads the sums calls it first; it does nothing twice. */
export async function settle(moments: Moments, control: NativeControl = {}): Promise<void> {
  for (const fold of [moments.train, moments.heldBack]) {
    await addStaged(moments, fold, control);
    fold.staged = undefined;
  }
}

/** Patches in a fold's sums: the square of the constant, summed. */
export function patchCount(fold: Fold): number {
  return fold.groups[0]?.gram.at(-1) ?? 0;
}

/** The sums over all samples of one group, in new arrays. */
export function pooledSums(moments: Moments, group: number): NativeMoments {
  const train = moments.train.groups[group];
  const heldBack = moments.heldBack.groups[group];
  if (train === undefined || heldBack === undefined) {
    throw expected('ERR_OPTION', `a group below ${moments.layer.groups}`, `layer "${moments.layer.node}"`, group);
  }
  return {
    gram: sum(train.gram, heldBack.gram),
    cross: sum(train.cross, heldBack.cross),
    targetSquare: sum(train.targetSquare, heldBack.targetSquare),
  };
}

function sum(left: Float64Array, right: Float64Array): Float64Array {
  const result = left.slice();
  for (let i = 0; i < result.length; i++) result[i]! += right[i]!;
  return result;
}

function samplesIn(fold: Fold): number {
  return fold.samples + (fold.staged?.samples ?? 0);
}

// A call for a few patches of a wide layer would spend its time on walking through the Gram matrix, so samples wait
// in a buffer that is small beside that matrix.
function stageFor(moments: Moments, geometry: MapGeometry, inputSize: number, targetSize: number): StagedSamples {
  const bytes = Math.max(SMALLEST_STAGE_BYTES, moments.regressors ** 2);
  const capacity = Math.max(1, Math.floor(bytes / (4 * (inputSize + targetSize))));
  return {
    geometry,
    input: new Float32Array(capacity * inputSize),
    target: new Float32Array(capacity * targetSize),
    capacity,
    samples: 0,
  };
}

async function addStaged(moments: Moments, fold: Fold, control: NativeControl): Promise<void> {
  const { staged } = fold;
  if (staged === undefined || staged.samples === 0) return;
  const { layer, outputsPerGroup } = moments;
  const { geometry } = staged;
  const inputMap = geometry.height * geometry.width;
  const targetMap = geometry.outputHeight * geometry.outputWidth;
  const patchGeometry: NativePatchGeometry = {
    channels: layer.inputsPerGroup,
    height: geometry.height,
    width: geometry.width,
    kernelHeight: layer.kernel[0],
    kernelWidth: layer.kernel[1],
    strideHeight: layer.strides[0],
    strideWidth: layer.strides[1],
    dilationHeight: layer.dilations[0],
    dilationWidth: layer.dilations[1],
    padTop: layer.pads[0],
    padLeft: layer.pads[1],
    outputHeight: geometry.outputHeight,
    outputWidth: geometry.outputWidth,
    outputs: outputsPerGroup,
  };
  const { samples } = staged;
  staged.samples = 0;
  for (const [group, sums] of fold.groups.entries()) {
    const from = {
      data: staged.input,
      offset: group * layer.inputsPerGroup * inputMap,
      sampleStride: geometry.channels * inputMap,
    };
    const to = {
      data: staged.target,
      offset: group * outputsPerGroup * targetMap,
      sampleStride: layer.outputs * targetMap,
    };
    try {
      await runNative('moments', { ...control, onProgress: undefined }, (addon, run) =>
        addon.accumulateMoments(from, to, samples * geometry.rows, patchGeometry, sums, run),
      );
    } catch (error) {
      throw namingTheSample(error, moments, fold, geometry.rows);
    }
  }
  fold.samples += samples;
}

function namingTheSample(error: unknown, moments: Moments, fold: Fold, rows: number): unknown {
  if (!isSieveError(error) || error.code !== 'ERR_NON_FINITE') return error;
  const { row } = error.cause as { row?: number };
  if (row === undefined || row < 0) return error;
  const { input, output } = moments.layer;
  const inFold = fold.samples + Math.floor(row / rows);
  const sample = fold === moments.heldBack ? inFold * FOLDS + FOLDS - 1 : inFold + Math.floor(inFold / (FOLDS - 1));
  return expected(
    'ERR_NON_FINITE',
    'finite values',
    `"${input}" and "${output}"`,
    `NaN or infinity in sample ${sample}`,
    {
      cause: error,
      remedy: 'Find where the model makes NaN or infinity for that sample.',
    },
  );
}

function mapGeometry(layer: LinearLayer, inputDims: readonly number[], targetDims: readonly number[]): MapGeometry {
  const subject = `the batch of layer "${layer.node}"`;
  const received = `[${inputDims.join(', ')}] and [${targetDims.join(', ')}]`;
  if (layer.kind === 'dense') {
    const rows = inputDims.slice(1, -1).reduce((product, dim) => product * dim, 1);
    const fits =
      inputDims.length >= 2 &&
      inputDims.length === targetDims.length &&
      inputDims.at(-1) === layer.inputsPerGroup &&
      targetDims.at(-1) === layer.outputs &&
      inputDims.slice(0, -1).every((dim, axis) => dim === targetDims[axis]);
    if (!fits) {
      throw expected(
        'ERR_SHAPE',
        `[N, ..., ${layer.inputsPerGroup}] and [N, ..., ${layer.outputs}]`,
        subject,
        received,
      );
    }
    return { rows, channels: layer.inputsPerGroup, height: 1, width: 1, outputHeight: 1, outputWidth: 1 };
  }
  const channels = layer.inputsPerGroup * layer.groups;
  const [samples, inputChannels, height = 0, width = 0] = asImages(inputDims);
  const wanted = [samples, layer.outputs, outputSize(layer, 0, height), outputSize(layer, 1, width)];
  const images = asImages(targetDims);
  const fits =
    (inputDims.length === 3 || inputDims.length === 4) &&
    inputDims.length === targetDims.length &&
    inputChannels === channels &&
    wanted.every((dim, axis) => dim === images[axis] && (axis === 0 || dim! > 0));
  if (!fits) {
    throw expected(
      'ERR_SHAPE',
      `[N, ${channels}, H, W] and [${wanted.map((dim) => dim ?? 'N').join(', ')}]`,
      subject,
      received,
    );
  }
  return { rows: 1, channels, height, width, outputHeight: wanted[2]!, outputWidth: wanted[3]! };
}

/** [N, C, L] as [N, C, 1, L]. */
function asImages(dims: readonly number[]): readonly number[] {
  return dims.length === 3 ? [dims[0]!, dims[1]!, 1, dims[2]!] : dims;
}

function outputSize(layer: LinearLayer, axis: 0 | 1, size: number): number {
  const padded = size + layer.pads[axis] + layer.pads[axis + 2]!;
  const extent = layer.dilations[axis] * (layer.kernel[axis] - 1) + 1;
  return Math.floor((padded - extent) / layer.strides[axis]) + 1;
}

function sameGeometry(left: MapGeometry, right: MapGeometry): boolean {
  return left.rows === right.rows && left.height === right.height && left.width === right.width;
}

function requireLength(data: Float32Array, length: number, tensor: string): void {
  if (data.length !== length) throw expected('ERR_SHAPE', `${length} values`, `tensor "${tensor}"`, data);
}
