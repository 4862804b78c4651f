import { expected } from '../errors';
import type { SieveError } from '../errors';

/** Parsers of option values. Each is strict (the whole text must be meant) and names its option in the error. */
export type ValueParser<T> = (text: string) => T;

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

const BYTE_UNITS: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

export function number(
  option: string,
  what = 'a number',
  accepts = (value: number): boolean => Number.isFinite(value),
): ValueParser<number> {
  return (text) => {
    const value = NUMBER.test(text.trim()) ? Number(text) : Number.NaN;
    if (Number.isNaN(value) || !accepts(value)) throw refuse(option, what, text);
    return value;
  };
}

/** A share to keep: above 0, at most 1. */
export function fraction(option: string): ValueParser<number> {
  return number(
    option,
    'a fraction to keep, above 0 and at most 1 (0.5 keeps half)',
    (value) => value > 0 && value <= 1,
  );
}

export function integer(option: string, minimum: number): ValueParser<number> {
  const what = minimum === 0 ? 'a whole number, 0 or more' : `a whole number, ${minimum} or more`;
  return (text) => {
    const value = /^\+?\d+$/.test(text.trim()) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < minimum) throw refuse(option, what, text);
    return value;
  };
}

/** "1500000", "1.5MB" or "2GiB" as bytes. */
export function byteCount(option: string): ValueParser<number> {
  return (text) => {
    const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
    const factor = BYTE_UNITS[unit === '' ? 'b' : (unit?.toLowerCase() ?? '')];
    const value = digits === undefined || factor === undefined ? Number.NaN : Math.floor(Number(digits) * factor);
    if (!Number.isSafeInteger(value) || value < 1) {
      throw refuse(option, 'a size in bytes, such as 1500000, 1.5MB or 2GiB', text);
    }
    return value;
  };
}

export function choice<T extends string>(option: string, choices: readonly T[]): ValueParser<T> {
  return (text) => {
    const found = choices.find((name) => name === text);
    if (found === undefined) throw refuse(option, `one of ${choices.join(', ')}`, text);
    return found;
  };
}

/** An option that may be given several times: its values in order. */
export function repeated<T>(one: ValueParser<T>): (text: string, previous?: readonly T[]) => readonly T[] {
  return (text, previous = []) => [...previous, one(text)];
}

/** "0.485,0.456,0.406" */
export function numberList(option: string, accepts?: (value: number) => boolean): ValueParser<readonly number[]> {
  const what = accepts === undefined ? 'numbers separated by commas' : 'numbers above 0, separated by commas';
  const one = number(option, what, accepts);
  return (text) => {
    try {
      return text.split(',').map(one);
    } catch {
      throw refuse(option, what, text);
    }
  };
}

/** "cat,dog" */
export function nameList(option: string): ValueParser<readonly string[]> {
  return (text) => {
    const names = text.split(',').map((name) => name.trim());
    if (names.includes('')) throw refuse(option, 'names separated by commas', text);
    return names;
  };
}

/** "32,32" or "32x32", or one number for both: [height, width]. */
export function imageSize(option: string): ValueParser<readonly [number, number]> {
  return (text) => {
    const [, first, second] = /^(\d+)(?:[,x](\d+))?$/i.exec(text.trim()) ?? [];
    const height = Number(first);
    const width = second === undefined ? height : Number(second);
    if (!(height >= 1 && width >= 1)) throw refuse(option, 'a height and a width in pixels, such as 32,32', text);
    return [height, width];
  };
}

/** "0.00392", or a fraction such as "1/255", which stays exact as text. */
export function scale(option: string): ValueParser<number | string> {
  return (text) => {
    const parts = text.split('/').map((part) => (NUMBER.test(part.trim()) ? Number(part) : Number.NaN));
    const value = parts.length === 1 ? parts[0]! : parts.length === 2 ? parts[0]! / parts[1]! : Number.NaN;
    if (!Number.isFinite(value) || value <= 0) {
      throw refuse(option, 'a number above 0 or a fraction such as 1/255', text);
    }
    return parts.length === 1 ? value : text.replace(/\s/g, '');
  };
}

function refuse(option: string, what: string, text: string): SieveError {
  return expected('ERR_OPTION', what, option, text);
}
