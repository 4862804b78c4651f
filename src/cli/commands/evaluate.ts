import { Command, Option } from 'commander';
import type { EvaluatedModel, EvaluatedPair, EvaluateOptions } from '../../compress/api';
import { formatCount, formatNumber, formatPercent, formatPoints, formatRatio } from '../../report/format';
import { addDataOptions, readData } from '../dataOptions';
import type { DataFlags } from '../dataOptions';
import { addCommonOptions, addRunOptions, readCommon, readRun } from '../options';
import type { CommonFlags, RunFlags } from '../options';
import { heading, renderTable } from '../output';
import type { Style } from '../output';
import { integer } from '../values';
import { verb } from '../verb';

interface EvaluateFlags extends CommonFlags, DataFlags, RunFlags {
  readonly latencyBatch?: number;
}

interface EvaluateRequest {
  readonly model: string;
  readonly other: string | undefined;
  readonly options: EvaluateOptions;
}

export const evaluateVerb = verb<EvaluateFlags, EvaluateRequest>({
  define: () => {
    const command = new Command('evaluate')
      .summary('accuracy, loss, images per second and latency of one model or two')
      .description(
        'Measures top-1, top-5, loss, accuracy by class, images per second and latency percentiles. Two models are timed in alternation, so that their ratio holds on a busy machine as well.',
      )
      .argument('<model>', 'the .onnx file')
      .argument('[other]', 'a second .onnx file to compare with it')
      .addOption(
        new Option('--latency-batch <n>', 'samples a run in the latency measurement (default: 1)').argParser(
          integer('--latency-batch', 1),
        ),
      );
    addRunOptions(command, 'all');
    addDataOptions(command);
    return addCommonOptions(command).addHelpText(
      'after',
      `
Examples:
  $ onnx-sieve evaluate model.onnx --data test/ --scale 1/255 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225
  $ onnx-sieve evaluate model.onnx smaller.onnx --data test/ --latency-batch 64`,
    );
  },
  read: ([model, other], flags) => ({
    model: model!,
    other,
    options: { ...readCommon(flags), ...readRun(flags), data: readData(flags), latencyBatch: flags.latencyBatch },
  }),
  run: async ({ model, other, options }, { signal, onProgress, onMessage }) => {
    const { compareModels, evaluate } = await import('../../compress/evaluate');
    const all = { ...options, signal, onProgress, onMessage };
    if (other === undefined) {
      const result = await evaluate(model, all);
      return { document: result, text: (style) => renderEvaluation(result, style) };
    }
    const pair = await compareModels(model, other, all);
    return { document: pair, text: (style) => renderPair(pair, [model, other], style) };
  },
});

export function renderEvaluation(result: EvaluatedModel, style: Style): string {
  return [
    `${formatCount(result.samples)} samples, on ${result.device}\n\n`,
    renderTable(
      [{ title: 'Measure' }, { title: 'Value', align: 'right' }],
      MEASURES.map(([name, read]) => [name, read(result)]),
      style,
    ),
    heading('By class', style),
    renderTable(
      [{ title: 'Class' }, { title: 'Samples', align: 'right' }, { title: 'Top-1', align: 'right' }],
      result.perClass.map(({ name, samples, top1 }) => [name, formatCount(samples), formatPercent(top1)]),
      style,
    ),
  ].join('');
}

export function renderPair(
  { models, speedRatio, agreement }: EvaluatedPair,
  names: readonly [string, string],
  style: Style,
): string {
  const [first, second] = models;
  return [
    `first   ${names[0]}\nsecond  ${names[1]}\n`,
    `${formatCount(first.samples)} samples, on ${first.device}\n\n`,
    renderTable(
      [{ title: 'Measure' }, { title: 'First', align: 'right' }, { title: 'Second', align: 'right' }],
      MEASURES.map(([name, read]) => [name, read(first), read(second)]),
      style,
    ),
    heading('Second against first', style),
    renderTable(
      [{ title: 'Measure' }, { title: 'Value', align: 'right' }],
      [
        ['Speed', formatRatio(speedRatio)],
        ['Top-1, points', formatPoints(second.top1 - first.top1)],
        ['Same answer', formatPercent(agreement)],
      ],
      style,
    ),
    heading('By class', style),
    renderTable(
      [
        { title: 'Class' },
        { title: 'Samples', align: 'right' },
        { title: 'First', align: 'right' },
        { title: 'Second', align: 'right' },
        { title: 'Points', align: 'right' },
      ],
      first.perClass.map(({ name, samples, top1 }, id) => {
        const other = second.perClass[id]?.top1 ?? Number.NaN;
        return [name, formatCount(samples), formatPercent(top1), formatPercent(other), formatPoints(other - top1)];
      }),
      style,
    ),
  ].join('');
}

const MEASURES: readonly (readonly [string, (model: EvaluatedModel) => string])[] = [
  ['Top-1', (model) => formatPercent(model.top1)],
  ['Top-5', (model) => formatPercent(model.top5)],
  ['Loss (cross-entropy)', (model) => model.loss.toFixed(4)],
  ['Images per second', (model) => formatNumber(model.imagesPerSecond)],
  ['Latency p50, ms', (model) => formatNumber(model.latencyMs.p50)],
  ['Latency p95, ms', (model) => formatNumber(model.latencyMs.p95)],
  ['Latency p99, ms', (model) => formatNumber(model.latencyMs.p99)],
];
