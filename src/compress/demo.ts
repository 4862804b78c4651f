import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { expected, throwIfAborted } from '../errors';
import { writeFileAtomic } from '../files';
import type { CommonOptions, CompressResult, Criterion } from './api';
import { compress } from './compress';
import { claimFolder, DEMO_FILES, writeImages } from './demoFiles';

export interface DemoOptions extends CommonOptions {
  /** Made where it is missing; files in it that are not of an earlier demo are never replaced. Default demo-output. */
  readonly outputDirectory?: string;
  /** What the user typed, for the report. */
  readonly command?: string;
}

/** One ranking of the channels, within the demo's budget and with the demo's recovery. */
export interface DemoRow {
  readonly criterion: CompressResult['criterion'];
  readonly macs: number;
  readonly parameters: number;
  /** On the test images. */
  readonly top1: number;
}

export interface DemoResult {
  readonly compression: CompressResult;
  /** The criterion of `compression` first, then the plain ones it has to beat. */
  readonly comparison: readonly DemoRow[];
  /** Full paths of what was written. */
  readonly files: Readonly<Record<keyof typeof DEMO_FILES, string>>;
  readonly seconds: number;
}

/** Images to calibrate on, and as many others to test on. */
const SAMPLES = 2000;
const FLOPS_KEPT = 0.5;
const RIVALS = ['l1', 'random'] as const satisfies readonly Criterion[];

/** How the shipped network was trained to see pixels; its metadata says the same. */
const NORMALIZATION = { scale: '1/255', mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } as const;

/**
 * The whole method without data or network of the user's: renders images, compresses the shipped network to half of
 * its multiply-accumulates, and does the same with plain rankings for comparison. The network has seen neither the
 * calibration nor the test images. docs/demo.md says how it was trained.
 *
 * Errors: ERR_OUTPUT_EXISTS, ERR_OUTPUT_UNWRITABLE, ERR_CANCELLED, and those of `compress`.
 */
export async function runDemo(options: DemoOptions = {}): Promise<DemoResult> {
  const { outputDirectory = 'demo-output', command, ...common } = options;
  const { seed = 0, signal, onProgress, onMessage } = common;
  const started = performance.now();
  throwIfAborted(signal);
  const folder = resolve(outputDirectory);
  const path = (name: keyof typeof DEMO_FILES): string => join(folder, DEMO_FILES[name]);

  const network = await readFile(shippedNetwork());
  await claimFolder(folder);
  await writeFileAtomic(path('original'), network, { force: true });

  onMessage?.(`Rendering ${SAMPLES} images to calibrate on and ${SAMPLES} to test on (seed ${seed})`);
  const render = (split: 'calibration' | 'test', half: number) =>
    writeImages(
      folder,
      { images: DEMO_FILES[`${split}Images`], description: DEMO_FILES[split] },
      {
        split,
        size: SAMPLES,
        seed,
        normalization: NORMALIZATION,
        signal,
        onFraction: (fraction) => onProgress?.({ stage: 'render', fraction: (half + fraction) / 2 }),
      },
    );
  const data = await render('calibration', 0);
  const validation = await render('test', 1);

  const task = { ...common, seed, data, validation, samples: SAMPLES, flops: FLOPS_KEPT };
  const compression = await compress(path('original'), {
    ...task,
    command,
    output: path('compressed'),
    report: path('report'),
    force: true,
  });

  const comparison = [rowOf(compression)];
  for (const criterion of RIVALS) {
    onMessage?.(`For comparison: the same budget and recovery with the criterion ${criterion}`);
    const rival = await compress(path('original'), {
      ...task,
      criterion,
      onMessage: undefined,
      onProgress: onProgress && ((event) => onProgress({ ...event, stage: `${criterion}: ${event.stage}` })),
    });
    comparison.push(rowOf(rival));
  }

  return {
    compression,
    comparison,
    files: {
      original: path('original'),
      compressed: path('compressed'),
      report: path('report'),
      calibrationImages: path('calibrationImages'),
      calibration: path('calibration'),
      testImages: path('testImages'),
      test: path('test'),
    },
    seconds: (performance.now() - started) / 1000,
  };
}

function rowOf({ criterion, after }: CompressResult): DemoRow {
  return { criterion, macs: after.macs, parameters: after.parameters, top1: after.top1 };
}

/** assets/ lies beside dist/ in the package and beside src/ in a checkout. */
function shippedNetwork(): string {
  const name = join('assets', 'demo', 'resnet14_shapes.onnx');
  for (let folder = __dirname; ; folder = dirname(folder)) {
    if (existsSync(join(folder, name))) return join(folder, name);
    if (folder === dirname(folder)) {
      throw expected('ERR_RUNTIME', name, 'the demo', `no such file above ${__dirname}`, {
        remedy: 'Install the package anew, and leave it out of your bundle.',
      });
    }
  }
}
