import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { access, link, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { expected, isSieveError, SieveError } from './errors';

export interface WriteOptions {
  /** Replace the file where it exists. Without it an existing file is an error. */
  readonly force?: boolean;
}

/** One write call above 2 GiB fails on Linux, so long contents go out in pieces. */
const WRITE_CHUNK_BYTES = 1 << 30;

/**
 * Writes a whole file or nothing: the contents go to a temporary name in the same folder, reach the disk, and
 * are then moved to `path`. A failure at any point leaves what was at `path` untouched.
 * Contents given in chunks are asked for one after the other; each is written before the next, and what they throw
 * themselves is passed on.
 * Without `force` the move itself refuses to replace a file, also one that appeared in the meantime.
 *
 * Errors: ERR_OUTPUT_EXISTS (the file is there and `force` is not), ERR_OUTPUT_UNWRITABLE (anything else).
 */
export async function writeFileAtomic(
  path: string,
  contents: string | Uint8Array | Iterable<Uint8Array>,
  options: WriteOptions = {},
): Promise<void> {
  const existing = await checkOutput(path, options);
  const chunks = typeof contents === 'string' ? [Buffer.from(contents, 'utf8')] : contents;
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const file = await open(temporary, 'wx', existing === undefined ? 0o666 : existing.mode & 0o777);
    try {
      for (const bytes of chunks instanceof Uint8Array ? [chunks] : chunks)
        for (let offset = 0; offset < bytes.byteLength;) {
          const length = Math.min(WRITE_CHUNK_BYTES, bytes.byteLength - offset);
          offset += (await file.write(bytes, offset, length)).bytesWritten;
        }
      await file.sync();
    } finally {
      await file.close();
    }
    if (options.force === true) await rename(temporary, path);
    else await moveWithoutReplacing(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw isSieveError(error) ? error : unwritable(path, error);
  }
}

/**
 * The same checks before the work instead of after it, so that hours of computing are not lost to a wrong name:
 * the folder exists and takes files, and nothing is at `path` unless `force` is given.
 */
export async function assertWritable(path: string, options: WriteOptions = {}): Promise<void> {
  await checkOutput(path, options);
}

async function checkOutput(path: string, options: WriteOptions): Promise<Stats | undefined> {
  try {
    await access(dirname(path), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unwritable(path, error);
  }
  let existing: Stats;
  try {
    existing = await stat(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw unwritable(path, error);
  }
  if (!existing.isFile()) {
    throw expected('ERR_OUTPUT_UNWRITABLE', 'the name of a regular file', 'the output', path, {
      remedy: existing.isDirectory() ? 'Name a file inside that folder.' : 'Name a file that is no device or pipe.',
    });
  }
  if (options.force !== true) throw exists(path);
  return existing;
}

/** Not every file system has hard links; there the check made a moment ago has to do. */
async function moveWithoutReplacing(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errorCode(error) ?? '')) throw error;
    await rename(from, to);
    return;
  }
  await rm(from);
}

function exists(path: string): SieveError {
  return expected('ERR_OUTPUT_EXISTS', 'a file that does not exist yet', 'the output', path, {
    remedy: 'Choose another name, or pass --force (option `force`) to replace the file.',
  });
}

function unwritable(path: string, error: unknown): SieveError {
  const code = errorCode(error);
  if (code === 'EEXIST') return exists(path);
  const reason = error instanceof Error ? error.message : String(error);
  const remedies: Record<string, string> = {
    ENOENT: `Create the folder "${dirname(path)}" first.`,
    ENOTDIR: `"${dirname(path)}" is not a folder: choose another one.`,
    EACCES: 'Choose a folder you may write to.',
    EROFS: 'Choose a folder on a writable file system.',
    ENOSPC: 'Free some space on that disk, or choose another one.',
  };
  return new SieveError(
    'ERR_OUTPUT_UNWRITABLE',
    `Expected a writable file for the output but received "${path}": ${reason}`,
    {
      cause: error,
      remedy: remedies[code ?? ''] ?? 'Check the name and the permissions of its folder.',
    },
  );
}

function errorCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}
