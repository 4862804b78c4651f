import { formatIndex, shorten } from '../format';
import type { ReportedLayer } from '../types';
import { html, nothing } from './markup';
import type { Html } from './markup';

/** Two bars on one scale, the first value above the second: a small chart for a card. */
export function beforeAfterBars(label: string, before: number, after: number): Html {
  const width = 200;
  const largest = Math.max(before, after, Number.MIN_VALUE);
  const bar = (value: number, y: number, role: string): Html =>
    html`<rect class="fill-track" x="0" y="${y}" width="${width}" height="9" rx="2" />
      <rect
        class="fill-${role}"
        x="0"
        y="${y}"
        width="${round((width * Math.max(0, value)) / largest)}"
        height="9"
        rx="2"
      />`;
  return html`<svg viewBox="0 0 ${width} 24" role="img" aria-label="${label}">
    ${bar(before, 0, 'before')} ${bar(after, 13, 'after')}
  </svg>`;
}

/** How many of the slots of each channel group stay. Widths are to one scale, so that large groups look large. */
export function keptBars(
  groups: readonly { readonly id: string; readonly size: number; readonly kept: number }[],
): Html {
  const rowHeight = 24;
  const labelWidth = 250;
  const barWidth = 440;
  const height = groups.length * rowHeight + 4;
  const largest = Math.max(1, ...groups.map((group) => group.size));
  const rows = groups.map(({ id, size, kept }, i) => {
    const y = i * rowHeight + 4;
    const full = (barWidth * size) / largest;
    return html`<g>
      <title>${id}: ${kept} of ${size} channels kept</title>
      <text class="mono ink" x="${labelWidth - 10}" y="${y + 12}" text-anchor="end">${shorten(id, 36)}</text>
      <rect class="fill-track" x="${labelWidth}" y="${y}" width="${round(full)}" height="16" rx="3" />
      <rect
        class="fill-after"
        x="${labelWidth}"
        y="${y}"
        width="${round((full * kept) / Math.max(1, size))}"
        height="16"
        rx="3"
      />
      <text x="${round(labelWidth + full + 8)}" y="${y + 12}">${kept} / ${size}</text>
    </g>`;
  });
  const sum = groups.reduce((total, { size, kept }) => [total[0]! + kept, total[1]! + size], [0, 0]);
  return html`<svg class="chart" viewBox="0 0 780 ${height}" role="img" aria-labelledby="kept-title kept-description">
    <title id="kept-title">Channels kept in each group</title>
    <desc id="kept-description">
      ${sum[0]!} of ${sum[1]!} channels in ${groups.length} groups are kept. The table below holds every value.
    </desc>
    ${rows}
  </svg>`;
}

/** SI and CSI along the network. Hollow marks are layers that raise neither. */
export function separationCurves(layers: readonly ReportedLayer[]): Html {
  const width = 780;
  const height = 300;
  const left = 40;
  const right = 16;
  const top = 12;
  const bottom = 34;
  const innerHeight = height - top - bottom;
  const x = (i: number): number => round(left + ((width - left - right) * i) / Math.max(1, layers.length - 1));
  const y = (value: number): number => round(top + innerHeight * (1 - value));
  const grid = [0, 0.25, 0.5, 0.75, 1].map(
    (value) =>
      html`<line class="grid" x1="${left}" x2="${width - right}" y1="${y(value)}" y2="${y(value)}" /><text
          x="${left - 8}"
          y="${y(value) + 4}"
          text-anchor="end"
          >${value}</text
        >`,
  );
  const path = (pick: (layer: ReportedLayer) => number): string =>
    layers
      .map((layer, i) => ({ i, value: pick(layer) }))
      .filter(({ value }) => Number.isFinite(value))
      .map(({ i, value }, k) => `${k === 0 ? 'M' : 'L'}${x(i)} ${y(value)}`)
      .join(' ');
  const marks = layers.map((layer, i) => {
    const idle = layer.effective ? '' : ' idle-mark';
    const title = `${i}: ${layer.name}: SI ${formatIndex(layer.si)}, CSI ${formatIndex(layer.csi)}${layer.effective ? '' : ', raises neither'}`;
    return html`<g>
      <title>${title}</title>
      ${Number.isFinite(layer.si) ? html`<circle class="si-mark${idle}" cx="${x(i)}" cy="${y(layer.si)}" r="3.5" />` : nothing}
      ${
        Number.isFinite(layer.csi)
          ? html`<rect
              class="csi-mark${idle}"
              x="${round(x(i) - 3.25)}"
              y="${round(y(layer.csi) - 3.25)}"
              width="6.5"
              height="6.5"
            />`
          : nothing
      }
    </g>`;
  });
  const step = Math.max(1, Math.ceil(layers.length / 20));
  const ticks = layers
    .map((_, i) => i)
    .filter((i) => i % step === 0)
    .map((i) => html`<text x="${x(i)}" y="${height - bottom + 17}" text-anchor="middle">${i}</text>`);
  const first = layers[0]!;
  const last = layers[layers.length - 1]!;
  return html`<svg
    class="chart"
    viewBox="0 0 ${width} ${height}"
    role="img"
    aria-labelledby="curve-title curve-description"
  >
    <title id="curve-title">Separation Index and Center-based Separation Index of every cut point</title>
    <desc id="curve-description">
      SI goes from ${formatIndex(first.si)} at ${first.name} to ${formatIndex(last.si)} at ${last.name}, CSI from
      ${formatIndex(first.csi)} to ${formatIndex(last.csi)}. The table below holds every value.
    </desc>
    ${grid} ${ticks}
    <text x="${round(left + (width - left - right) / 2)}" y="${height - 2}" text-anchor="middle">
      cut point, from the input to the output
    </text>
    <path class="csi" d="${path((layer) => layer.csi)}" />
    <path class="si" d="${path((layer) => layer.si)}" />
    ${marks}
  </svg>`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
