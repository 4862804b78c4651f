import { Command, Option } from 'commander';
import type { AnalyzePart, Shard } from '../../compress/analyzePart';
import type { AnalyzedLayer, AnalyzeOptions, AnalyzeResult } from '../../compress/api';
import { expected, SieveError } from '../../errors';
import { assertWritable, writeFileAtomic } from '../../files';
import { formatCount, formatIndex, printable, shorten } from '../../report/format';
import { addDataOptions, readData } from '../dataOptions';
import type { DataFlags } from '../dataOptions';
import { addCommonOptions, addRunOptions, readCommon, readRun } from '../options';
import type { CommonFlags, RunFlags } from '../options';
import { heading, renderBar, renderJson, renderTable } from '../output';
import type { Style } from '../output';
import { number } from '../values';
import type { Outcome } from '../verb';
import { verb } from '../verb';

interface AnalyzeFlags extends CommonFlags, DataFlags, RunFlags {
  readonly filters?: boolean;
  readonly epsilon?: number;
  readonly shard?: Shard;
  readonly merge?: readonly string[];
  readonly output?: string;
  readonly force?: boolean;
}

interface OutputRequest {
  readonly output?: string;
  readonly force?: boolean;
}

interface MergeRequest extends OutputRequest {
  readonly merge: readonly string[];
}

interface ModelRequest extends OutputRequest {
  readonly model: string;
  readonly options: AnalyzeOptions;
  readonly shard?: Shard;
}

type AnalyzeRequest = MergeRequest | ModelRequest;

export const analyzeVerb = verb<AnalyzeFlags, AnalyzeRequest>({
  define: () => {
    const command = new Command('analyze')
      .summary('how well the classes separate, layer by layer')
      .description(
        'Measures the Separation Index (SI) and the Center-based Separation Index (CSI) at every cut point of a model, on labelled samples, and names the layers that raise neither.',
      )
      .argument('[model]', 'the .onnx file; none with --merge')
      .addOption(new Option('--filters', 'also the SI and CSI of every single filter'))
      .addOption(
        new Option(
          '--epsilon <x>',
          'a layer is effective where it raises SI or CSI by more than this (default: 0.01)',
        ).argParser(number('--epsilon', 'a number from 0 to 1', (value) => value >= 0 && value <= 1)),
      );
    addRunOptions(command, '2000');
    command
      .addOption(new Option('-o, --output <file>', 'write the JSON document to a file as well'))
      .addOption(new Option('--force', 'replace a file that exists'))
      .optionsGroup('Several jobs:')
      .addOption(
        new Option('--shard <i/n>', 'do part i of n, from 1, and write what was counted to -o').argParser(readShard),
      )
      .addOption(new Option('--merge <parts...>', 'make the result of all n parts; needs no model and no data'));
    addDataOptions(command);
    return addCommonOptions(command).addHelpText(
      'after',
      `
Examples:
  $ onnx-sieve analyze model.onnx --data photos/
  $ onnx-sieve analyze model.onnx --data cifar10-train.tar.xz --samples 5000 --filters --json
  $ onnx-sieve analyze model.onnx --data photos/ --samples 50000 --shard 2/8 -o part2.json
  $ onnx-sieve analyze --merge part*.json --json`,
    );
  },
  read: ([model], flags) => {
    const target = { output: flags.output, force: flags.force };
    if (flags.merge !== undefined) return { merge: readMerge(flags.merge, model, flags), ...target };
    if (model === undefined) {
      throw new SieveError('ERR_USAGE', 'Expected a value for <model> but received nothing', {
        remedy: 'Run "onnx-sieve analyze --help".',
      });
    }
    if (flags.output === '' || (flags.shard !== undefined && flags.output === undefined))
      throw expected('ERR_USAGE', 'a file name', '--output', flags.output, { remedy: 'Add -o part.json.' });
    return {
      model,
      options: {
        ...readCommon(flags),
        ...readRun(flags),
        data: readData(flags),
        filters: flags.filters,
        epsilon: flags.epsilon,
      },
      shard: flags.shard,
      ...target,
    };
  },
  run: async (request, { signal, onProgress, onMessage }) => {
    const { output, force } = request;
    if (output !== undefined) await assertWritable(output, { force });
    const outcome = await ('merge' in request
      ? runMerge(request)
      : runModel(request, { ...request.options, signal, onProgress, onMessage }));
    if (output !== undefined) await writeFileAtomic(output, renderJson(outcome.document, 0), { force });
    return outcome;
  },
});

