import picocolors from 'picocolors';
import { pad, textWidth } from '../report/markdown';
import type { TableColumn } from '../report/markdown';
import { printable } from '../report/format';

/** Colours that are empty where they must not be used. */
export type Style = ReturnType<typeof picocolors.createColors>;

/** A stream as far as printing needs it. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export function styleFor(stream: TextStream, environment: NodeJS.ProcessEnv): Style {
  const wanted = (environment.NO_COLOR ?? '') === '' && environment.TERM !== 'dumb';
  return picocolors.createColors(stream.isTTY === true && wanted);
}

/** Columns aligned with spaces. Cells are data, and what a terminal would interpret in them is made visible. */
export function renderTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  style: Style,
): string {
  const clean = rows.map((row) => row.map(printable));
  const widths = columns.map(({ title }, i) =>
    Math.max(textWidth(title), ...clean.map((row) => textWidth(row[i] ?? ''))),
  );
  const line = (row: readonly string[]): string =>
    columns
      .map(({ align }, i) => pad(row[i] ?? '', widths[i]!, align))
      .join('  ')
      .trimEnd();
  return [style.bold(line(columns.map(({ title }) => title))), ...clean.map(line)].map((text) => `${text}\n`).join('');
}

export function heading(text: string, style: Style): string {
  return `\n${style.bold(style.cyan(printable(text)))}\n`;
}

/** Text of several lines, each of them safe to print. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** Lines of "name: value" with the values under each other. */
export function renderFacts(facts: readonly (readonly [string, string])[], style: Style): string {
  const width = Math.max(0, ...facts.map(([name]) => textWidth(name)));
  return facts.map(([name, value]) => `${style.dim(pad(name, width))}  ${printable(value)}\n`).join('');
}

/** Things that stay as they are, under the reason they share. */
export function renderReasons(
  items: readonly { readonly name: string; readonly reason: string }[],
  style: Style,
): string {
  const byReason = new Map<string, string[]>();
  for (const { name, reason } of items) byReason.set(reason, [...(byReason.get(reason) ?? []), name]);
  return [...byReason]
    .map(([reason, names]) => {
      const shown = names.slice(0, 4).map(printable).join(', ');
      const more = names.length > 4 ? ` and ${names.length - 4} more` : '';
      return `- ${printable(reason)}\n  ${style.dim(shown + more)}\n`;
    })
    .join('');
}

/** `fraction` of a line of blocks. */
export function renderBar(fraction: number, width = 20): string {
  const filled = Math.round(Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0)) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}

/** One JSON document and a line break. Typed arrays become arrays; what JSON has no word for (NaN) becomes null. */
export function renderJson(document: unknown, indent: number): string {
  const text = JSON.stringify(
    document,
    (_key, value: unknown) => (ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>) : value),
    indent,
  );
  return `${text}\n`;
}
