import { isSieveError } from '../errors';
import type { SieveErrorCategory } from '../errors';

export const EXIT = { done: 0, budget: 1, usage: 2, input: 3, runtime: 4, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const EXIT_OF_CATEGORY: Record<SieveErrorCategory, ExitCode> = {
  budget: EXIT.budget,
  usage: EXIT.usage,
  input: EXIT.input,
  runtime: EXIT.runtime,
  cancelled: EXIT.interrupted,
};

export function exitCodeOf(error: unknown): ExitCode {
  if (!isSieveError(error)) return EXIT.runtime;
  // Errors of the native core carry this package's name and codes but are built without a category.
  return EXIT_OF_CATEGORY[error.category] ?? EXIT.runtime;
}
