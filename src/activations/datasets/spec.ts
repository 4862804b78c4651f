import { open, readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import type { DatasetSpec } from '../types';
import { unreadable, unreadableFile } from './errors';

export const DATASET_KINDS = ['image-folder', 'tar', 'npy', 'npz', 'cifar-binary', 'idx'] as const;
export type DatasetKind = (typeof DATASET_KINDS)[number];

const REMEDY_KINDS =
  'Name a folder or .tar of class folders with images, an .npz, a JSON description, or say what it is with "kind" (--kind).';

/** A JSON description; relative paths in it are relative to its own folder. Errors: ERR_DATA_UNREADABLE. */
export async function readSpecFile(path: string): Promise<DatasetSpec & { readonly kind: DatasetKind }> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw unreadableFile(path, error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unreadable('a JSON description of a data set', path, `no JSON (${(error as Error).message})`, REMEDY_KINDS);
  }
  const spec = checkSpec(value, path);
  const { kind } = spec;
  if (kind === undefined)
    throw unreadable(`one of ${DATASET_KINDS.join(', ')} in field "kind"`, path, 'nothing', REMEDY_KINDS);
  const absolute = (file: string): string => (isAbsolute(file) ? file : resolve(dirname(path), file));
  const labelsIsFile = spec.labels !== undefined && kind !== 'npz';
  return { ...spec, kind, path: absolute(spec.path), ...(labelsIsFile ? { labels: absolute(spec.labels) } : {}) };
}

type Check = readonly [what: string, isValid: (value: unknown) => boolean];

const isString = (value: unknown): boolean => typeof value === 'string' && value !== '';
const isNumberList = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every((item) => Number.isFinite(item));
const isPositiveInteger = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0;

const CHECKS: Readonly<Record<keyof DatasetSpec, Check>> = {
  kind: [`one of ${DATASET_KINDS.join(', ')}`, (value) => DATASET_KINDS.includes(value as DatasetKind)],
  path: ['a path', isString],
  labels: ['a path or an array name', isString],
  images: ['an array name', isString],
  size: ['[height, width]', (value) => Array.isArray(value) && value.length === 2 && value.every(isPositiveInteger)],
  scale: ['a number or a fraction such as "1/255"', (value) => Number.isFinite(value) || isString(value)],
  mean: ['a list of numbers', isNumberList],
  std: ['a list of numbers', isNumberList],
  layout: ['"NCHW" or "NHWC"', (value) => value === 'NCHW' || value === 'NHWC'],
  limit: ['a whole number of at least 1', isPositiveInteger],
  skipCorrupt: ['true or false', (value) => typeof value === 'boolean'],
  classNames: ['a list of names', (value) => Array.isArray(value) && value.length > 0 && value.every(isString)],
};

/** Checks a description from outside; `subject` is what to call it. Errors: ERR_DATA_UNREADABLE naming the field. */
export function checkSpec(value: unknown, subject: string): DatasetSpec {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw unreadable('a JSON object that describes a data set', subject, JSON.stringify(value), REMEDY_KINDS);
  }
  const fields = value as Record<string, unknown>;
  const known = Object.keys(CHECKS).join(', ');
  for (const field of Object.keys(fields)) {
    if (!(field in CHECKS)) {
      throw unreadable(`the fields ${known}`, subject, `a field "${field}"`, 'Remove or rename the field.');
    }
  }
  for (const [field, [what, isValid]] of Object.entries(CHECKS)) {
    const given = fields[field];
    if (given === undefined ? field === 'path' : !isValid(given)) {
      throw unreadable(
        `${what} in field "${field}"`,
        subject,
        given === undefined ? 'nothing' : JSON.stringify(given),
        'Correct the description of the data set.',
      );
    }
  }
  return fields as unknown as DatasetSpec;
}

export type FileFormat = 'folder' | 'json' | 'tar' | 'tar-gzip' | 'tar-xz' | 'npy' | 'npz' | 'idx' | 'cifar-binary';

/** What lies at `path`, by its first bytes; the name only decides where they can not. Errors: ERR_DATA_UNREADABLE. */
export async function detectFormat(path: string): Promise<FileFormat> {
  const start = await firstBytes(path);
  if (start === undefined) return 'folder';
  const text = start.toString('latin1');
  const name = path.toLowerCase();
  if (text.startsWith('\x93NUMPY')) return 'npy';
  if (text.startsWith('PK')) return 'npz';
  if (text.startsWith('\x1f\x8b')) return /idx\d|ubyte/.test(name) ? 'idx' : 'tar-gzip';
  if (text.startsWith('\xfd7zXZ\0')) return 'tar-xz';
  if (text.slice(257, 262) === 'ustar' || name.endsWith('.tar')) return 'tar';
  if (/^\0\0\x08[\x01-\x04]/.test(text)) return 'idx';
  if (/^(?:\xef\xbb\xbf)?\s*\{/.test(text) || name.endsWith('.json')) return 'json';
  if (name.endsWith('.bin')) return 'cifar-binary';
  throw unreadable('a data set', path, start.length === 0 ? 'an empty file' : 'a file of another kind', REMEDY_KINDS);
}

/** undefined for a folder. */
async function firstBytes(path: string): Promise<Buffer | undefined> {
  try {
    if ((await stat(path)).isDirectory()) return undefined;
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(512), 0, 512, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw unreadableFile(path, error);
  }
}
