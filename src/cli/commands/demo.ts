import { relative } from 'node:path';
import { Command, Option } from 'commander';
import type { DemoOptions, DemoResult } from '../../compress/demo';
import { formatCount, formatPercent, formatQuantity, formatSeconds } from '../../report/format';
import { EXIT } from '../exitCodes';
import { addCommonOptions, readCommon } from '../options';
import type { CommonFlags } from '../options';
import { heading, renderFacts, renderTable } from '../output';
import type { Style } from '../output';
import { verb } from '../verb';
import { renderCompression } from './compressView';

interface DemoFlags extends CommonFlags {
  readonly output?: string;
}

export const demoVerb = verb<DemoFlags, DemoOptions>({
  define: () =>
    addCommonOptions(
      new Command('demo')
        .summary('the whole method on images and a network that come with the package')
        .description(
          'Renders labelled images, compresses the network that comes with the package to half of its multiply-accumulates, compares the choice of channels with plain rankings, and writes models, data and an HTML report. Needs no data and no network access.',
        )
        .addOption(new Option('-o, --output <folder>', 'where everything goes (default: demo-output)')),
    ).addHelpText(
      'after',
      `
Examples:
  $ onnx-sieve demo
  $ onnx-sieve demo --output /tmp/sieve-demo --seed 1 --json`,
    ),
  read: (_positional, flags) => ({ ...readCommon(flags), outputDirectory: flags.output }),
  run: async (options, { signal, onProgress, onMessage, command }) => {
    const { runDemo } = await import('../../compress/demo');
    const result = await runDemo({ ...options, signal, onProgress, onMessage, command });
    const { model, ...compression } = result.compression;
    return {
      document: { ...result, compression },
      text: (style) => renderDemo({ ...result, compression: { ...compression, model } }, style),
      exitCode: compression.unmet === undefined ? EXIT.done : EXIT.budget,
    };
  },
});

export function renderDemo({ compression, comparison, files, seconds }: DemoResult, style: Style): string {
  const here = (path: string): string => relative('', path) || '.';
  return [
    renderCompression({ ...compression, output: undefined }, style),
    heading('The same budget and recovery with other rankings', style),
    renderTable(
      [
        { title: 'Criterion' },
        { title: 'MACs', align: 'right' },
        { title: 'Parameters', align: 'right' },
        { title: 'Top-1', align: 'right' },
      ],
      comparison.map((row) => [
        row.criterion,
        formatQuantity(row.macs),
        formatCount(row.parameters),
        formatPercent(row.top1),
      ]),
      style,
    ),
    heading(`Written in ${formatSeconds(seconds)}`, style),
    renderFacts(
      [
        ['Report', here(files.report)],
        ['Network', here(files.original)],
        ['Compressed', here(files.compressed)],
        ['Data', `${here(files.calibration)}, ${here(files.test)}`],
      ],
      style,
    ),
    heading('Try next', style),
    `onnx-sieve evaluate ${here(files.original)} ${here(files.compressed)} --data ${here(files.test)}\n`,
    `onnx-sieve analyze ${here(files.original)} --data ${here(files.calibration)}\n`,
  ].join('');
}
