import { inspect } from 'node:util';

/**
 * Every error the package throws on purpose. `code` is stable and may be scripted against; the exit code of
 * the command line follows from its category.
 */
const CATEGORY_OF_CODE = {
  ERR_USAGE: 'usage',
  ERR_OPTION: 'usage',
  ERR_SHAPE: 'usage',
  ERR_LABELS: 'usage',
  ERR_NON_FINITE: 'input',
  ERR_OUTPUT_EXISTS: 'usage',
  ERR_OUTPUT_UNWRITABLE: 'input',
  ERR_MODEL_UNREADABLE: 'input',
  ERR_MODEL_UNSUPPORTED: 'input',
  ERR_DATA_UNREADABLE: 'input',
  ERR_DATA_MISMATCH: 'input',
  ERR_IMAGE_CORRUPT: 'input',
  ERR_BUDGET: 'budget',
  ERR_VERIFICATION: 'runtime',
  ERR_DEVICE: 'runtime',
  ERR_RUNTIME: 'runtime',
  ERR_NATIVE_MISSING: 'runtime',
  ERR_OUT_OF_MEMORY: 'runtime',
  ERR_CANCELLED: 'cancelled',
} as const;

export type SieveErrorCode = keyof typeof CATEGORY_OF_CODE;
export type SieveErrorCategory = (typeof CATEGORY_OF_CODE)[SieveErrorCode];

export interface SieveErrorOptions {
  /** What the user can do about it: one sentence, imperative. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

export class SieveError extends Error {
  readonly code: SieveErrorCode;
  readonly category: SieveErrorCategory;
  readonly remedy: string | undefined;

  constructor(code: SieveErrorCode, message: string, options: SieveErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SieveError';
    this.code = code;
    this.category = CATEGORY_OF_CODE[code];
    this.remedy = options.remedy;
  }
}

/** True for this package's errors, also when they were built in another JavaScript realm (a worker, an addon, jest). */
export function isSieveError(error: unknown): error is SieveError {
  return (
    typeof error === 'object' &&
    error !== null &&
    (error as { name?: unknown }).name === 'SieveError' &&
    typeof (error as { code?: unknown }).code === 'string'
  );
}

/** "Expected X for Y but received Z": the one phrase of all validation errors. */
export function expected(
  code: SieveErrorCode,
  what: string,
  subject: string,
  received: unknown,
  options?: SieveErrorOptions,
): SieveError {
  return new SieveError(code, `Expected ${what} for ${subject} but received ${describe(received)}`, options);
}

/** Throws ERR_CANCELLED when the signal has been aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(signal);
}

export function cancelled(signal: AbortSignal | undefined): SieveError {
  return new SieveError('ERR_CANCELLED', 'The operation was cancelled', { cause: signal?.reason });
}

function describe(value: unknown): string {
  if (typeof value === 'string') return `"${value}"`;
  if (value === undefined) return 'nothing';
  if (ArrayBuffer.isView(value))
    return `${value.constructor.name}(${(value as { length?: number }).length ?? value.byteLength})`;
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(String).join(', ')}${value.length > 8 ? ', …' : ''}]`;
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'an object';
  return inspect(value);
}
