import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { expected, isSieveError, throwIfAborted } from '../../errors';
import type { RunControl } from '../../types';
import type { Dataset, ImageInput } from '../types';
import { openCifarBinary } from './cifarBinary';
import { checkClassCount, labelsForClasses, limitPerClass } from './classes';
import { canConvertChannels, decodeSample } from './decode';
import type { ImageTarget } from './decode';
import { mismatch, unreadable } from './errors';
import { idxLabelsPath, openIdx } from './idx';
import { openImageFolder } from './imageFolder';
import { createSampleWriter, resolveNormalization } from './normalization';
import { openNpy } from './npy';
import { openNpz } from './npz';
import type { ImageSource } from './source';
import { checkSpec, detectFormat, readSpecFile } from './spec';
import type { DatasetKind, DatasetSpec } from './spec';
import { openTarArchive } from './tarArchive';

export interface OpenDatasetOptions extends RunControl, Partial<Omit<DatasetSpec, 'path'>> {
  /** What the model takes; samples are made to fit it. */
  readonly input: ImageInput;
  /** How many classes the model tells apart, where that is known: the data must have as many. */
  readonly classCount?: number;
  /** Leave out images that can not be decoded. Every image is then decoded once on opening. Default false. */
  readonly skipCorrupt?: boolean;
  /** Bytes of decoded images to keep, so that a second pass need not decode them again. Default 512 MiB. */
  readonly cacheBytes?: number;
}

const DEFAULT_CACHE_BYTES = 512 * 2 ** 20;
/** sharp decodes in libuv's pool of threads; a few more in flight keep it busy without holding many images. */
const DECODES_IN_FLIGHT = Math.min(16, 2 * availableParallelism());
/** Values written between two breaths of the event loop: about 10 ms. */
const VALUES_PER_TURN = 4e6;

/**
 * Opens a labelled image set for one model input. `source` is a path (its kind is told by its contents) or a
 * description; the fields in `options` win over those of a description.
 *
 * Classes: ids are the sorted folder names, or the numbers in the labels. With `classNames` ids are positions in
 * that list, and folder names (or the names a format carries) are looked up in it.
 *
 * Errors: ERR_DATA_UNREADABLE, ERR_DATA_MISMATCH (labels, classes, sizes), ERR_IMAGE_CORRUPT, ERR_OPTION,
 * ERR_OUT_OF_MEMORY, ERR_CANCELLED. All but ERR_IMAGE_CORRUPT are found on opening, apart from files that can not be
 * read later.
 */
export async function openDataset(source: string | DatasetSpec, options: OpenDatasetOptions): Promise<Dataset> {
  const { input, signal } = options;
  throwIfAborted(signal);
  const spec = await resolveSpec(source, options);
  const images = await openSource(spec, options);
  if (images.count === 0) throw unreadable('at least one image', spec.path, 'none', 'Check the data.');
  const resize = spec.size === undefined ? undefined : { height: spec.size[0], width: spec.size[1] };
  const target: ImageTarget = { width: input.width, height: input.height, channels: input.channels, resize };
  assertFits(images, target, spec.path);

  const { labels, classNames } = labelsForClasses(images, spec.classNames, options.classCount, spec.path);
  checkClassCount(classNames, options.classCount, spec.path);
  const kept = spec.limit === undefined ? Int32Array.from(labels.keys()) : limitPerClass(labels, spec.limit);

  const cache = createPixelCache(images, target, options.cacheBytes ?? DEFAULT_CACHE_BYTES);
  const { usable, skipped } = options.skipCorrupt
    ? await leaveOutCorrupt(images, kept, cache, spec.path, options)
    : { usable: kept, skipped: [] };

  const element = images.pixels?.element ?? 'uint8';
  const normalization = resolveNormalization(spec, input.channels, element);
  const pixelCount = input.width * input.height;
  const write = createSampleWriter(normalization, input.layout, pixelCount);
  const sampleValues = pixelCount * input.channels;

  return {
    size: usable.length,
    classNames,
    labels: Int32Array.from(usable, (index) => labels[index]!),
    normalization,
    skipped,
    async load(indices, loadSignal) {
      const output = new Float32Array(indices.length * sampleValues);
      let written = 0;
      await forEachConcurrently(indices.length, loadSignal, async (position) => {
        const index = usable[indices[position]!];
        if (index === undefined) {
          throw expected('ERR_USAGE', `an index from 0 to ${usable.length - 1}`, 'a sample', indices[position]);
        }
        write(cache.get(index) ?? (await cache.decode(index)), output, position * sampleValues);
        written += sampleValues;
        if (written >= VALUES_PER_TURN) {
          written = 0;
          await setImmediate();
        }
      });
      return output;
    },
  };
}

async function resolveSpec(source: string | DatasetSpec, options: OpenDatasetOptions): Promise<DatasetSpec> {
  const spec = typeof source === 'string' ? await specOfPath(source, options.kind) : checkSpec(source, 'the data set');
  const given = {
    kind: options.kind,
    labels: options.labels,
    images: options.images,
    size: options.size,
    scale: options.scale,
    mean: options.mean,
    std: options.std,
    layout: options.layout,
    limit: options.limit,
    classNames: options.classNames,
  };
  const overrides = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return checkSpec({ ...spec, ...overrides }, 'the data set');
}

async function specOfPath(path: string, kind: DatasetKind | undefined): Promise<DatasetSpec> {
  const format = await detectFormat(path);
  switch (format) {
    case 'json':
      return readSpecFile(path);
    case 'folder':
    case 'tar':
    case 'tar-gzip':
    case 'tar-xz':
      return { kind: kind ?? 'image-folder', path };
    case 'npy':
    case 'npz':
    case 'idx':
    case 'cifar-binary':
      return { kind: kind ?? format, path };
  }
}

