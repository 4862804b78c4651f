import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { expected, isSieveError, throwIfAborted } from '../errors';
import { folderReader, memoryReader, noExternalData, resolveInside } from './externalData';
import type { Model } from './ir';
import { externalReferences } from './proto/external';
import { parseModelProto } from './proto/parse';

export interface ParseOptions {
  /** Folder in which external data files lie. They are read when a tensor is first looked into. */
  readonly baseDirectory?: string;
  /** Gives external data from memory instead; called with the location as the model states it. */
  readonly resolveExternal?: (location: string) => Uint8Array | undefined;
}

/**
 * Reads a serialised ONNX model. `bytes` are kept, not copied: do not change them afterwards. Weights stay
 * where they are until somebody asks for them, so this takes time linear in the number of nodes and tensors.
 * Throws ERR_MODEL_UNREADABLE for anything that is no complete, wired ONNX model.
 */
export function parseModel(bytes: Uint8Array, options: ParseOptions = {}): Model {
  const reader = options.resolveExternal
    ? memoryReader(options.resolveExternal)
    : options.baseDirectory !== undefined
      ? folderReader(options.baseDirectory)
      : noExternalData;
  try {
    return parseModelProto(bytes, reader);
  } catch (error) {
    if (isSieveError(error)) throw error;
    throw expected('ERR_MODEL_UNREADABLE', 'an ONNX model', 'the model file', 'contents that make no sense', {
      remedy: 'Give a complete, valid .onnx file.',
      cause: error,
    });
  }
}

/**
 * Opens an .onnx file. External data must lie in its folder (or below); that it is there and long enough is
 * checked at once, its contents are read when needed.
 */
export async function readModel(path: string, options: { readonly signal?: AbortSignal } = {}): Promise<Model> {
  throwIfAborted(options.signal);
  const folder = dirname(resolve(path));
  const bytes = await readWhole(path, options.signal);
  let model: Model;
  try {
    model = parseModel(bytes, { baseDirectory: folder });
  } catch (error) {
    throw nameFile(error, path);
  }
  await checkExternalFiles(model, folder);
  return model;
}

async function readWhole(path: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
  try {
    return await readFile(path, { signal });
  } catch (error) {
    throwIfAborted(signal);
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'ENOENT'
        ? 'no such file'
        : code === 'EISDIR'
          ? 'a folder'
          : code === 'EACCES'
            ? 'a file that may not be read'
            : code === 'ERR_FS_FILE_TOO_LARGE'
              ? 'a file above 2 GiB, which no ONNX file can be'
              : `a file that can not be read (${String(code)})`;
    throw expected('ERR_MODEL_UNREADABLE', 'a readable .onnx file', `the model "${path}"`, why, {
      cause: error,
      remedy: 'Name an .onnx file that is there and that you may read.',
    });
  }
}

/** The same error with the file's name in it: with two models on a command line one must know which. */
function nameFile(error: unknown, path: string): unknown {
  if (!isSieveError(error) || error.message.includes(path)) return error;
  const named = error.message.replace('for the model file', `for the model "${path}"`);
  error.message = named === error.message ? `${named} (in "${path}")` : named;
  return error;
}

async function checkExternalFiles(model: Model, folder: string): Promise<void> {
  const sizes = new Map<string, number>();
  for (const { tensor, reference } of externalReferences(model)) {
    const path = resolveInside(folder, reference, tensor);
    const size = sizes.get(path) ?? (await stat(path)).size;
    sizes.set(path, size);
    if (reference.offset + reference.length > size)
      throw expected(
        'ERR_MODEL_UNREADABLE',
        `${reference.offset + reference.length} bytes in "${reference.location}"`,
        `external data of tensor "${tensor}"`,
        `${size}`,
        { remedy: 'Copy the whole data file: it seems to be cut short.' },
      );
  }
}
