import {
  formatBytes,
  formatCount,
  formatIndex,
  formatNumber,
  formatPercent,
  formatPoints,
  formatQuantity,
  formatRatio,
  formatSeconds,
} from '../format';
import type { ReportContext, ReportedResult, ReportedSide } from '../types';
import { beforeAfterBars, keptBars, separationCurves } from './charts';
import { html, nothing } from './markup';
import type { Html } from './markup';
import { STYLE } from './style';

/** Rows beyond this stay in the table only: a chart of hundreds of rows is no chart any more. */
const CHART_ROWS = 80;

/**
 * The report of a compression as ONE HTML file: no scripts, nothing loaded from elsewhere (its own content security
 * policy forbids both), charts as SVG with a title, a description and a table beside each. All text is escaped.
 */
export function renderHtmlReport(result: ReportedResult, context: ReportContext): string {
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="generator" content="onnx-sieve ${context.environment.version}" />
        <title>${context.model}: compression report</title>
        <style>
          ${{ markup: STYLE }}
        </style>
      </head>
      <body>
        <main>
          ${head(result, context)} ${cards(result)} ${separation(context)} ${channels(result)} ${stages(result)}
          ${kept(result)} ${environment(result, context)}
          <footer>
            Made by onnx-sieve ${context.environment.version} on ${isoMinute(context.createdAt)}. Top-1 is measured on
            ${formatCount(result.validationSamples)} validation samples; speed is the median of paired runs on the
            machine above.
          </footer>
        </main>
      </body>
    </html> `;
  return page.markup;
}

function head(result: ReportedResult, context: ReportContext): Html {
  const { before, after } = result;
  const notice =
    result.unmet === undefined
      ? nothing
      : html`<div class="notice" role="note">
          <h2>The budget was not met</h2>
          <p>${result.unmet}</p>
        </div>`;
  return html`<header>
      <p class="eyebrow">onnx-sieve compression report</p>
      <h1>${context.model}</h1>
      <p class="lead">
        ${change(before.macs, after.macs, 'multiply-accumulates')},
        ${change(before.parameters, after.parameters, 'parameters')}, measured speed ${formatRatio(result.speedRatio)};
        top-1 ${formatPercent(before.top1)} → ${formatPercent(after.top1)} (${formatPoints(after.top1 - before.top1)}
        points).
      </p>
    </header>
    ${notice}`;
}

function change(before: number, after: number, what: string): string {
  const fraction = before === 0 ? 0 : (before - after) / before;
  return `${formatPercent(Math.abs(fraction), 1)} ${fraction < 0 ? 'more' : 'fewer'} ${what}`;
}

interface Measure {
  readonly title: string;
  readonly pick: (side: ReportedSide) => number;
  readonly format: (value: number) => string;
  readonly summary: (before: number, after: number) => { readonly text: string; readonly better: boolean };
}

function cards(result: ReportedResult): Html {
  const share = (before: number, after: number): { text: string; better: boolean } => ({
    text: before === 0 ? '–' : `${formatPercent(after / before, 1)} of before`,
    better: after <= before,
  });
  const measures: readonly Measure[] = [
    { title: 'Parameters', pick: (side) => side.parameters, format: formatQuantity, summary: share },
    { title: 'MACs per image', pick: (side) => side.macs, format: formatQuantity, summary: share },
    { title: 'File size', pick: (side) => side.bytes, format: formatBytes, summary: share },
    {
      title: 'Images per second',
      pick: (side) => side.imagesPerSecond,
      format: formatNumber,
      summary: () => ({ text: `${formatRatio(result.speedRatio)} the speed`, better: result.speedRatio >= 1 }),
    },
    {
      title: 'Top-1 accuracy',
      pick: (side) => side.top1,
      format: (value) => formatPercent(value),
      summary: (before, after) => ({ text: `${formatPoints(after - before)} points`, better: after >= before }),
    },
  ];
  const card = ({ title, pick, format, summary }: Measure): Html => {
    const before = pick(result.before);
    const after = pick(result.after);
    const { text, better } = summary(before, after);
    return html`<article class="card">
      <h2>${title}</h2>
      <p class="value">${format(after)}</p>
      <p class="change"><span class="${better ? 'good' : 'bad'}">${text}</span><br />before: ${format(before)}</p>
      ${beforeAfterBars(`${title}: ${format(before)} before, ${format(after)} after`, before, after)}
    </article>`;
  };
  const swatch = (role: string): Html =>
    html`<svg viewBox="0 0 24 12" aria-hidden="true">
      <rect class="fill-${role}" y="2" width="24" height="8" rx="2" />
    </svg>`;
  return html`<div class="cards">${measures.map(card)}</div>
    <ul class="legend key">
      <li>${swatch('before')}before</li>
      <li>${swatch('after')}after</li>
    </ul>`;
}

function separation(context: ReportContext): Html {
  const layers = context.separation;
  if (layers === undefined || layers.length === 0) return nothing;
  const idle = layers.filter((layer) => !layer.effective).length;
  const mark = (name: 'si' | 'csi'): Html =>
    html`<svg viewBox="0 0 24 12" aria-hidden="true">
      <line class="${name}" x1="0" x2="24" y1="6" y2="6" />
      ${
        name === 'si'
          ? html`<circle class="si-mark" cx="12" cy="6" r="3.5" />`
          : html`<rect class="csi-mark" x="8.75" y="2.75" width="6.5" height="6.5" />`
      }
    </svg>`;
  return html`<section>
    <h2>Where the classes separate</h2>
    <p class="hint">
      SI is the share of samples whose nearest neighbour has their class, CSI the share whose nearest class centre is
      their own; measured on the original network.
      ${idle === 0 ? 'Every layer raises at least one of them.' : `Hollow marks: ${idle} of ${layers.length} cut points raise neither.`}
    </p>
    <ul class="legend">
      <li>${mark('si')}SI</li>
      <li>${mark('csi')}CSI</li>
    </ul>
    <div class="scroll">${separationCurves(layers)}</div>
    <details>
      <summary>Values as a table</summary>
      ${table(
        [
          { title: '#', numeric: true },
          { title: 'Cut point', name: true },
          { title: 'SI', numeric: true },
          { title: 'CSI', numeric: true },
          { title: 'Raises SI or CSI' },
        ],
        layers.map((layer, i) => [
          String(i),
          layer.name,
          formatIndex(layer.si),
          formatIndex(layer.csi),
          layer.effective ? 'yes' : 'no',
        ]),
      )}
    </details>
  </section>`;
}

function channels(result: ReportedResult): Html {
  const { groups, removed } = result;
  const layers =
    removed.layers.length === 0
      ? nothing
      : html`<section>
          <h2>Layers removed</h2>
          <ul class="plain">
            ${removed.layers.map((name) => html`<li class="name">${name}</li>`)}
          </ul>
        </section>`;
  if (groups.length === 0) return layers;
  const cut = groups.filter((group) => group.kept < group.size);
  const shown = groups.length <= CHART_ROWS ? groups : cut.slice(0, CHART_ROWS);
  const left = groups.length - shown.length;
  return html`<section>
      <h2>Channels kept</h2>
      <p class="hint">
        A group is the channels that must go together, through additions and concatenations. ${cut.length} of
        ${groups.length} groups were cut, chosen by
        “${result.criterion}”.${left > 0 ? ` ${left} more groups are in the table.` : ''}
      </p>
      ${shown.length > 0 ? html`<div class="scroll">${keptBars(shown)}</div>` : nothing}
      <details>
        <summary>Values as a table</summary>
        ${table(
          [
            { title: 'Group', name: true },
            { title: 'Channels', numeric: true },
            { title: 'Kept', numeric: true },
            { title: 'Share', numeric: true },
          ],
          groups.map(({ id, size, kept }) => [
            id,
            String(size),
            String(kept),
            formatPercent(kept / Math.max(1, size), 1),
          ]),
        )}
      </details>
    </section>
    ${layers}`;
}

function stages(result: ReportedResult): Html {
  if (result.stages.length === 0) return nothing;
  const { verification } = result;
  const seconds = result.stages.reduce((sum, stage) => sum + stage.seconds, 0);
  return html`<section>
    <h2>Stages</h2>
    <p class="hint">
      Top-1 after each stage, on the validation samples. ${formatSeconds(seconds)} in all. Before recovery the cut
      network was compared with the original whose removed channels are set to zero, on ${verification.samples} samples:
      largest difference ${verification.maxRelativeDifference.toExponential(1)} of the output's scale,
      ${verification.tolerance.toExponential(0)} allowed.
    </p>
    ${table(
      [
        { title: 'Stage' },
        { title: 'Top-1', numeric: true },
        { title: 'Against the original', numeric: true },
        { title: 'Time', numeric: true },
      ],
      result.stages.map((stage) => [
        stage.name,
        formatPercent(stage.top1),
        Number.isFinite(stage.top1) ? `${formatPoints(stage.top1 - result.before.top1)} points` : '–',
        formatSeconds(stage.seconds),
      ]),
    )}
  </section>`;
}

/** What was left as it is, under its reason: models repeat one reason for many layers. */
function kept(result: ReportedResult): Html {
  if (result.notCut.length === 0) return nothing;
  const byReason = new Map<string, string[]>();
  for (const { name, reason } of result.notCut) {
    const names = byReason.get(reason);
    if (names === undefined) byReason.set(reason, [name]);
    else names.push(name);
  }
  const names = (all: readonly string[]): Html =>
    html`<ul class="plain">
      ${all.map((name) => html`<li class="name">${name}</li>`)}
    </ul>`;
  const item = (reason: string, all: readonly string[]): Html =>
    all.length <= 3
      ? html`<p>${reason}</p>
          ${names(all)}`
      : html`<details>
          <summary>${reason} (${all.length})</summary>
          ${names(all)}
        </details>`;
  return html`<section>
    <h2>What was not cut, and why</h2>
    ${[...byReason].map(([reason, all]) => item(reason, all))}
  </section>`;
}

function environment(result: ReportedResult, context: ReportContext): Html {
  const { environment: machine } = context;
  const facts: readonly (readonly [string, string])[] = [
    ['Processor', `${machine.cpuModel}, ${machine.cpuThreads} threads`],
    ['Memory', formatBytes(machine.memoryBytes)],
    ['System', machine.platform],
    ['Device', result.device],
    [
      'Versions',
      `onnx-sieve ${machine.version}, ONNX Runtime ${machine.onnxruntime ?? 'unknown'}, Node ${machine.node}`,
    ],
    ['Criterion', result.criterion],
    [
      'Samples',
      `${formatCount(result.calibrationSamples)} for calibration, ${formatCount(result.validationSamples)} for validation`,
    ],
    ['Seed', String(result.seed)],
    ...(result.output === undefined ? [] : [['Written to', result.output] as const]),
  ];
  return html`<section>
    <h2>How this was measured</h2>
    <dl>
      ${facts.map(
        ([term, value]) =>
          html`<dt>${term}</dt>
            <dd>${value}</dd>`,
      )}
    </dl>
    ${context.command === undefined ? nothing : html`<pre>${context.command}</pre>`}
  </section>`;
}

interface Column {
  readonly title: string;
  readonly numeric?: boolean;
  readonly name?: boolean;
}

function table(columns: readonly Column[], rows: readonly (readonly string[])[]): Html {
  const kind = (column: Column): string => (column.numeric ? 'number' : column.name ? 'name' : 'text');
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          ${columns.map((column) => html`<th scope="col" class="${column.numeric ? 'number' : 'text'}">${column.title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((cell, i) => html`<td class="${kind(columns[i]!)}">${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function isoMinute(date: Date): string {
  return `${date.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
