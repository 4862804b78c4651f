import { readFile } from 'node:fs/promises';
import { expected, SieveError } from '../errors';

export const PART_FORMAT = 'onnx-sieve analyze part 1';

/** One of `count` jobs that divide the samples among them; `index` counts from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** What all parts of one analysis have in common. Hashes are SHA-256 in hex. */
export interface AnalyzedRun {
  /** Of this package. */
  readonly version: string;
  readonly model: string;
  /** Of the samples as the network sees them, in their order, with their labels. */
  readonly data: string;
  readonly device: string;
  readonly epsilon: number;
  readonly filters: boolean;
  readonly samples: number;
  readonly classNames: readonly string[];
  /** The highest label of the samples + 1. */
  readonly classes: number;
  readonly layers: readonly {
    readonly name: string;
    /** Of the activations of some samples: tells machines apart that compute otherwise. */
    readonly activations: string;
    /** Filters measured one by one; 0: none. */
    readonly filters: number;
    /** Why there are none, though they were asked for. */
    readonly filtersSkipped?: string;
  }[];
}

/** Samples of the shard that count for an index; the merge adds them up. */
export interface LayerHits {
  /** SI, by class. */
  readonly si: readonly number[];
  readonly csi: number;
  /** By filter. */
  readonly filters?: { readonly si: readonly number[]; readonly csi: readonly number[] };
}

/** What `analyzeShard` found: plain data, to be written as JSON. */
export interface AnalyzePart {
  readonly format: typeof PART_FORMAT;
  readonly shard: Shard;
  readonly run: AnalyzedRun;
  /** Samples of the shard, by class. */
  readonly classSamples: readonly number[];
  /** As in `run.layers`. */
  readonly layers: readonly LayerHits[];
}

/** The samples of a shard: ranges of as equal size as can be. */
export function rowsOfShard(
  { index, count }: Shard,
  samples: number,
): { readonly first: number; readonly rows: number } {
  const at = (part: number): number => Math.floor((part * samples) / count);
  return { first: at(index - 1), rows: at(index) - at(index - 1) };
}

/**
 * Reads a part from a file and checks it.
 * Errors: ERR_DATA_UNREADABLE where the file can not be read, is cut off, or holds something else.
 */
export async function readPart(path: string): Promise<AnalyzePart> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw unreadable(path, error instanceof Error ? error.message : String(error), error);
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw unreadable(path, text === '' ? 'an empty file' : 'text that is no JSON: is it cut off?', error);
  }
  return checkPart(document, `"${path}"`);
}

/** Checks what somebody says is a part. Errors: ERR_DATA_UNREADABLE. */
export function checkPart(document: unknown, subject: string): AnalyzePart {
  const refuse = (received: string): never => {
    throw new SieveError(
      'ERR_DATA_UNREADABLE',
      `Expected a part of analyze --shard for ${subject} but received ${received}`,
      {
        remedy: 'Give the files that analyze --shard wrote, and run the job of this one again.',
      },
    );
  };
  if (!isRecord(document)) return refuse('another kind of JSON');
  if (document.format !== PART_FORMAT) return refuse(`format ${JSON.stringify(document.format) ?? 'nothing'}`);
  const { shard, run, classSamples, layers } = document;
  if (
    !isRecord(shard) ||
    !isCount(shard.index) ||
    !isCount(shard.count) ||
    shard.index < 1 ||
    shard.index > shard.count
  )
    return refuse('a wrong shard');
  if (!isRun(run)) return refuse('a wrong description of its run');
  const { rows } = rowsOfShard(shard as unknown as Shard, run.samples);
  if (!isCounts(classSamples, run.classes) || sum(classSamples) !== rows) return refuse('wrong counts of samples');
  const sizes = classSamples;
  const isLayer = (value: unknown, { filters }: AnalyzedRun['layers'][number]): boolean => {
    if (!isRecord(value) || !isCounts(value.si, sizes.length) || !isCount(value.csi) || value.csi > rows) return false;
    if (value.si.some((hits, label) => hits > sizes[label]!)) return false;
    if (filters === 0) return value.filters === undefined;
    const each = value.filters;
    if (!isRecord(each) || !isCounts(each.si, filters) || !isCounts(each.csi, filters)) return false;
    return [...each.si, ...each.csi].every((hits) => hits <= rows);
  };
  if (!Array.isArray(layers) || layers.length !== run.layers.length) return refuse('a wrong number of layers');
  const wrong = run.layers.find((layer, position) => !isLayer(layers[position], layer));
  if (wrong !== undefined) return refuse(`wrong counts for "${wrong.name}"`);
  return document as unknown as AnalyzePart;
}

/** Checks the numbers of a shard. Errors: ERR_OPTION. */
export function checkShard({ index, count }: Shard): Shard {
  if (!isCount(count) || count < 1) throw expected('ERR_OPTION', 'a whole number of at least 1', 'shard.count', count);
  if (!isCount(index) || index < 1 || index > count)
    throw expected('ERR_OPTION', `a whole number from 1 to ${count}`, 'shard.index', index);
  return { index, count };
}

function isRun(value: unknown): value is AnalyzedRun {
  if (!isRecord(value)) return false;
  const { classNames, classes, layers, epsilon, filters, samples } = value;
  const isText = (text: unknown): boolean => typeof text === 'string';
  return (
    [value.version, value.model, value.data, value.device].every(isText) &&
    typeof epsilon === 'number' &&
    typeof filters === 'boolean' &&
    isCount(samples) &&
    isCount(classes) &&
    Array.isArray(classNames) &&
    classNames.every(isText) &&
    Array.isArray(layers) &&
    layers.every(
      (layer: unknown) =>
        isRecord(layer) &&
        isText(layer.name) &&
        isText(layer.activations) &&
        isCount(layer.filters) &&
        (layer.filtersSkipped === undefined || (layer.filters === 0 && isText(layer.filtersSkipped))),
    )
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCounts(value: unknown, length: number): value is number[] {
  return Array.isArray(value) && value.length === length && value.every(isCount);
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function unreadable(path: string, reason: string, cause: unknown): SieveError {
  return new SieveError(
    'ERR_DATA_UNREADABLE',
    `Expected a part of analyze --shard for "${path}" but received ${reason}`,
    { cause, remedy: 'Give the files that analyze --shard wrote, and run the job of this one again.' },
  );
}
