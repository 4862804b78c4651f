import { readFile } from 'node:fs/promises';
import { unzip } from 'fflate';
import type { UnzipFileInfo } from 'fflate';
import { memoryReader } from './arrays';
import type { ExpectedImage } from './arrays';
import { reasonOf, unreadable, unreadableFile } from './errors';
import { npySource, readNpyLabels } from './npy';
import type { NpyFile } from './npy';
import type { ImageSource } from './source';

const IMAGE_ARRAYS = ['images', 'x', 'X', 'data'];
const LABEL_ARRAYS = ['labels', 'y', 'Y', 'label', 'targets'];

export interface NpzNames {
  /** Name of the array of images. Default: images, x, X or data, whichever is there. */
  readonly images?: string;
  /** Name of the array of labels. Default: labels, y, Y, label or targets, whichever is there. */
  readonly labels?: string;
}

/** An archive of numpy.savez or savez_compressed with one array of images and one of labels, read into memory. */
export async function openNpz(
  path: string,
  names: NpzNames,
  layout: 'NCHW' | 'NHWC' | undefined,
  image: ExpectedImage,
): Promise<ImageSource> {
  let zip: Uint8Array;
  try {
    zip = await readFile(path);
  } catch (error) {
    throw unreadableFile(path, error);
  }
  const present = new Set<string>();
  const wanted = new Set([
    ...(names.images === undefined ? IMAGE_ARRAYS : [names.images]),
    ...(names.labels === undefined ? LABEL_ARRAYS : [names.labels]),
  ]);
  const files = await unzipArrays(path, zip, ({ name }) => {
    const arrayName = name.replace(/\.npy$/, '');
    present.add(arrayName);
    return wanted.has(arrayName);
  });
  const find = (what: string, given: string | undefined, usual: readonly string[]): NpyFile => {
    const candidates = given === undefined ? usual : [given];
    const name = candidates.find((candidate) => `${candidate}.npy` in files);
    if (name === undefined) {
      throw unreadable(
        `an array "${candidates[0]!}" of ${what}`,
        path,
        present.size === 0 ? 'no array' : `the arrays ${[...present].join(', ')}`,
        `Name the array: "${what}": "…" in a JSON description.`,
      );
    }
    const bytes = files[`${name}.npy`]!;
    return { path: `${path}:${name}`, size: bytes.byteLength, read: memoryReader(bytes) };
  };
  const images = find('images', names.images, IMAGE_ARRAYS);
  const labels = await readNpyLabels(find('labels', names.labels, LABEL_ARRAYS));
  return npySource(images, { labels, classNames: undefined }, layout, image);
}

function unzipArrays(
  path: string,
  zip: Uint8Array,
  filter: (file: UnzipFileInfo) => boolean,
): Promise<Record<string, Uint8Array>> {
  return new Promise((resolve, reject) => {
    unzip(zip, { filter }, (error, files) => {
      if (error === null) resolve(files);
      else {
        reject(
          unreadable(
            'a complete .npz archive',
            path,
            `a damaged one (${reasonOf(error)})`,
            'Save it again with numpy.savez.',
            error,
          ),
        );
      }
    });
  });
}
