import { expected } from '../../errors';
import { listFoldedConvolutions } from '../../onnx/training/reinsertBatchNorm';
import type { OptimizerSettings } from '../../onnx/training/optimizer';
import type { AugmentationOptions } from '../../recovery/training/augmentation';
import type { ScheduleSpec } from '../../recovery/training/schedule';
import type { Classifier } from '../open';
import { oneOf } from '../options';

/** How a network is trained: everything but the network and the data. */
export interface RecipeOptions {
  /** Default 5. */
  readonly epochs?: number;
  /** Samples of one step. Default 128; the model's own where its batch is fixed. */
  readonly batchSize?: number;
  /** Default `sgd`. */
  readonly optimizer?: 'sgd' | 'adamw';
  /**
   * The highest of the run. Default 0.05 for SGD where batch normalisation steadies the network, 0.005 where it does not,
   * 0.001 for AdamW.
   */
  readonly learningRate?: number;
  /** Of SGD. Default 0.9. */
  readonly momentum?: number;
  /** `one-cycle`: it falls to the first while the rate rises, and rises to the second with its fall. Default: it stays. */
  readonly momentumRange?: readonly [lowest: number, highest: number];
  /** Default true. */
  readonly nesterov?: boolean;
  /** Of weights, not of biases and normalisations. Default 0.0005 for SGD, 0.01 for AdamW. */
  readonly weightDecay?: number;
  /** Decay acts on biases and normalisations too. Default false. */
  readonly decayAll?: boolean;
  /** SGD: decay apart from the gradient. Default false; AdamW's always is. */
  readonly decoupledDecay?: boolean;
  /** Default `one-cycle`. */
  readonly schedule?: ScheduleSpec['kind'];
  /** `one-cycle`: share of the steps in which the rate rises (default 0.2); `cosine`: epochs of it (default 0). */
  readonly warmup?: number;
  /** `step`: finished epochs after which the rate is a tenth. Default: half and three quarters of the epochs. */
  readonly milestones?: readonly number[];
  /** Default 0. */
  readonly labelSmoothing?: number;
  /** Share of the teacher in the loss, where there is one. Default 0.9. */
  readonly distillationWeight?: number;
  /** Default 4. */
  readonly temperature?: number;
  /** Gradients of a larger norm are scaled down to it. Default 5 where no batch normalisation steadies the network, else none. */
  readonly clipNorm?: number;
  /** The result is an exponential moving average of the weights with this decay. Default: the last weights. */
  readonly averageDecay?: number;
  /**
   * `batch`: by the batch, running statistics updated (default); `frozen`: by the stored statistics; `reinsert`: as `batch`,
   * and convolutions that a batch normalisation was folded into have one again while they are trained.
   */
  readonly batchNorm?: 'batch' | 'frozen' | 'reinsert';
  /** Pixels that images are moved by at most. Default: an eighth of the side up to 64 pixels, none above. */
  readonly crop?: number;
  /** Probability of a flip from left to right. Default 0.5; 0 for digits and letters. */
  readonly flip?: number;
  /** Brightness, contrast and saturation by up to this share. Default 0. */
  readonly colourJitter?: number;
  /** Alpha of mixup (Zhang et al. 2018). Default 0: none. */
  readonly mixup?: number;
  /** Alpha of CutMix (Yun et al. 2019). Default 0: none. */
  readonly cutmix?: number;
  /** Every class equally often. Default false. */
  readonly classBalanced?: boolean;
  /** Ends after so many epochs without a lower loss on the validation samples. */
  readonly patience?: number;
  /** Goes back to the epoch that was best on the validation samples. Default: the last epoch's. */
  readonly keepBest?: 'top1' | 'loss';
}

export interface Recipe {
  readonly epochs: number;
  readonly batchSize: number;
  readonly schedule: ScheduleSpec;
  readonly optimizer: OptimizerSettings;
  readonly decayAll: boolean;
  readonly labelSmoothing: number;
  readonly distillation: { readonly weight: number; readonly temperature: number };
  readonly clipNorm: number | undefined;
  readonly batchNorm: 'batch' | 'frozen';
  /** Put batch normalisations where they were folded, and fold them again at the end. */
  readonly reinsert: boolean;
  readonly augmentation: AugmentationOptions;
  readonly classBalanced: boolean;
  readonly patience: number | undefined;
  readonly keepBest: 'top1' | 'loss' | undefined;
}

const DEFAULT_BATCH_SIZE = 128;
const LARGEST_CROPPED_SIDE = 64;