async function openSource(spec: DatasetSpec, { input, signal, onProgress }: OpenDatasetOptions): Promise<ImageSource> {
  const { path, layout } = spec;
  switch (spec.kind) {
    case 'image-folder':
      return openFolderOrArchive(path, { signal, onProgress });
    case 'npy':
      return openNpy(path, requireLabels(spec, spec.labels), layout, input);
    case 'npz':
      return openNpz(path, { images: spec.images, labels: spec.labels }, layout, input);
    case 'cifar-binary':
      return openCifarBinary(path);
    case 'idx':
      return openIdx(path, requireLabels(spec, spec.labels ?? idxLabelsPath(path)), layout, input);
  }
}

async function openFolderOrArchive(path: string, control: RunControl): Promise<ImageSource> {
  const format = await detectFormat(path);
  switch (format) {
    case 'folder':
      return openImageFolder(path, control.signal);
    case 'tar':
      return openTarArchive(path, 'none', control);
    case 'tar-gzip':
      return openTarArchive(path, 'gzip', control);
    case 'tar-xz':
      return openTarArchive(path, 'xz', control);
    default:
      throw unreadable(
        'a folder or .tar of class folders',
        path,
        `a file of kind ${format}`,
        'Correct the "kind" of the data set.',
      );
  }
}

function requireLabels({ kind, path }: DatasetSpec, labels: string | undefined): string {
  if (labels !== undefined) return labels;
  throw unreadable(
    `a file of labels with ${kind} images`,
    path,
    'none',
    'Name it: "labels" in a JSON description (--labels).',
  );
}

/** Arrays have one shape, so that what does not fit is found before any work. */
function assertFits({ pixels }: ImageSource, target: ImageTarget, path: string): void {
  const { resize } = target;
  if (resize !== undefined && (resize.width < target.width || resize.height < target.height)) {
    throw expected('ERR_OPTION', `at least [${target.height}, ${target.width}], the model's input,`, 'size', [
      resize.height,
      resize.width,
    ]);
  }
  const element = pixels?.element ?? 'uint8';
  const channels = pixels?.channels ?? 3;
  if (!canConvertChannels(channels, target.channels, element)) {
    throw mismatch(
      `images of ${target.channels} channels, as the model's input,`,
      `"${path}"`,
      `${channels} channels`,
      "Convert the images to the model's number of channels, or check the layout.",
    );
  }
  if (pixels === undefined) return;
  const sameSize = pixels.width === target.width && pixels.height === target.height;
  const resizable = resize !== undefined && element === 'uint8' && channels <= 4;
  if ((sameSize && resize === undefined) || resizable) return;
  throw mismatch(
    `images of ${target.height}×${target.width}, as the model's input,`,
    `"${path}"`,
    `${pixels.height}×${pixels.width}`,
    element === 'uint8' ? 'Give a "size" (--size) to resize them.' : 'Save the images in the size of the model.',
  );
}

interface PixelCache {
  /** Decoded already, else undefined. */
  get(index: number): Uint8Array | Float32Array | undefined;
  decode(index: number): Promise<Uint8Array | Float32Array>;
}

/**
 * Keeps what was decoded first until the room is used up: passes run over the samples in the same order, where
 * throwing out the oldest would throw out what is needed next. Arrays of floats are cheap to read and not kept.
 */
function createPixelCache(images: ImageSource, target: ImageTarget, cacheBytes: number): PixelCache {
  const sampleBytes = target.width * target.height * target.channels;
  const capacity =
    images.pixels === undefined || target.resize !== undefined ? Math.floor(cacheBytes / sampleBytes) : 0;
  const kept = new Map<number, Uint8Array | Float32Array>();
  return {
    get: (index) => kept.get(index),
    async decode(index) {
      const sample = await decodeSample(await images.read(index), target, images.name(index));
      if (kept.size < capacity) kept.set(index, sample);
      return sample;
    },
  };
}

interface UsableImages {
  readonly usable: Int32Array;
  readonly skipped: Dataset['skipped'];
}

async function leaveOutCorrupt(
  images: ImageSource,
  candidates: Int32Array,
  cache: PixelCache,
  path: string,
  { signal, onProgress }: RunControl,
): Promise<UsableImages> {
  const reasons = new Map<number, string>();
  let checked = 0;
  await forEachConcurrently(candidates.length, signal, async (position) => {
    const index = candidates[position]!;
    try {
      await cache.decode(index);
    } catch (error) {
      if (!isSieveError(error) || error.code !== 'ERR_IMAGE_CORRUPT') throw error;
      reasons.set(index, error.message);
    }
    onProgress?.({ stage: 'check images', fraction: ++checked / candidates.length });
  });
  const usable = candidates.filter((index) => !reasons.has(index));
  if (usable.length === 0) {
    throw unreadable('at least one readable image', path, `${reasons.size} corrupt ones`, 'Check the data.');
  }
  const skipped = [...reasons].sort(([left], [right]) => left - right);
  return { usable, skipped: skipped.map(([index, reason]) => ({ name: images.name(index), reason })) };
}

/** A bounded number of `task(0)` … `task(count − 1)` at a time; the first failure ends the rest. */
async function forEachConcurrently(
  count: number,
  signal: AbortSignal | undefined,
  task: (position: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      throwIfAborted(signal);
      await task(next++);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(DECODES_IN_FLIGHT, count) }, lane));
  } finally {
    next = count;
  }
}
