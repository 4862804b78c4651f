import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { expected, isSieveError, throwIfAborted } from '../../errors';
import type { RunControl } from '../../types';
import type { Dataset, DatasetSpec, ImageInput } from '../types';
import { checkClassCount, labelsForClasses, limitPerClass } from './classes';
import { canConvertChannels, decodeSample } from './decode';
import type { ImageTarget } from './decode';
import { mismatch, unreadable } from './errors';
import { createSampleWriter, resolveNormalization } from './normalization';
import type { ImageSource } from './source';

export interface DatasetOptions extends RunControl {
  /** What the model takes; samples are made to fit it. */
  readonly input: ImageInput;
  /** How many classes the model tells apart, where that is known: the data must have as many. */
  readonly classCount?: number;
  /** Bytes of decoded images to keep, so that a second pass need not decode them again. Default 512 MiB. */
  readonly cacheBytes?: number;
}

/** What a description says about samples, whatever format they come from. `path` names them in errors. */
export type SampleSpec = Pick<
  DatasetSpec,
  'path' | 'size' | 'scale' | 'mean' | 'std' | 'limit' | 'classNames' | 'skipCorrupt'
>;

const DEFAULT_CACHE_BYTES = 512 * 2 ** 20;
/** sharp decodes in libuv's pool of threads; a few more in flight keep it busy without holding many images. */
const DECODES_IN_FLIGHT = Math.min(16, 2 * availableParallelism());
/** Values written between two breaths of the event loop: about 10 ms. */
const VALUES_PER_TURN = 4e6;

/**
 * Makes the samples of a source fit one model input. With `skipCorrupt` every image is decoded once now, and those that
 * can not be are left out.
 *
 * Errors: ERR_DATA_UNREADABLE (no samples), ERR_DATA_MISMATCH (labels, classes, sizes), ERR_IMAGE_CORRUPT (from `load`),
 * ERR_OPTION, ERR_CANCELLED.
 */
export async function createDataset(images: ImageSource, spec: SampleSpec, options: DatasetOptions): Promise<Dataset> {
  const { input } = options;
  if (images.count === 0) throw unreadable('at least one image', spec.path, 'none', 'Check the data.');
  const resize = spec.size === undefined ? undefined : { height: spec.size[0], width: spec.size[1] };
  const target: ImageTarget = { width: input.width, height: input.height, channels: input.channels, resize };
  assertFits(images, target, spec.path);

  const { labels, classNames } = labelsForClasses(images, spec.classNames, options.classCount, spec.path);
  checkClassCount(classNames, options.classCount, spec.path);
  const kept = spec.limit === undefined ? Int32Array.from(labels.keys()) : limitPerClass(labels, spec.limit);

  const cache = createPixelCache(images, target, options.cacheBytes ?? DEFAULT_CACHE_BYTES);
  const { usable, skipped } = spec.skipCorrupt
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
    async load(indices, loadSignal, output = new Float32Array(indices.length * sampleValues)) {
      if (output.length !== indices.length * sampleValues)
        throw expected('ERR_SHAPE', `${indices.length * sampleValues} values`, 'the output of samples', output.length);
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
  const resizable = resize !== undefined && element === 'uint8';
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
 * throwing out the oldest would throw out what is needed next. Floats are cheap to read and not kept.
 */
function createPixelCache(images: ImageSource, target: ImageTarget, cacheBytes: number): PixelCache {
  const sampleBytes = target.width * target.height * target.channels;
  const capacity = images.pixels?.element === 'float' ? 0 : Math.floor(cacheBytes / sampleBytes);
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
