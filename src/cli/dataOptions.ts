import { Option } from 'commander';
import type { Command } from 'commander';
import type { DatasetSpec } from '../activations/types';
import { expected } from '../errors';
import { choice, imageSize, integer, nameList, numberList, scale as scaleFactor } from './values';

type DatasetFields = Omit<DatasetSpec, 'path'>;

/** The fields of a data-set description as flags: they add to, or replace, what a description file says. */
export interface DataFlags extends DatasetFields {
  readonly data?: string;
}

const KINDS = ['image-folder', 'tar', 'npy', 'npz', 'cifar-binary', 'idx'] as const;
const LAYOUTS = ['NCHW', 'NHWC'] as const;

export function addDataOptions(command: Command): Command {
  return command
    .optionsGroup('Data:')
    .addOption(
      new Option(
        '--data <path>',
        'labelled samples: a folder or .tar[.gz|.xz] of class folders, an .npz, or a .json that describes a data set',
      ),
    )
    .addOption(
      new Option('--kind <kind>', `what the data is: ${KINDS.join(', ')} (default: told from the path)`).argParser(
        choice('--kind', KINDS),
      ),
    )
    .addOption(new Option('--labels <path>', 'labels of npy and idx data, or the name of the labels array in an .npz'))
    .addOption(new Option('--images <name>', 'name of the images array in an .npz'))
    .addOption(
      new Option('--class-names <a,b,c>', "the classes in the order of the model's outputs").argParser(
        nameList('--class-names'),
      ),
    )
    .addOption(
      new Option('--size <h,w>', "resize images to this (default: the model's input)").argParser(imageSize('--size')),
    )
    .addOption(
      new Option('--scale <factor>', 'factor of the pixel values, such as 1/255').argParser(scaleFactor('--scale')),
    )
    .addOption(new Option('--mean <a,b,c>', 'subtracted after scaling, by channel').argParser(numberList('--mean')))
    .addOption(
      new Option('--std <a,b,c>', 'divided by afterwards, by channel').argParser(
        numberList('--std', (value) => value > 0),
      ),
    )
    .addOption(
      new Option('--layout <layout>', `layout of array data: ${LAYOUTS.join(', ')}`).argParser(
        choice('--layout', LAYOUTS),
      ),
    )
    .addOption(
      new Option('--limit <n>', 'open at most that many samples, evenly from every class').argParser(
        integer('--limit', 1),
      ),
    )
    .addOption(new Option('--skip-corrupt', 'leave images out that can not be decoded, and count them'));
}

export function readData(flags: DataFlags): string | DatasetSpec {
  if (flags.data === undefined || flags.data === '') {
    throw expected('ERR_USAGE', 'labelled samples', '--data', flags.data, {
      remedy: 'Name a folder of class folders, a .tar of them, an .npz or a .json that describes a data set.',
    });
  }
  return withFields(flags.data, {
    kind: flags.kind,
    labels: flags.labels,
    images: flags.images,
    ...sharedFields(flags),
    limit: flags.limit,
  });
}

/** Validation samples take the same treatment; which arrays and how many samples to read belongs to --data alone. */
export function readValidation(path: string | undefined, flags: DataFlags): string | DatasetSpec | undefined {
  return path === undefined ? undefined : withFields(path, sharedFields(flags));
}

function sharedFields(flags: DataFlags): DatasetFields {
  const { size, scale, mean, std, layout, classNames, skipCorrupt } = flags;
  return { size, scale, mean, std, layout, classNames, skipCorrupt };
}

function withFields(path: string, fields: DatasetFields): string | DatasetSpec {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return given.length === 0 ? path : { path, ...Object.fromEntries(given) };
}