/** "2/8": the second of eight. */
function readShard(text: string): Shard {
  const [, first, second] = /^(\d+)\/(\d+)$/.exec(text.trim()) ?? [];
  const [index, count] = [Number(first), Number(second)];
  if (!Number.isSafeInteger(count) || !(index >= 1 && index <= count))
    throw expected('ERR_OPTION', 'a part and the number of parts, such as 2/8,', '--shard', text);
  return { index, count };
}

async function runMerge({ merge }: MergeRequest): Promise<Outcome> {
  const { mergeAnalyses } = await import('../../compress/analyzeMerge');
  const result = await mergeAnalyses(merge);
  return { document: result, text: (style) => renderAnalysis(result, style) };
}

async function runModel({ model, shard, output }: ModelRequest, options: AnalyzeOptions): Promise<Outcome> {
  if (shard !== undefined) {
    const { analyzeShard } = await import('../../compress/analyzeShard');
    const part = await analyzeShard(model, { ...options, shard });
    return { document: part, text: () => renderPart(part, output) };
  }
  const { analyze } = await import('../../compress/analyze');
  const result = await analyze(model, options);
  return { document: result, text: (style) => renderAnalysis(result, style) };
}

/** The parts know what was asked for; whatever else is said beside --merge would be without effect. */
const BESIDE_MERGE: readonly (keyof AnalyzeFlags)[] = ['merge', 'output', 'force', 'json', 'quiet', 'debug'];

function readMerge(parts: readonly string[], model: string | undefined, flags: AnalyzeFlags): readonly string[] {
  const refuse = (received: string): SieveError =>
    expected('ERR_USAGE', 'nothing but the parts, -o, --force and --json', '--merge', received, {
      remedy: 'The parts hold everything that the result depends on.',
    });
  if (model !== undefined) throw refuse(model);
  const other = Object.keys(flags).find((flag) => !BESIDE_MERGE.includes(flag as keyof AnalyzeFlags));
  if (other !== undefined) throw refuse(`--${other.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
  if (flags.output === '') throw expected('ERR_USAGE', 'a file name', '--output', flags.output);
  return parts;
}

function renderPart({ shard: { index, count }, run, classSamples }: AnalyzePart, output: string | undefined): string {
  const samples = classSamples.reduce((sum, counted) => sum + counted, 0);
  return [
    `Part ${index} of ${count}: ${formatCount(samples)} of ${formatCount(run.samples)} samples at ${run.layers.length} cut points, on ${run.device}\n`,
    output === undefined ? '' : `Written to ${printable(output)}\n`,
  ].join('');
}

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
    ...skippedFilters(result),
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

/** A line for each reason why there are no single filters. */
function skippedFilters({ layers }: AnalyzeResult): readonly string[] {
  const reasons = new Set(layers.flatMap(({ filtersSkipped }) => filtersSkipped ?? []));
  return [...reasons].map((reason) => {
    const [first, ...others] = layers.filter(({ filtersSkipped }) => filtersSkipped === reason);
    const more = others.length === 0 ? '' : ` and ${others.length} more`;
    return `${printable(`No single filters of ${shorten(first!.name, 44)}${more}: ${reason}`)}\n`;
  });
}

/** How many filters, and the highest and the median SI of one alone. */
function filterSummary({ filters }: AnalyzedLayer): readonly string[] {
  if (filters === undefined || filters.si.length === 0) return [];
  const sorted = [...filters.si].sort((a, b) => b - a);
  return [String(sorted.length), formatIndex(sorted[0]!), formatIndex(sorted[Math.floor(sorted.length / 2)]!)];
}
