import { createHash } from 'node:crypto';
import { expected } from '../../errors';
import type { Normalization } from '../../types';
import type { AugmentationOptions } from './augmentation';
import { checkInteger } from './checks';
import { checkFormat, checkNormalization, type ImageFormat } from './images';
import type { ScheduleSpec } from './schedule';
import { checkLabels, checkSmoothing } from './targets';

export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue | undefined };

/** Everything that decides the numbers of a training run: equal plans of equal hooks give equal weights. */
export interface TrainingPlan {
  /** Tells the model that is trained from others, for example a digest of its file. */
  readonly model: string;
  /** What the hooks are built from and the loop does not see: optimizer, decay, clipping, averaging, distillation … */
  readonly recipe: Readonly<Record<string, JsonValue | undefined>>;
  readonly epochs: number;
  readonly batchSize: number;
  readonly seed: number;
  /** [samples]: the class of each training sample, 0 .. classes − 1. */
  readonly labels: Int32Array;
  /** The length of the network's logits. */
  readonly classes: number;
  readonly classNames?: readonly string[];
  readonly format: ImageFormat;
  readonly normalization: Normalization;
  readonly schedule: ScheduleSpec;
  /** From 0 to below 1. Default 0. */
  readonly labelSmoothing?: number;
  readonly augmentation?: AugmentationOptions;
  readonly classBalanced?: boolean;
  /** Ends the run after so many epochs in a row without a lower validation loss. */
  readonly patience?: number;
  /** At the end, goes back to the epoch that was best on the validation data. */
  readonly keepBest?: 'top1' | 'loss';
}

/** Errors: ERR_OPTION, ERR_LABELS. The schedule, sampler and augmentation check their own parts. */
export function checkPlan(plan: TrainingPlan): void {
  checkInteger(plan.epochs, 1, 'the number of epochs');
  if (!Number.isFinite(plan.seed)) throw expected('ERR_OPTION', 'a finite number', 'the seed', plan.seed);
  checkInteger(plan.classes, 1, 'the number of classes');
  checkFormat(plan.format);
  checkNormalization(plan.normalization, plan.format);
  checkSmoothing(plan.labelSmoothing ?? 0);
  checkLabels(plan.labels, plan.classes, plan.classNames);
  if (plan.patience !== undefined) checkInteger(plan.patience, 1, 'the patience of early stopping');
  if (plan.keepBest !== undefined && plan.keepBest !== 'top1' && plan.keepBest !== 'loss') {
    throw expected('ERR_OPTION', 'top1 or loss', 'what the best epoch is chosen by', plan.keepBest);
  }
}

/** The plan as text, field by field, so that two can be compared and the difference named. */
export type PlanDescription = Readonly<Record<string, string>>;

export function describePlan(plan: TrainingPlan): PlanDescription {
  const { labels } = plan;
  const bytes = new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength);
  const fields: Record<string, JsonValue | object | undefined> = {
    recipe: plan.recipe,
    epochs: plan.epochs,
    'batch size': plan.batchSize,
    seed: plan.seed,
    samples: labels.length,
    'labels (sha256)': createHash('sha256').update(bytes).digest('hex'),
    classes: plan.classes,
    'image format': plan.format,
    normalization: plan.normalization,
    schedule: plan.schedule,
    'label smoothing': plan.labelSmoothing ?? 0,
    augmentation: plan.augmentation ?? {},
    'class balancing': plan.classBalanced ?? false,
    patience: plan.patience ?? null,
    'best epoch by': plan.keepBest ?? null,
  };
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, canonicalJson(value)]));
}

/** JSON with sorted keys: the order in which options were written does not matter. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([left], [right]) => (left < right ? -1 : 1)))
      : inner,
  );
}
