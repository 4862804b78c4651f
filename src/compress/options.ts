import { DEFAULT_MEMORY_BUDGET_BYTES } from '../activations/passes';
import { listBackends } from '../binding/backends';
import { expected } from '../errors';
import { CRITERIA, type CommonOptions, type CompressOptions, type Criterion, type DataOptions } from './api';
import type { Widths } from './budget';
import type { Runtime } from './network';

export const DEFAULT_CALIBRATION_SAMPLES = 2000;
const DEFAULT_BATCH_SIZE = 64;

/** What `auto` means: the criterion that measurement made the default (docs/criteria.md). */
export const DEFAULT_CRITERION = 'reconstruction' satisfies Criterion;

export interface Budget {
  readonly flops: number | undefined;
  readonly params: number | undefined;
  readonly bytes: number | undefined;
  /** As a fraction, not in points. */
  readonly maxDrop: number | undefined;
}

/** Checks what compress was asked for; throws ERR_OPTION at the first value that can not be meant. */
export function readBudget(options: CompressOptions): Budget {
  fraction(options.flops, '--flops');
  fraction(options.params, '--params');
  if (options.bytes !== undefined) positiveInteger(options.bytes, '--bytes');
  if (options.maxDrop !== undefined && !(options.maxDrop >= 0 && options.maxDrop <= 100)) {
    throw expected('ERR_OPTION', 'percentage points from 0 to 100', '--max-drop', options.maxDrop);
  }
  const { flops, params, bytes, maxDrop } = options;
  if (flops === undefined && params === undefined && bytes === undefined && maxDrop === undefined) {
    throw expected('ERR_OPTION', 'at least one of --flops, --params, --bytes, --max-drop', 'the budget', undefined, {
      remedy:
        'Say how small the network should become, for example --flops 0.5 to keep half of the multiply-accumulates.',
    });
  }
  return { flops, params, bytes, maxDrop: maxDrop === undefined ? undefined : maxDrop / 100 };
}

export function readCriterion(options: CompressOptions): Exclude<Criterion, 'auto'> {
  const criterion = options.criterion ?? 'auto';
  if (!CRITERIA.includes(criterion))
    throw expected('ERR_OPTION', `one of ${CRITERIA.join(', ')}`, '--criterion', criterion);
  return criterion === 'auto' ? DEFAULT_CRITERION : criterion;
}

function checkCommon(options: CommonOptions & Partial<DataOptions>): void {
  if (options.samples !== undefined) positiveInteger(options.samples, '--samples');
  if (options.batchSize !== undefined) positiveInteger(options.batchSize, '--batch');
  if (options.threads !== undefined && options.threads !== 0) positiveInteger(options.threads, '--threads');
  if (options.memoryBudgetBytes !== undefined) positiveInteger(options.memoryBudgetBytes, '--memory');
  if (options.seed !== undefined && !Number.isSafeInteger(options.seed))
    throw expected('ERR_OPTION', 'an integer', '--seed', options.seed);
}

export function oneOf<T extends string>(value: T | undefined, choices: readonly T[], name: string, fallback: T): T {
  if (value === undefined) return fallback;
  if (!choices.includes(value)) throw expected('ERR_OPTION', `one of ${choices.join(', ')}`, name, value);
  return value;
}

function fraction(value: number | undefined, name: string): void {
  if (value !== undefined && !(value > 0 && value <= 1)) {
    throw expected('ERR_OPTION', 'a fraction to keep, above 0 and at most 1', name, value);
  }
}

function positiveInteger(value: number, name: string): void {
  if (!Number.isSafeInteger(value) || value < 1) throw expected('ERR_OPTION', 'a positive integer', name, value);
}

/** How channel counts are chosen; the default multiple is the channel block of ONNX Runtime's kernels on this CPU. */
export function readWidths(options: CompressOptions): Widths {
  if (options.multiple !== undefined) positiveInteger(options.multiple, '--multiple');
  const wide = listBackends().some(({ name, available }) => name === 'avx512' && available);
  return {
    allocation: oneOf(options.allocation, ['uniform', 'curve'], '--allocation', 'curve'),
    multiple: options.multiple ?? (wide ? 16 : 8),
  };
}

/** Checks what all verbs share and fills in the defaults. */
export function readRuntime(options: CommonOptions & Partial<DataOptions>): Runtime {
  checkCommon(options);
  return {
    device: oneOf(options.device, ['auto', 'cpu', 'cuda', 'webgpu'], '--device', 'auto'),
    threads: options.threads === 0 ? undefined : options.threads,
    batchSize: options.batchSize ?? DEFAULT_BATCH_SIZE,
    memoryBudgetBytes: options.memoryBudgetBytes ?? DEFAULT_MEMORY_BUDGET_BYTES,
    seed: options.seed ?? 0,
    signal: options.signal,
    onProgress: options.onProgress,
    onMessage: options.onMessage,
  };
}
