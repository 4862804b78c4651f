export interface TableColumn {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/**
 * A GitHub-flavoured Markdown table, padded so that it reads as plain text too. Cells are text: what Markdown would
 * interpret is escaped.
 */
export function renderMarkdownTable(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): string {
  const cells = [columns.map((column) => column.title), ...rows].map((row) => row.map(escapeMarkdown));
  const widths = columns.map((_, i) => Math.max(3, ...cells.map((row) => textWidth(row[i] ?? ''))));
  const line = (row: readonly string[]): string =>
    `| ${columns.map((column, i) => pad(row[i] ?? '', widths[i]!, column.align)).join(' | ')} |`;
  const rule = columns.map(({ align }, i) =>
    align === 'right' ? `${'-'.repeat(widths[i]! - 1)}:` : '-'.repeat(widths[i]!),
  );
  return [line(cells[0]!), `| ${rule.join(' | ')} |`, ...cells.slice(1).map(line)].join('\n') + '\n';
}

/** `text` filled up with spaces to `width` characters. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const fill = ' '.repeat(Math.max(0, width - textWidth(text)));
  return align === 'right' ? fill + text : text + fill;
}

/** Characters, not UTF-16 units. */
export function textWidth(text: string): number {
  return [...text].length;
}

function escapeMarkdown(text: string): string {
  return text.replace(/[\\|`*<[]/g, '\\$&').replace(/\s*[\r\n]+\s*/g, ' ');
}
