import type { CompressResult } from '../../compress/api';
import {
  formatBytes,
  formatCount,
  formatNumber,
  formatPercent,
  formatPoints,
  formatQuantity,
  formatRatio,
  formatSeconds,
  printable,
  shorten,
} from '../../report/format';
import { heading, renderBar, renderReasons, renderTable } from '../output';
import type { Style } from '../output';

/** Before and after, what went from each group, the stages, and what stayed and why. */
export function renderCompression(result: CompressResult, style: Style): string {
  const { before, after } = result;
  const share = (from: number, to: number): string => (from === 0 ? '–' : `${formatPercent(to / from, 1)} kept`);
  const cut = result.groups.filter((group) => group.kept < group.size);
  return [
    renderTable(
      [
        { title: 'Measure' },
        { title: 'Before', align: 'right' },
        { title: 'After', align: 'right' },
        { title: 'Change', align: 'right' },
      ],
      [
        [
          'Parameters',
          formatCount(before.parameters),
          formatCount(after.parameters),
          share(before.parameters, after.parameters),
        ],
        ['MACs per image', formatQuantity(before.macs), formatQuantity(after.macs), share(before.macs, after.macs)],
        ['File', formatBytes(before.bytes), formatBytes(after.bytes), share(before.bytes, after.bytes)],
        [
          'Images per second',
          formatNumber(before.imagesPerSecond),
          formatNumber(after.imagesPerSecond),
          formatRatio(result.speedRatio),
        ],
        [
          'Top-1',
          formatPercent(before.top1),
          formatPercent(after.top1),
          `${formatPoints(after.top1 - before.top1)} points`,
        ],
      ],
      style,
    ),
    style.dim(
      `${result.criterion}, ${formatCount(result.calibrationSamples)} calibration and ${formatCount(result.validationSamples)} validation samples, on ${result.device}\n`,
    ),
    heading(`Channels kept (${cut.length} of ${result.groups.length} groups were cut)`, style),
    renderTable(
      [{ title: 'Group' }, { title: 'Channels', align: 'right' }, { title: 'Kept', align: 'right' }, { title: '' }],
      cut.map(({ id, size, kept }) => [shorten(id, 52), String(size), String(kept), renderBar(kept / size)]),
      style,
    ),
    result.removed.layers.length === 0
      ? ''
      : heading('Layers removed', style) + result.removed.layers.map((name) => `- ${printable(name)}\n`).join(''),
    heading('Stages', style),
    renderTable(
      [{ title: 'Stage' }, { title: 'Top-1', align: 'right' }, { title: 'Time', align: 'right' }],
      result.stages.map((stage) => [stage.name, formatPercent(stage.top1), formatSeconds(stage.seconds)]),
      style,
    ),
    style.dim(
      `The cut graph equals the masked original within ${result.verification.maxRelativeDifference.toExponential(1)} of the output's scale (${result.verification.samples} samples, ${result.verification.tolerance.toExponential(0)} allowed).\n`,
    ),
    result.notCut.length === 0 ? '' : heading('What was not cut, and why', style) + renderReasons(result.notCut, style),
    result.unmet === undefined ? '' : `\n${style.red(`Budget not met: ${printable(result.unmet)}`)}\n`,
    result.output === undefined ? '' : `\nWritten to ${printable(result.output)}\n`,
  ].join('');
}
