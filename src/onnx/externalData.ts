import { closeSync, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { isAbsolute, relative, resolve, sep } from 'node:path';

import { expected } from '../errors';
import type { ExternalReader, ExternalReference } from './proto/readTensor';

/** Largest single read; longer ranges are read in pieces (one call ends at 2 GiB on Linux). */
const READ_CHUNK_BYTES = 1 << 30;

/**
 * Reads external tensors out of the model's own folder, each when it is first needed. A location that leads
 * out of the folder (`..`, an absolute path, a symbolic link) is refused: a model file is untrusted input.
 */
export function folderReader(folder: string): ExternalReader {
  return (reference, tensorName) => {
    const path = resolveInside(folder, reference, tensorName);
    let file: number | undefined;
    try {
      file = openSync(path, 'r');
      const available = fstatSync(file).size;
      if (reference.offset + reference.length > available)
        throw unreadable(
          tensorName,
          `${reference.offset + reference.length} bytes in "${reference.location}"`,
          `${available}`,
        );
      return readRange(file, reference);
    } catch (error) {
      throw describeFailure(error, reference, tensorName);
    } finally {
      if (file !== undefined) closeSync(file);
    }
  };
}

function readRange(file: number, { offset, length }: ExternalReference): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = readSync(file, bytes, done, Math.min(READ_CHUNK_BYTES, length - done), offset + done);
    if (count === 0) throw new Error('the file became shorter while it was read');
    done += count;
  }
  return bytes;
}

/** Takes external tensors from memory: `resolveExternal(location)` gives a whole file. */
export function memoryReader(resolveExternal: (location: string) => Uint8Array | undefined): ExternalReader {
  return ({ location, offset, length }, tensorName) => {
    const file = resolveExternal(location);
    if (file === undefined) throw unreadable(tensorName, `the data of "${location}"`, undefined);
    if (offset + length > file.length)
      throw unreadable(tensorName, `${offset + length} bytes in "${location}"`, `${file.length}`);
    return file.subarray(offset, offset + length);
  };
}

/** For a model that came as bytes alone. */
export const noExternalData: ExternalReader = ({ location }, tensorName) => {
  throw expected(
    'ERR_MODEL_UNREADABLE',
    `the file "${location}"`,
    `external data of tensor "${tensorName}"`,
    undefined,
    {
      remedy: 'Open the model by its path, or give `baseDirectory` or `resolveExternal`.',
    },
  );
};

/** The path of an external file, proven to lie inside `folder`. */
export function resolveInside(folder: string, { location }: ExternalReference, tensorName: string): string {
  const refuse = () => unreadable(tensorName, "a file inside the model's folder", location);
  const path = resolve(folder, location);
  if (isAbsolute(location) || location.includes('\0') || !isInside(resolve(folder), path)) throw refuse();
  let realPath: string;
  try {
    realPath = realpathSync(path);
  } catch (error) {
    throw describeFailure(error, { location, offset: 0, length: 0 }, tensorName);
  }
  if (!isInside(realpathSync(folder), realPath)) throw refuse();
  return realPath;
}

function isInside(folder: string, path: string): boolean {
  const steps = relative(folder, path);
  return steps !== '' && steps !== '..' && !steps.startsWith(`..${sep}`) && !isAbsolute(steps);
}

function describeFailure(error: unknown, reference: ExternalReference, tensorName: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (typeof code === 'string' && code.startsWith('ERR_')) return error;
  const why = code === 'ENOENT' ? 'no such file' : error instanceof Error ? error.message : String(error);
  return unreadable(tensorName, `a readable file "${reference.location}"`, why, error);
}

function unreadable(tensorName: string, what: string, received: unknown, cause?: unknown) {
  return expected('ERR_MODEL_UNREADABLE', what, `external data of tensor "${tensorName}"`, received, {
    remedy: 'Keep the data files beside the .onnx file, as they were exported.',
    cause,
  });
}
