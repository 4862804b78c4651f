import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { FinetuneOptions, FinetuneResult } from '../../compress/finetune';
import { expected } from '../../errors';
import { formatCount, formatPercent, formatPoints, formatSeconds } from '../../report/format';
import { addDataOptions, readData, readValidation } from '../dataOptions';
import type { DataFlags } from '../dataOptions';
import { addCommonOptions, readCommon } from '../options';
import type { CommonFlags } from '../options';
import { heading, renderTable } from '../output';
import type { Style } from '../output';
import { addRecipeOptions, readRecipeFlags, type RecipeFlags } from '../recipeOptions';
import { integer, nameList } from '../values';
import { verb } from '../verb';

interface FinetuneFlags extends CommonFlags, DataFlags, RecipeFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly teacher?: string;
  readonly validation?: string;
  readonly fromScratch?: boolean;
  readonly freeze?: readonly string[];
  readonly checkpoint?: string;
  readonly resume?: boolean;
  readonly samples?: number;
}

interface FinetuneRequest {
  readonly model: string;
  readonly options: FinetuneOptions;
}

export const finetuneVerb = verb<FinetuneFlags, FinetuneRequest>({
  define: () => {
    const command = new Command('finetune')
      .summary('train a model on labelled images, and on the answers of a teacher')
      .description(
        'Trains with stock ONNX Runtime: labels, or labels and the answers of --teacher. The result is the same graph with new weights. The state is kept after each epoch; --resume goes on from there.',
      )
      .argument('<model>', 'the .onnx file')
      .optionsGroup('Output:')
      .addOption(new Option('-o, --output <file>', 'where the trained .onnx goes'))
      .addOption(new Option('--force', 'replace files that exist'))
      .addOption(
        new Option('--checkpoint <file>', 'where the state is kept (default: the output with .checkpoint behind)'),
      )
      .addOption(new Option('--resume', 'go on from the checkpoint, where there is one'))
      .optionsGroup('Training:')
      .addOption(new Option('--teacher <model>', 'learn the answers of this .onnx too (same input, same classes)'))
      .addOption(
        new Option('--validation <path>', 'samples to judge epochs by (default: a tenth of the data, kept apart)'),
      )
      .addOption(
        new Option('--samples <n>', 'train on so many samples (default: all)').argParser(integer('--samples', 1)),
      )
      .addOption(new Option('--from-scratch', 'start from random weights'))
      .addOption(
        new Option('--freeze <a,b*>', 'nodes whose weights stay as they are; * for any ending').argParser(
          nameList('--freeze'),
        ),
      );
    addRecipeOptions(command);
    addDataOptions(command);
    return addCommonOptions(command).addHelpText(
      'after',
      `
Examples:
  $ onnx-sieve finetune smaller.onnx --data train/ --teacher model.onnx --epochs 5 -o trained.onnx
  $ onnx-sieve finetune model.onnx --data train/ --validation test/ --learning-rate 0.01 --batch-norm frozen -o tuned.onnx`,
    );
  },
  read: ([model], flags) => {
    if (flags.output === undefined || flags.output === '') {
      throw expected('ERR_USAGE', 'a file name', '--output', flags.output, { remedy: 'Add -o trained.onnx.' });
    }
    if (flags.checkpoint !== undefined && resolve(flags.checkpoint) === resolve(flags.output)) {
      throw expected('ERR_USAGE', 'two different files', '--output and --checkpoint', flags.checkpoint);
    }
    return {
      model: model!,
      options: {
        ...readCommon(flags),
        ...readRecipeFlags(flags),
        data: readData(flags),
        validation: readValidation(flags.validation, flags),
        output: flags.output,
        force: flags.force,
        teacher: flags.teacher,
        fromScratch: flags.fromScratch,
        freeze: flags.freeze,
        checkpoint: flags.checkpoint,
        resume: flags.resume,
        samples: flags.samples,
      },
    };
  },
  run: async ({ model, options }, { signal, onProgress, onMessage }) => {
    const { finetune } = await import('../../compress/finetune');
    const { model: bytes, ...result } = await finetune(model, { ...options, signal, onProgress, onMessage });
    return { document: result, text: (style) => renderFinetuning({ ...result, model: bytes }, style) };
  },
});

export function renderFinetuning(result: FinetuneResult, style: Style): string {
  const { before, after, epochs } = result;
  return [
    `${formatCount(result.trainingSamples)} samples, on ${result.device}, ${formatSeconds(result.seconds)}`,
    result.stoppedEarly ? `, stopped after epoch ${epochs.length}\n\n` : '\n\n',
    renderTable(
      [
        { title: 'Epoch', align: 'right' },
        { title: 'Loss', align: 'right' },
        { title: 'Right', align: 'right' },
        { title: 'Validation loss', align: 'right' },
        { title: 'Top-1', align: 'right' },
      ],
      epochs.map(({ epoch, loss, accuracy, validation }) => [
        String(epoch),
        loss.toFixed(4),
        formatPercent(accuracy),
        validation === undefined ? '' : validation.loss.toFixed(4),
        validation === undefined ? '' : formatPercent(validation.top1),
      ]),
      style,
    ),
    heading(`On ${formatCount(result.validationSamples)} validation samples`, style),
    renderTable(
      [
        { title: 'Measure' },
        { title: 'Before', align: 'right' },
        { title: 'After', align: 'right' },
        { title: 'Points', align: 'right' },
      ],
      [
        ['Top-1', formatPercent(before.top1), formatPercent(after.top1), formatPoints(after.top1 - before.top1)],
        ['Loss', before.loss.toFixed(4), after.loss.toFixed(4), ''],
      ],
      style,
    ),
    result.output === undefined ? '' : `\nWritten to ${result.output}\n`,
  ].join('');
}
