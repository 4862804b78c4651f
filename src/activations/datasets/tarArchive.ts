import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import type { Extract, Header } from 'tar-stream';
import { isSieveError, SieveError, throwIfAborted } from '../../errors';
import type { RunControl } from '../../types';
import { classifyByFolder, isHidden, isImageName } from './classFolders';
import { reasonOf, unreadable } from './errors';
import type { ImageSource } from './source';

export type TarCompression = 'none' | 'gzip' | 'xz';

/** The images stay encoded in memory; an archive that would take most of it is refused. */
const LARGEST_SHARE_OF_MEMORY = 0.5;
const READ_CHUNK_BYTES = 1 << 18;

/**
 * A .tar, .tar.gz or .tar.xz of class folders with image files, such as `set/airplane/0001.jpg`. The archive is
 * read once; its image files are kept in memory, still encoded, and decoded when they are needed.
 *
 * Errors: ERR_DATA_UNREADABLE (truncated or damaged archive, see also classifyByFolder), ERR_OUT_OF_MEMORY.
 */
export async function openTarArchive(
  path: string,
  compression: TarCompression,
  control: RunControl = {},
): Promise<ImageSource> {
  const { files, folders, otherFiles } = await readArchive(path, compression, control);
  const classified = classifyByFolder({ images: [...files.keys()], folders, otherFiles }, path);
  return {
    count: classified.images.length,
    labels: classified.labels,
    classNames: classified.classNames,
    pixels: undefined,
    name: (index) => `${path}:${classified.images[index]!}`,
    read: (index) => Promise.resolve({ kind: 'encoded', bytes: files.get(classified.images[index]!)! }),
  };
}

interface ArchiveContents {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly folders: readonly string[];
  readonly otherFiles: number;
}

async function readArchive(path: string, compression: TarCompression, control: RunControl): Promise<ArchiveContents> {
  const { signal } = control;
  throwIfAborted(signal);
  const files = new Map<string, Uint8Array>();
  const folders = new Set<string>();
  let otherFiles = 0;
  let totalBytes = 0;

  async function take({ name, type, linkname }: Header, entry: AsyncIterable<unknown>): Promise<void> {
    const entryPath = posix.normalize(name).replace(/^\/+|\/+$/g, '');
    if (isHidden(entryPath)) return;
    if (type === 'directory') {
      folders.add(entryPath);
    } else if (!isImageName(entryPath)) {
      otherFiles++;
    } else if (type === 'link') {
      const target = files.get(posix.normalize(linkname));
      if (target === undefined) throw linkError(path, entryPath, linkname);
      files.set(entryPath, target);
    } else if (type === 'symlink') {
      throw linkError(path, entryPath, linkname);
    } else {
      const bytes = await bytesOf(entry);
      totalBytes += bytes.byteLength;
      if (totalBytes > LARGEST_SHARE_OF_MEMORY * totalmem()) throw tooLarge(path);
      files.set(entryPath, bytes);
    }
  }

  const tar = extract();
  const reading = (async () => {
    for await (const entry of tar) {
      await take(entry.header, entry);
      entry.resume();
    }
  })();
  try {
    await Promise.all([unpack(path, compression, tar, control), reading]);
  } catch (error) {
    reading.catch(() => undefined);
    throwIfAborted(signal);
    if (isSieveError(error)) throw error;
    throw unreadable('a complete tar archive', path, `a damaged one (${archiveReason(error)})`, REMEDY_DAMAGED, error);
  }
  return { files, folders: [...folders], otherFiles };
}

const REMEDY_DAMAGED = 'Fetch or make the archive again.';

/** Sends the archive's plain bytes into `tar`. */
async function unpack(
  path: string,
  compression: TarCompression,
  tar: Extract,
  { signal, onProgress }: RunControl,
): Promise<void> {
  const size = (await stat(path)).size;
  async function* compressedBytes(): AsyncGenerator<Buffer> {
    let bytesRead = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: READ_CHUNK_BYTES })) {
      bytesRead += (chunk as Buffer).length;
      onProgress?.({ stage: 'read archive', fraction: Math.min(1, bytesRead / size) });
      yield chunk as Buffer;
    }
  }
  const source = Readable.from(compressedBytes());
  switch (compression) {
    case 'none':
      return pipeline(source, tar, { signal });
    case 'gzip':
      return pipeline(source, createGunzip(), tar, { signal });
    case 'xz':
      return pipeline(await unpackXz(source), tar, { signal });
  }
}

async function unpackXz(source: Readable): Promise<Readable> {
  type XzModule = typeof import('xz-decompress');
  const module = (await import('xz-decompress')) as XzModule & { readonly default?: XzModule };
  // A CommonJS package whose exports Node can not see from ESM: there they hang on `default`.
  const { XzReadableStream } = module.default ?? module;
  return Readable.fromWeb(new XzReadableStream(Readable.toWeb(source)));
}

async function bytesOf(entry: AsyncIterable<unknown>): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of entry) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function archiveReason(error: unknown): string {
  const reason = reasonOf(error);
  // The xz decoder only gives the number of its status (liblzma's xz_ret).
  const status = /error code (\d+)/.exec(reason)?.[1];
  const meanings: Record<string, string> = {
    '4': 'it needs too much memory',
    '5': 'no xz data',
    '6': 'xz options that are not supported',
    '7': 'xz data is corrupt',
    '8': 'xz data ends too early',
  };
  return meanings[status ?? ''] ?? reason;
}

function linkError(path: string, entryPath: string, linkname: string): SieveError {
  return unreadable(
    'image files',
    path,
    `a link "${entryPath}" to "${linkname}"`,
    'Make the archive with `tar --dereference --hard-dereference`.',
  );
}

function tooLarge(path: string): SieveError {
  return new SieveError(
    'ERR_OUT_OF_MEMORY',
    `Expected an archive that fits into half of the memory for "${path}" but received a larger one`,
    { remedy: 'Unpack the archive and name the folder.' },
  );
}
