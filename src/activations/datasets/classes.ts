import { mismatch } from './errors';
import type { ImageSource } from './source';

const REMEDY_CLASSES =
  'Use data with the classes that the model was trained on; list them in the order of its outputs with `classNames`.';

/** A label beyond it is a damaged file, not a class. */
const MOST_CLASSES = 1_000_000;

export interface LabelledClasses {
  /** One for each sample of the source, 0 .. classNames.length − 1. */
  readonly labels: Int32Array;
  readonly classNames: readonly string[];
}

/**
 * Labels as positions in the list of classes. `wanted` is the list that the caller gave: names of the source are
 * looked up in it, and where the source has none, its numbers are positions in it already.
 * Errors: ERR_DATA_MISMATCH for a name or number outside of the list.
 */
export function labelsForClasses(
  { labels, classNames: ownNames }: ImageSource,
  wanted: readonly string[] | undefined,
  classCount: number | undefined,
  path: string,
): LabelledClasses {
  if (ownNames !== undefined && wanted !== undefined) {
    const idOfName = new Map(wanted.map((name, id) => [name, id]));
    const unknown = ownNames.filter((name) => !idOfName.has(name));
    if (unknown.length > 0) {
      throw mismatch(`classes out of ${shortList(wanted)}`, `"${path}"`, shortList(unknown), REMEDY_CLASSES);
    }
    assertInRange(labels, ownNames.length, path);
    return { labels: labels.map((label) => idOfName.get(ownNames[label]!)!), classNames: wanted };
  }
  const names = wanted ?? ownNames ?? numberNames(labels, classCount, path);
  assertInRange(labels, names.length, path);
  return { labels, classNames: names };
}

/** Errors: ERR_DATA_MISMATCH where the model tells apart another number of classes than the data has. */
export function checkClassCount(classNames: readonly string[], classCount: number | undefined, path: string): void {
  if (classCount === undefined || classNames.length === classCount) return;
  throw mismatch(
    `${classCount} classes, as the model's output,`,
    `"${path}"`,
    `${classNames.length} (${shortList(classNames)})`,
    REMEDY_CLASSES,
  );
}

/** Positions of at most `limit` samples, ascending: the first of every class, then the second of every class, … */
export function limitPerClass(labels: Int32Array, limit: number): Int32Array {
  const seen = new Map<number, number>();
  const rank = labels.map((label) => {
    const count = seen.get(label) ?? 0;
    seen.set(label, count + 1);
    return count;
  });
  const order = Int32Array.from(labels.keys()).sort((left, right) => rank[left]! - rank[right]! || left - right);
  return order.slice(0, limit).sort();
}

function assertInRange(labels: Int32Array, classCount: number, path: string): void {
  const position = labels.findIndex((label) => label < 0 || label >= classCount);
  if (position < 0) return;
  throw mismatch(
    `labels from 0 to ${classCount - 1}`,
    `"${path}"`,
    `${labels[position]!} at position ${position}`,
    REMEDY_CLASSES,
  );
}

function numberNames(labels: Int32Array, classCount: number | undefined, path: string): string[] {
  const largest = labels.reduce((maximum, label) => Math.max(maximum, label), -1);
  if (classCount === undefined && largest >= MOST_CLASSES) {
    throw mismatch(
      `labels below ${MOST_CLASSES}`,
      `"${path}"`,
      `${largest}`,
      'Number the classes from 0 without gaps.',
    );
  }
  return Array.from({ length: classCount ?? largest + 1 }, (_, id) => `${id}`);
}

function shortList(names: readonly string[]): string {
  return names.length <= 6 ? names.join(', ') : `${names.slice(0, 6).join(', ')}, …`;
}
