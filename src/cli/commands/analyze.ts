import { Command, Option } from 'commander';
import type { AnalyzedLayer, AnalyzeOptions, AnalyzeResult } from '../../compress/api';
import { formatCount, formatIndex, shorten } from '../../report/format';
import { addDataOptions, readData } from '../dataOptions';
import type { DataFlags } from '../dataOptions';
import { addCommonOptions, addRunOptions, readCommon, readRun } from '../options';
import type { CommonFlags, RunFlags } from '../options';
import { heading, renderBar, renderTable } from '../output';
import type { Style } from '../output';
import { number } from '../values';
import { verb } from '../verb';

interface AnalyzeFlags extends CommonFlags, DataFlags, RunFlags {
  readonly filters?: boolean;
  readonly epsilon?: number;
}

interface AnalyzeRequest {
  readonly model: string;
  readonly options: AnalyzeOptions;
}

export const analyzeVerb = verb<AnalyzeFlags, AnalyzeRequest>({
  define: () => {
    const command = new Command('analyze')
      .summary('how well the classes separate, layer by layer')
      .description(
        'Measures the Separation Index (SI) and the Center-based Separation Index (CSI) at every cut point of a model, on labelled samples, and names the layers that raise neither.',
      )
      .argument('<model>', 'the .onnx file')
      .addOption(new Option('--filters', 'also the SI and CSI of every single filter'))
      .addOption(
        new Option(
          '--epsilon <x>',
          'a layer is effective where it raises SI or CSI by more than this (default: 0.01)',
        ).argParser(number('--epsilon', 'a number from 0 to 1', (value) => value >= 0 && value <= 1)),
      );
    addRunOptions(command, '2000');
    addDataOptions(command);
    return addCommonOptions(command).addHelpText(
      'after',
      `
Examples:
  $ onnx-sieve analyze model.onnx --data photos/
  $ onnx-sieve analyze model.onnx --data cifar10-train.tar.xz --samples 5000 --filters --json`,
    );
  },
  read: ([model], flags) => ({
    model: model!,
    options: {
      ...readCommon(flags),
      ...readRun(flags),
      data: readData(flags),
      filters: flags.filters,
      epsilon: flags.epsilon,
    },
  }),
  run: async ({ model, options }, { signal, onProgress, onMessage }) => {
    const { analyze } = await import('../../compress/analyze');
    const result = await analyze(model, { ...options, signal, onProgress, onMessage });
    return { document: result, text: (style) => renderAnalysis(result, style) };
  },
});

export function renderAnalysis(result: AnalyzeResult, style: Style): string {
  const idle = result.layers.filter((layer) => !layer.effective);
  const hardest = hardestClass(result);
  const withFilters = result.layers.some((layer) => layer.filters !== undefined);
  return [
    `${formatCount(result.samples)} samples of ${result.classNames.length} classes, on ${result.device}\n`,
    heading('Separation of the classes', style),
    renderTable(
      [
        { title: 'Cut point' },
        { title: 'SI', align: 'right' },
        { title: '' },
        { title: 'CSI', align: 'right' },
        { title: '' },
        { title: 'Effective' },
        ...(withFilters
          ? [
              { title: 'Filters', align: 'right' as const },
              { title: 'Best SI', align: 'right' as const },
              { title: 'Median SI', align: 'right' as const },
            ]
          : []),
      ],
      result.layers.map((layer) => [
        shorten(layer.name, 44),
        formatIndex(layer.si),
        renderBar(layer.si),
        formatIndex(layer.csi),
        renderBar(layer.csi),
        layer.effective ? 'yes' : 'no',
        ...(withFilters ? filterSummary(layer) : []),
      ]),
      style,
    ),
    heading('Summary', style),
    idle.length === 0
      ? 'Every layer raises SI or CSI.\n'
      : `${idle.length} of ${result.layers.length} cut points raise neither SI nor CSI.\n`,
    hardest === undefined ? '' : `Hardest class at the end: ${hardest}\n`,
  ].join('');
}

function hardestClass({ layers, classNames }: AnalyzeResult): string | undefined {
  const scores = (layers[layers.length - 1]?.perClass ?? []).map((score, id) => ({ score, id }));
  const lowest = scores.filter(({ score }) => Number.isFinite(score)).sort((a, b) => a.score - b.score)[0];
  return lowest === undefined ? undefined : `${classNames[lowest.id] ?? lowest.id} (SI ${formatIndex(lowest.score)})`;
}

/** How many filters, and the highest and the median SI of one alone. */
function filterSummary({ filters }: AnalyzedLayer): readonly string[] {
  if (filters === undefined || filters.si.length === 0) return [];
  const sorted = [...filters.si].sort((a, b) => b - a);
  return [String(sorted.length), formatIndex(sorted[0]!), formatIndex(sorted[Math.floor(sorted.length / 2)]!)];
}
