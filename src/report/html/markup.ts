/**
 * HTML as values: a template whose holes are escaped unless they are HTML already. Names in a report come from
 * model files and are not to be trusted, so no other way of putting text into a page exists here.
 */
export interface Html {
  readonly markup: string;
}

type Hole = string | number | Html | readonly Html[];

export function html(parts: TemplateStringsArray, ...holes: readonly Hole[]): Html {
  return { markup: String.raw({ raw: parts }, ...holes.map(toMarkup)) };
}

export const nothing: Html = { markup: '' };

export function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return (
    text
      .replace(/[&<>"']/g, (char) => entities[char]!)
      // Not allowed in HTML at all, or able to reorder what is shown.
      .replace(/[\0-\x08\v\f\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]/g, '\ufffd')
  );
}

function toMarkup(hole: Hole): string {
  if (typeof hole === 'number') return escapeHtml(String(hole));
  if (typeof hole === 'string') return escapeHtml(hole);
  return 'markup' in hole ? hole.markup : hole.map((part) => part.markup).join('\n');
}
