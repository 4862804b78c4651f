import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { throwIfAborted } from '../errors';
import { writeFileAtomic } from '../files';
import { packageRoot } from '../packageRoot';
import type { ProgressEvent } from '../types';
import type { CommonOptions, CompressOptions, CompressResult } from './api';
import { attempt } from './attempt';
import { prunableGroups } from './budget';
import { compress } from './compress';
import { claimFolder, DEMO_FILES, writeImages } from './demoFiles';
import { readRuntime } from './options';
import { prepareCompression } from './prepare';
import { rankGroups } from './ranking';

export interface DemoOptions extends CommonOptions {
  /** Made where it is missing; files in it that are not of an earlier demo are never replaced. Default demo-output. */
  readonly outputDirectory?: string;
  /** What the user typed, for the report. */
  readonly command?: string;
}

/** What one ranking of the channels comes to, at the widths of the demo's compression. */
export interface DemoRow {
  readonly criterion: CompressResult['criterion'];
  readonly macs: number;
  readonly parameters: number;
  /** On the test images, of the graph that is cut and nothing else. */
  readonly top1BeforeRecovery: number;
  /** On the test images, after the same recovery. */
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

const CALIBRATION_SAMPLES = 1000;
/** Rendered with them: what a recovery stage is kept or undone on. */
const SELECTION_SAMPLES = 500;
const TEST_SAMPLES = 2000;
const FLOPS_KEPT = 0.5;
const RIVALS = ['l1', 'random'] as const;

/** How the shipped network was trained to see pixels; its metadata says the same. */
const NORMALIZATION = { scale: '1/255', mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } as const;

/**
 * The whole method without data or network of the user's: renders images, compresses the shipped network to half of
 * its multiply-accumulates, and cuts it to the same widths by plain rankings for comparison. The network has seen
 * neither the calibration nor the test images. docs/demo.md says how it was trained.
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

  const sizes = { calibration: CALIBRATION_SAMPLES + SELECTION_SAMPLES, test: TEST_SAMPLES };
  const render = (split: keyof typeof sizes) => {
    onMessage?.(`Rendering ${sizes[split]} images of the ${split} split (seed ${seed})`);
    return writeImages(
      folder,
      { images: DEMO_FILES[`${split}Images`], description: DEMO_FILES[split] },
      {
        split,
        size: sizes[split],
        seed,
        normalization: NORMALIZATION,
        signal,
        onFraction: (fraction) => onProgress?.({ stage: `render ${split} images`, fraction }),
      },
    );
  };
  const data = await render('calibration');
  const validation = await render('test');

  const task = { ...common, seed, data, validation, samples: CALIBRATION_SAMPLES, flops: FLOPS_KEPT };
  const compression = await compress(path('original'), {
    ...task,
    command,
    output: path('compressed'),
    report: path('report'),
    force: true,
  });
  const comparison = [rowOf(compression), ...(await compareRivals(path('original'), task, compression))];

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

/**
 * The same widths and the same recovery, with channels chosen by plainer rankings. They run side by side, because the
 * steps of one alone do not keep two cores busy.
 */
async function compareRivals(network: string, task: CompressOptions, compression: CompressResult): Promise<DemoRow[]> {
  const { onProgress, onMessage } = task;
  onMessage?.(`For comparison: the same widths and recovery with the criteria ${RIVALS.join(' and ')}`);
  const quiet = readRuntime({ ...task, onProgress: undefined, onMessage: undefined });
  const prepared = await prepareCompression(network, task, quiet);
  const { original, calibration } = prepared;
  const counts = new Map(compression.groups.map(({ id, kept }) => [id, kept]));
  const { macs, parameters } = compression.after;
  const done = RIVALS.map(() => 0);

  return Promise.all(
    RIVALS.map(async (criterion, position): Promise<DemoRow> => {
      const report = ({ stage, fraction }: ProgressEvent): void => {
        if (stage !== 'cut and re-fit') return;
        done[position] = fraction;
        onProgress?.({ stage: 'compare', fraction: done.reduce((sum, value) => sum + value) / done.length });
      };
      const inputs = { original, current: original, samples: calibration, runtime: quiet };
      const rankings = await rankGroups(prunableGroups(prepared), criterion, inputs);
      const runtime = { ...quiet, onProgress: report };
      const method = { criterion, recover: 'refit' } as const;
      const { stages, top1 } = await attempt({ ...prepared, runtime }, rankings, counts, method);
      return { criterion, macs, parameters, top1BeforeRecovery: cutTop1(stages), top1 };
    }),
  );
}

function rowOf({ criterion, after, stages }: CompressResult): DemoRow {
  const { macs, parameters, top1 } = after;
  return { criterion, macs, parameters, top1BeforeRecovery: cutTop1(stages), top1 };
}

function cutTop1(stages: CompressResult['stages']): number {
  return stages.find(({ name }) => name === 'filters')?.top1 ?? NaN;
}

/** The package ships src/assets, so the path is the same as in a checkout. */
function shippedNetwork(): string {
  return join(packageRoot().folder, 'src', 'assets', 'demo', 'resnet14_shapes.onnx');
}