/** Checks a recipe and fills in its defaults; ERR_OPTION at the first value that can not be meant. */
export function readRecipe(options: RecipeOptions, { input, model }: Classifier): Recipe {
  const { fixedBatch, height, width } = input;
  const epochs = positive(options.epochs ?? 5, '--epochs', true);
  const batchSize = positive(options.batchSize ?? fixedBatch ?? DEFAULT_BATCH_SIZE, '--batch', true);
  if (fixedBatch !== undefined && batchSize !== fixedBatch)
    throw expected('ERR_OPTION', `${fixedBatch}, the batch size of the model,`, '--batch', batchSize);
  const kind = oneOf(options.optimizer, ['sgd', 'adamw'], '--optimizer', 'sgd');
  const batchNorm = oneOf(options.batchNorm, ['batch', 'frozen', 'reinsert'], '--batch-norm', 'batch');
  const reinsert = batchNorm === 'reinsert' && listFoldedConvolutions(model).length > 0;
  const isSteady =
    reinsert || (batchNorm !== 'frozen' && model.graph.nodes.some(({ opType }) => opType === 'BatchNormalization'));
  const sgdRate = isSteady ? 0.05 : 0.005;
  const learningRate = positive(options.learningRate ?? (kind === 'sgd' ? sgdRate : 0.001), '--learning-rate');
  const clipNorm = options.clipNorm ?? (isSteady ? undefined : 5);
  const momentum = share(options.momentum ?? 0.9, '--momentum');
  const weightDecay = atLeastZero(options.weightDecay ?? (kind === 'sgd' ? 5e-4 : 0.01), '--weight-decay');
  const averageDecay = options.averageDecay === undefined ? undefined : share(options.averageDecay, '--average');
  const padding =
    options.crop ?? (Math.max(height, width) <= LARGEST_CROPPED_SIDE ? Math.round(Math.min(height, width) / 8) : 0);
  const jitter = share(options.colourJitter ?? 0, '--colour-jitter');
  return {
    epochs,
    batchSize,
    schedule: scheduleOf(options, { epochs, learningRate, momentum }),
    optimizer: {
      rule:
        kind === 'sgd'
          ? { kind, nesterov: options.nesterov ?? true, weightDecay, decoupled: options.decoupledDecay ?? false }
          : { kind, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay },
      ...(averageDecay === undefined ? {} : { averageDecay }),
    },
    decayAll: options.decayAll ?? false,
    labelSmoothing: share(options.labelSmoothing ?? 0, '--label-smoothing'),
    distillation: {
      weight: share(options.distillationWeight ?? 0.9, '--distillation', true),
      temperature: positive(options.temperature ?? 4, '--temperature'),
    },
    clipNorm: clipNorm === undefined ? undefined : positive(clipNorm, '--clip'),
    batchNorm: batchNorm === 'frozen' ? 'frozen' : 'batch',
    reinsert,
    augmentation: {
      ...(padding > 0 ? { crop: { padding } } : {}),
      flip: share(options.flip ?? 0.5, '--flip', true),
      ...(jitter > 0 ? { colour: { brightness: jitter, contrast: jitter, saturation: jitter } } : {}),
      ...(options.mixup === undefined || options.mixup === 0 ? {} : { mixup: positive(options.mixup, '--mixup') }),
      ...(options.cutmix === undefined || options.cutmix === 0 ? {} : { cutmix: positive(options.cutmix, '--cutmix') }),
    },
    classBalanced: options.classBalanced ?? false,
    patience: options.patience,
    keepBest:
      options.keepBest === undefined
        ? undefined
        : oneOf<'top1' | 'loss'>(options.keepBest, ['top1', 'loss'], '--keep-best', 'top1'),
  };
}

function scheduleOf(
  { schedule, warmup, milestones, momentumRange }: RecipeOptions,
  rates: { readonly epochs: number; readonly learningRate: number; readonly momentum: number },
): ScheduleSpec {
  const { epochs, learningRate, momentum } = rates;
  if (momentumRange !== undefined && momentumRange.length !== 2)
    throw expected('ERR_OPTION', 'two numbers', '--momentum-range', momentumRange);
  const kind = oneOf(schedule, ['one-cycle', 'cosine', 'step', 'constant'], '--schedule', 'one-cycle');
  switch (kind) {
    case 'one-cycle':
      return {
        kind,
        learningRate,
        momentum,
        warmupFraction: share(warmup ?? 0.2, '--warmup'),
        ...(momentumRange === undefined ? {} : { momentumRange }),
      };
    case 'cosine':
      return { kind, learningRate, momentum, warmupEpochs: atLeastZero(warmup ?? 0, '--warmup') };
    case 'step':
      return {
        kind,
        learningRate,
        momentum,
        milestones: milestones ?? [Math.ceil(epochs / 2), Math.ceil(epochs * 0.75)],
      };
    default:
      return { kind, learningRate, momentum };
  }
}

function positive(value: number, name: string, whole = false): number {
  if (value > 0 && value < Infinity && (!whole || Number.isSafeInteger(value))) return value;
  throw expected('ERR_OPTION', whole ? 'a positive integer' : 'a positive number', name, value);
}

function atLeastZero(value: number, name: string): number {
  if (value >= 0 && value < Infinity) return value;
  throw expected('ERR_OPTION', 'a number of at least 0', name, value);
}

function share(value: number, name: string, includesOne = false): number {
  if (value >= 0 && (includesOne ? value <= 1 : value < 1)) return value;
  throw expected('ERR_OPTION', includesOne ? 'a number from 0 to 1' : 'a number from 0 to below 1', name, value);
}
