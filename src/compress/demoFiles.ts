import { lstat, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderedDataset } from '../activations/datasets/rendered';
import { RENDERED_SIDE, type RenderedSplit } from '../activations/datasets/renderedImage';
import type { DatasetSpec } from '../activations/types';
import { expected, SieveError, throwIfAborted } from '../errors';
import { writeFileAtomic } from '../files';

/** What the demo writes, besides its list of these names. */
export const DEMO_FILES = {
  original: 'original.onnx',
  compressed: 'compressed.onnx',
  report: 'report.html',
  calibrationImages: 'calibration.bin',
  calibration: 'calibration.json',
  testImages: 'test.bin',
  test: 'test.json',
} as const;

/** Says which files of the folder are the demo's own, so that the next run may replace these and no others. */
const LIST_FILE = 'onnx-sieve-demo.json';

/**
 * Makes the folder where it is missing and checks that writing the demo's files there replaces nothing but files of an
 * earlier demo. Errors: ERR_OUTPUT_EXISTS, ERR_OUTPUT_UNWRITABLE.
 */
export async function claimFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new SieveError('ERR_OUTPUT_UNWRITABLE', `Expected a folder for the demo's output but received "${folder}"`, {
      cause: error,
      remedy: 'Choose a folder you may write to.',
    });
  }
  const owned = await ownedNames(folder);
  for (const name of Object.values(DEMO_FILES)) {
    if (!owned.has(name) && (await exists(join(folder, name)))) throw foreign(join(folder, name));
  }
  const list = { writtenBy: 'onnx-sieve demo', files: Object.values(DEMO_FILES) };
  await writeFileAtomic(join(folder, LIST_FILE), `${JSON.stringify(list, null, 2)}\n`, { force: owned.size > 0 });
}

async function ownedNames(folder: string): Promise<ReadonlySet<string>> {
  const path = join(folder, LIST_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Set();
    throw foreign(path, error);
  }
  let list: { files?: unknown } | null;
  try {
    list = JSON.parse(text) as { files?: unknown } | null;
  } catch (error) {
    throw foreign(path, error);
  }
  if (!Array.isArray(list?.files)) throw foreign(path);
  return new Set(list.files as readonly string[]);
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function foreign(path: string, cause?: unknown): SieveError {
  return expected('ERR_OUTPUT_EXISTS', 'no file that something else has written', "the demo's output", path, {
    cause,
    remedy: 'Choose another folder, or move that file away.',
  });
}

export interface ImageFileOptions {
  readonly split: RenderedSplit;
  readonly size: number;
  readonly seed: number;
  /** How the network wants its pixels. */
  readonly normalization: Pick<DatasetSpec, 'scale' | 'mean' | 'std'>;
  readonly signal?: AbortSignal;
  readonly onFraction?: (fraction: number) => void;
}

/**
 * Renders images into a file in the binary layout of CIFAR-10 and writes the description that every verb takes as
 * `--data` beside it. The description that is returned has the full path.
 */
export async function writeImages(
  folder: string,
  names: { readonly images: string; readonly description: string },
  { split, size, seed, normalization, signal, onFraction }: ImageFileOptions,
): Promise<DatasetSpec> {
  const source = renderedDataset({ split, size, seed });
  const plane = RENDERED_SIDE * RENDERED_SIDE;
  const records = new Uint8Array(size * (1 + 3 * plane));
  for (let index = 0, at = 0; index < size; index++) {
    throwIfAborted(signal);
    const { data } = await source.read(index);
    records[at++] = source.labels[index]!;
    for (let channel = 0; channel < 3; channel++) {
      for (let pixel = 0; pixel < plane; pixel++) records[at++] = data[pixel * 3 + channel]!;
    }
    if (index % 100 === 99) onFraction?.((index + 1) / size);
  }
  await writeFileAtomic(join(folder, names.images), records, { force: true });

  const description: DatasetSpec = {
    kind: 'cifar-binary',
    path: names.images,
    ...normalization,
    classNames: source.classNames,
  };
  await writeFileAtomic(join(folder, names.description), `${JSON.stringify(description, null, 2)}\n`, { force: true });
  return { ...description, path: join(folder, names.images) };
}
