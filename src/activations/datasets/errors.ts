import { SieveError } from '../../errors';

/** ERR_DATA_UNREADABLE: "Expected X for "path" but received Z"; `received` is said as it stands, without quotes. */
export function unreadable(what: string, path: string, received: string, remedy: string, cause?: unknown): SieveError {
  return new SieveError('ERR_DATA_UNREADABLE', `Expected ${what} for "${path}" but received ${received}`, {
    remedy,
    cause,
  });
}

/** ERR_DATA_MISMATCH: data that can be read and does not fit the model or itself. */
export function mismatch(what: string, subject: string, received: string, remedy: string): SieveError {
  return new SieveError('ERR_DATA_MISMATCH', `Expected ${what} for ${subject} but received ${received}`, { remedy });
}

/** A failed call of the file system, as an error that names the path. */
export function unreadableFile(path: string, error: unknown): SieveError {
  const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return unreadable(
    'a readable file or folder',
    path,
    missing ? 'nothing there' : reasonOf(error),
    missing ? 'Check the path of the data.' : 'Check that the data exists and may be read.',
    error,
  );
}

export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\s+/g, ' ').trim();
}

/** "3 images", "1 image" */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
