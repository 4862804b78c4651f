import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { missingPython } from '../channels/support';
import { EXPORTER, type ExportRequest } from '../channels/torchvision/exporter';
import { startPython } from '../channels/torchvision/pythonService';

/**
 * On one core, from file to file: CPU seconds that an idle machine stays below, printed beside what was measured. A busy
 * one takes longer, so the test only fails at MARGIN times as much.
 */
const NETWORKS = [
  { name: 'densenet121', size: 224, seconds: 2 },
  { name: 'efficientnet_b0', size: 224, seconds: 3 },
  { name: 'vgg16_bn', size: 224, seconds: 10 },
];
const MARGIN = 3;
const MODULES = resolve(__dirname, '../../../node_modules');
/**
 * The most resident memory at any time, less what a process has that only loaded the package, for each byte of the model's
 * file: the file itself, the weight that is being written, and all that was found out about the graph.
 */
const MOST_MEMORY_PER_MODEL_BYTE = 3;
const RUNS = 5;

interface Loaded {
  readonly peakBytes: number;
}

interface Measured extends Loaded {
  readonly seconds: Readonly<Record<'read' | 'plan' | 'cut' | 'write', number>>;
  readonly macsLeft: number;
  readonly modelBytes: number;
}

function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[values.length >> 1] ?? NaN;
}

const missing = missingPython('torch, torchvision');
if (missing !== undefined)
  test('planning is not timed', () => {
    console.info(`not timed with torchvision: ${missing}`);
    expect(missing).not.toBe('');
  });
else
  test('planning and cutting take seconds, and memory in proportion to the model', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-planning-'));
    const exporter = startPython<ExportRequest, { readonly path: string }>(EXPORTER);
    try {
      const program = join(folder, 'planning.js');
      const entry = resolve(__dirname, '../../bench/planning.ts');
      const bundler = join(MODULES, 'tsup/dist/cli-default.js');
      execFileSync(process.execPath, [
        bundler,
        entry,
        '--no-config',
        '--format',
        'cjs',
        '--out-dir',
        folder,
        '--silent',
      ]);
      for (const { name, size, seconds: limit } of NETWORKS) {
        const request = { name, options: {}, size, batch: 'N', folded: true, opset: 13 } as const;
        const { path } = await exporter.ask({ ...request, path: join(folder, 'model.onnx') });
        const run = <T>(...args: readonly string[]): T => {
          const env = { ...process.env, NODE_PATH: MODULES };
          const output = execFileSync(process.execPath, ['--single-threaded', program, ...args], {
            encoding: 'utf8',
            env,
          });
          return JSON.parse(output) as T;
        };
        const runs = Array.from({ length: RUNS }, () => {
          const { peakBytes: loaded } = run<Loaded>();
          const measured = run<Measured>(path, join(folder, 'cut.onnx'));
          return { ...measured, memoryPerModelByte: (measured.peakBytes - loaded) / measured.modelBytes };
        });
        const seconds = median(runs.map((measured) => measured.seconds.plan + measured.seconds.cut));
        const memoryPerModelByte = median(runs.map((measured) => measured.memoryPerModelByte));
        console.info(name, { seconds, secondsWhenIdle: limit, memoryPerModelByte, runs });
        expect(seconds).toBeLessThanOrEqual(MARGIN * limit);
        for (const { macsLeft } of runs) {
          expect(macsLeft).toBeLessThanOrEqual(0.5);
          expect(macsLeft).toBeGreaterThan(0.49);
        }
        expect(memoryPerModelByte).toBeLessThanOrEqual(MOST_MEMORY_PER_MODEL_BYTE);
      }
    } finally {
      await exporter.close();
      rmSync(folder, { recursive: true, force: true });
    }
  }, 600_000);
