import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../../errors';
import { classifyByFolder, isHidden, isImageName } from './classFolders';
import { unreadableFile } from './errors';
import type { ImageSource } from './source';

/**
 * A folder of class folders with image files. Links are followed. The files are listed now and read when they
 * are needed. Errors: see classifyByFolder.
 */
export async function openImageFolder(root: string, signal?: AbortSignal): Promise<ImageSource> {
  const images: string[] = [];
  const folders: string[] = [];
  let otherFiles = 0;

  async function walk(folder: string): Promise<void> {
    throwIfAborted(signal);
    for (const entry of await entriesOf(join(root, folder))) {
      if (isHidden(entry.name)) continue;
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (await isFolder(entry, join(root, path))) {
        folders.push(path);
        await walk(path);
      } else if (isImageName(path)) images.push(path);
      else otherFiles++;
    }
  }
  await walk('');

  const classified = classifyByFolder({ images, folders, otherFiles }, root);
  return {
    count: classified.images.length,
    labels: classified.labels,
    classNames: classified.classNames,
    pixels: undefined,
    name: (index) => join(root, classified.images[index]!),
    async read(index) {
      const path = join(root, classified.images[index]!);
      try {
        return { kind: 'encoded', bytes: await readFile(path) };
      } catch (error) {
        throw unreadableFile(path, error);
      }
    },
  };
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    throw unreadableFile(folder, error);
  }
}

async function isFolder(entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw unreadableFile(path, error);
  }
}
