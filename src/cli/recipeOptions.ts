import { Option } from 'commander';
import type { Command } from 'commander';
import type { RecipeOptions } from '../compress/training/recipe';
import { choice, integer, number, numberList } from './values';

/** How a network is trained, as flags. */
export interface RecipeFlags extends Omit<
  RecipeOptions,
  'batchSize' | 'nesterov' | 'distillationWeight' | 'clipNorm' | 'averageDecay'
> {
  readonly batch?: number;
  readonly nesterov?: boolean;
  readonly distillation?: number;
  readonly clip?: number;
  readonly average?: number;
}

const isPositive = (value: number): boolean => value > 0;
const isShare = (value: number): boolean => value >= 0 && value <= 1;

export function addRecipeOptions(command: Command): Command {
  const positive = (name: string) => number(name, 'a positive number', isPositive);
  const share = (name: string) => number(name, 'a number from 0 to 1', isShare);
  return command
    .addOption(new Option('--epochs <n>', 'passes over the data (default: 5)').argParser(integer('--epochs', 1)))
    .addOption(new Option('--batch <n>', 'samples of one step (default: 128)').argParser(integer('--batch', 1)))
    .addOption(
      new Option('--optimizer <name>', 'sgd or adamw (default: sgd)').argParser(
        choice('--optimizer', ['sgd', 'adamw'] as const),
      ),
    )
    .addOption(
      new Option('--learning-rate <x>', 'the highest of the run (default: 0.05; adamw 0.001)').argParser(
        positive('--learning-rate'),
      ),
    )
    .addOption(new Option('--momentum <x>', 'of sgd (default: 0.9)').argParser(share('--momentum')))
    .addOption(
      new Option('--momentum-range <low,high>', 'one-cycle: momentum falls while the rate rises').argParser(
        numberList('--momentum-range', isShare),
      ),
    )
    .addOption(new Option('--no-nesterov', 'plain momentum'))
    .addOption(
      new Option('--weight-decay <x>', 'of weights (default: 0.0005; adamw 0.01)').argParser(
        number('--weight-decay', 'a number of at least 0', (value) => value >= 0),
      ),
    )
    .addOption(new Option('--decay-all', 'decay biases and normalisations too'))
    .addOption(new Option('--decoupled-decay', 'sgd: decay apart from the gradient'))
    .addOption(
      new Option('--schedule <name>', 'one-cycle, cosine, step, constant (default: one-cycle)').argParser(
        choice('--schedule', ['one-cycle', 'cosine', 'step', 'constant'] as const),
      ),
    )
    .addOption(
      new Option('--warmup <x>', 'one-cycle: share of the run that rises (0.2); cosine: epochs (0)').argParser(
        number('--warmup', 'a number of at least 0', (value) => value >= 0),
      ),
    )
    .addOption(
      new Option('--milestones <a,b>', 'step: epochs after which the rate is a tenth').argParser(
        numberList('--milestones', (value) => value > 0),
      ),
    )
    .addOption(
      new Option('--label-smoothing <x>', 'share of the label for all classes (default: 0)').argParser(
        share('--label-smoothing'),
      ),
    )
    .addOption(
      new Option('--distillation <x>', 'share of the teacher in the loss (default: 0.9)').argParser(
        share('--distillation'),
      ),
    )
    .addOption(
      new Option('--temperature <x>', "softens the teacher's answers (default: 4)").argParser(
        positive('--temperature'),
      ),
    )
    .addOption(new Option('--clip <norm>', 'largest norm of the gradients').argParser(positive('--clip')))
    .addOption(
      new Option('--average <decay>', 'the result is a moving average of the weights, such as 0.999').argParser(
        share('--average'),
      ),
    )
    .addOption(
      new Option(
        '--batch-norm <name>',
        'by the batch; by frozen statistics; or reinsert: by the batch, also where it was folded (default: batch)',
      ).argParser(choice('--batch-norm', ['batch', 'frozen', 'reinsert'] as const)),
    )
    .addOption(
      new Option('--crop <pixels>', 'move images by up to this (default: an eighth of small images)').argParser(
        integer('--crop', 0),
      ),
    )
    .addOption(new Option('--flip <p>', 'flip left to right (default: 0.5)').argParser(share('--flip')))
    .addOption(
      new Option('--colour-jitter <x>', 'brightness, contrast and saturation by up to this (default: 0)').argParser(
        share('--colour-jitter'),
      ),
    )
    .addOption(new Option('--mixup <alpha>', 'mix pairs of images (default: 0)').argParser(positive('--mixup')))
    .addOption(new Option('--cutmix <alpha>', 'paste parts of others (default: 0)').argParser(positive('--cutmix')))
    .addOption(new Option('--class-balanced', 'every class equally often'))
    .addOption(
      new Option('--patience <n>', 'end after so many epochs without a lower validation loss').argParser(
        integer('--patience', 1),
      ),
    )
    .addOption(
      new Option('--keep-best <by>', 'go back to the best epoch by top1 or loss').argParser(
        choice('--keep-best', ['top1', 'loss'] as const),
      ),
    );
}

export function readRecipeFlags(flags: RecipeFlags): RecipeOptions {
  const { batch, distillation, clip, average, nesterov } = flags;
  return {
    epochs: flags.epochs,
    batchSize: batch,
    optimizer: flags.optimizer,
    learningRate: flags.learningRate,
    momentum: flags.momentum,
    momentumRange: flags.momentumRange,
    nesterov,
    weightDecay: flags.weightDecay,
    decayAll: flags.decayAll,
    decoupledDecay: flags.decoupledDecay,
    schedule: flags.schedule,
    warmup: flags.warmup,
    milestones: flags.milestones,
    labelSmoothing: flags.labelSmoothing,
    distillationWeight: distillation,
    temperature: flags.temperature,
    clipNorm: clip,
    averageDecay: average,
    batchNorm: flags.batchNorm,
    crop: flags.crop,
    flip: flags.flip,
    colourJitter: flags.colourJitter,
    mixup: flags.mixup,
    cutmix: flags.cutmix,
    classBalanced: flags.classBalanced,
    patience: flags.patience,
    keepBest: flags.keepBest,
  };
}
