/** Numbers as people read them. One place, so that terminal, Markdown and HTML say the same. */

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 269722 → "269,722". */
export function formatCount(value: number): string {
  return WHOLE.format(value);
}

/** 40813184 → "40.8 M": three significant digits at least. */
export function formatQuantity(value: number): string {
  return scaled(value, 1000, ['', ' k', ' M', ' G', ' T', ' P']);
}

/** 1117389 → "1.07 MiB". */
export function formatBytes(value: number): string {
  return scaled(value, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB']);
}

/** 0.88125 → "88.13 %". */
export function formatPercent(fraction: number, digits = 2): string {
  return Number.isFinite(fraction) ? `${(100 * fraction).toFixed(digits)} %` : '–';
}

/** An accuracy difference in percentage points, with its sign: −0.0125 → "−1.25". */
export function formatPoints(difference: number): string {
  const text = Math.abs(100 * difference).toFixed(2);
  if (Number(text) === 0) return '±0.00';
  return (difference < 0 ? '−' : '+') + text;
}

/** 1.284 → "1.28×". */
export function formatRatio(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(2)}×` : '–';
}

/** An index in [0, 1] with three digits: 0.25 → "0.250". */
export function formatIndex(value: number): string {
  return Number.isFinite(value) ? value.toFixed(3) : '–';
}

/** Three significant digits for small values, whole numbers for large ones. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 1000) return formatCount(value);
  return value === 0 ? '0' : Number(value.toPrecision(3)).toString();
}

/** 95.3 → "1 min 35 s". */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/**
 * Text that is safe to print: line breaks become spaces, other control characters (a terminal's escape sequences
 * among them) and the characters that reorder text are written out as \u{…}. Names in models are not to be trusted.
 */
export function printable(text: string): string {
  return text
    .replace(/[\r\n\t]+/g, ' ')
    .replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}

/** Long names keep their end, which is what tells one layer from another. */
export function shorten(text: string, length: number): string {
  const characters = [...text];
  return characters.length <= length ? text : `…${characters.slice(characters.length - length + 1).join('')}`;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let power = 0;
  let rest = value;
  // 999.5 and more would be written with four digits.
  while (Math.abs(rest) >= (base === 1000 ? 999.5 : base) && power < units.length - 1) {
    rest /= base;
    power++;
  }
  const digits = power === 0 ? 0 : Math.abs(rest) < 10 ? 2 : Math.abs(rest) < 100 ? 1 : 0;
  return `${rest.toFixed(digits)}${units[power]}`;
}
