import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { CRITERIA } from '../../compress/api';
import type { CompressOptions, Criterion } from '../../compress/api';
import { expected } from '../../errors';
import { addDataOptions, readData, readValidation } from '../dataOptions';
import type { DataFlags } from '../dataOptions';
import { EXIT } from '../exitCodes';
import { addCommonOptions, addRunOptions, readCommon, readRun } from '../options';
import type { CommonFlags, RunFlags } from '../options';
import { byteCount, choice, fraction, integer, number } from '../values';
import { verb } from '../verb';
import { renderCompression } from './compressView';

interface CompressFlags extends CommonFlags, DataFlags, RunFlags {
  readonly flops?: number;
  readonly params?: number;
  readonly bytes?: number;
  readonly maxDrop?: number;
  readonly criterion?: Criterion;
  readonly allocation?: 'uniform' | 'curve';
  readonly multiple?: number;
  readonly recover?: 'none' | 'refit' | 'finetune';
  readonly epochs?: number;
  readonly learningRate?: number;
  readonly validation?: string;
  readonly output?: string;
  readonly force?: boolean;
  readonly report?: string;
  readonly layers: boolean;
  readonly filters: boolean;
  readonly head: boolean;
}

interface CompressRequest {
  readonly model: string;
  readonly options: CompressOptions;
}

export const compressVerb = verb<CompressFlags, CompressRequest>({
  define: () => {
    const command = new Command('compress')
      .summary('make a model smaller and faster within a budget')
      .description(
        'Cuts channels of a model until it meets the budget, recovers the accuracy, checks that the cut graph equals the masked original, and writes a plain .onnx. At least one of --flops, --params, --bytes and --max-drop says how far to go.',
      )
      .argument('<model>', 'the .onnx file')
      .optionsGroup('Budget:')
      .addOption(
        new Option('--flops <fraction>', 'multiply-accumulates to KEEP, 0.5 keeps half').argParser(fraction('--flops')),
      )
      .addOption(
        new Option('--params <fraction>', 'parameters to KEEP, 0.3 keeps 30 %').argParser(fraction('--params')),
      )
      .addOption(
        new Option('--bytes <size>', 'size of the file to stay under, such as 1.5MB').argParser(byteCount('--bytes')),
      )
      .addOption(
        new Option('--max-drop <points>', 'top-1 that may be lost, in percentage points').argParser(
          number('--max-drop', 'percentage points from 0 to 100', (value) => value >= 0 && value <= 100),
        ),
      )
      .optionsGroup('Output:')
      .addOption(new Option('-o, --output <file>', 'where the compressed .onnx goes'))
      .addOption(new Option('--report <file>', 'also write a report as one HTML file'))
      .addOption(new Option('--force', 'replace files that exist'))
      .optionsGroup('Method:')
      .addOption(
        new Option('--criterion <name>', `which channels stay: ${CRITERIA.join(', ')} (default: auto)`).argParser(
          choice('--criterion', CRITERIA),
        ),
      )
      .addOption(
        new Option(
          '--allocation <name>',
          'how many stay: uniform (the same share everywhere) or curve (one tolerance for all) (default: curve)',
        ).argParser(choice('--allocation', ['uniform', 'curve'] as const)),
      )
      .addOption(
        new Option(
          '--multiple <n>',
          'wide layers keep a multiple of so many channels (default: the block of this CPU, 8 or 16)',
        ).argParser(integer('--multiple', 1)),
      )
      .addOption(
        new Option(
          '--recover <name>',
          'how accuracy comes back: none, refit (closed form, seconds), finetune (then trained, the original as teacher) (default: refit)',
        ).argParser(choice('--recover', ['none', 'refit', 'finetune'] as const)),
      )
      .addOption(new Option('--epochs <n>', 'of finetune (default: 5)').argParser(integer('--epochs', 1)))
      .addOption(
        new Option('--learning-rate <x>', 'of finetune, the highest of the run (default: 0.05)').argParser(
          number('--learning-rate', 'a positive number', (value) => value > 0),
        ),
      )
      .addOption(
        new Option(
          '--validation <path>',
          'samples that nothing is chosen on (default: a tenth of the data, kept apart)',
        ),
      )
      .addOption(new Option('--no-filters', 'cut no channels'))
      .addOption(new Option('--no-layers', 'leave every layer in its place (always so in this version)'))
      .addOption(new Option('--no-head', 'leave the classifier as it is (always so in this version)'));
    addRunOptions(command, '2000 for calibration');
    addDataOptions(command);
    return addCommonOptions(command).addHelpText(
      'after',
      `
Examples:
  $ onnx-sieve compress model.onnx --data train/ --flops 0.5 -o smaller.onnx
  $ onnx-sieve compress model.onnx --data train/ --validation test/ --params 0.3 --max-drop 1 \\
      --criterion reconstruction --report report.html -o smaller.onnx`,
    );
  },
  read: ([model], flags) => {
    if (flags.output === undefined || flags.output === '') {
      throw expected('ERR_USAGE', 'a file name', '--output', flags.output, { remedy: 'Add -o smaller.onnx.' });
    }
    if (flags.report !== undefined && resolve(flags.report) === resolve(flags.output)) {
      throw expected('ERR_USAGE', 'two different files', '--output and --report', flags.report);
    }
    if (!flags.filters) {
      throw expected('ERR_OPTION', 'at least one stage that makes the model smaller', 'the stages', '--no-filters', {
        remedy: 'Leave --no-filters out: cutting channels is the stage that this version has.',
      });
    }
    return {
      model: model!,
      options: {
        ...readCommon(flags),
        ...readRun(flags),
        data: readData(flags),
        validation: readValidation(flags.validation, flags),
        output: flags.output,
        force: flags.force,
        report: flags.report,
        flops: flags.flops,
        params: flags.params,
        bytes: flags.bytes,
        maxDrop: flags.maxDrop,
        criterion: flags.criterion,
        allocation: flags.allocation,
        multiple: flags.multiple,
        recover: flags.recover,
        training: trainingOf(flags),
      },
    };
  },
  run: async ({ model, options }, { signal, onProgress, onMessage, command }) => {
    const { compress } = await import('../../compress/compress');
    const { model: bytes, ...result } = await compress(model, { ...options, signal, onProgress, onMessage, command });
    return {
      document: result,
      text: (style) => renderCompression({ ...result, model: bytes }, style),
      exitCode: result.unmet === undefined ? EXIT.done : EXIT.budget,
    };
  },
});

function trainingOf({ recover, epochs, learningRate }: CompressFlags): CompressOptions['training'] {
  if (epochs === undefined && learningRate === undefined) return undefined;
  if (recover !== 'finetune')
    throw expected(
      'ERR_OPTION',
      '--recover finetune',
      '--epochs and --learning-rate',
      `--recover ${recover ?? 'refit'}`,
    );
  return { epochs, learningRate };
}
