import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { missingPython } from '../channels/support';
import { EXPORTER, type ExportRequest } from '../channels/torchvision/exporter';
import { startPython } from '../channels/torchvision/pythonService';

/**
 * On one core, from file to file: CPU seconds that an idle machine stays below, printed beside what was measured. A busy
 * one takes longer and collects garbage later, so the test only fails at MARGIN times as much. The last network has enough
 * weights for its memory to be theirs.
 */
const NETWORKS = [
  { name: 'densenet121', size: 224, seconds: 2 },
  { name: 'efficientnet_b0', size: 224, seconds: 3 },
  { name: 'vgg16_bn', size: 224, seconds: 10 },
];
const MARGIN = 3;
const MODULES = resolve(__dirname, '../../../node_modules');
const MOST_MEMORY_PER_MODEL_BYTE = 3;

interface Measured {
  readonly seconds: Readonly<Record<'read' | 'plan' | 'cut' | 'write', number>>;
  readonly macsLeft: number;
  readonly modelBytes: number;
  readonly peakBytes: number;
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
        const args = ['--single-threaded', program, path, join(folder, 'cut.onnx')];
        const env = { ...process.env, NODE_PATH: MODULES };
        const measured = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', env })) as Measured;
        console.info(name, { ...measured, secondsWhenIdle: limit });
        const { plan, cut } = measured.seconds;
        expect(plan + cut).toBeLessThanOrEqual(MARGIN * limit);
        expect(measured.macsLeft).toBeLessThanOrEqual(0.5);
        expect(measured.macsLeft).toBeGreaterThan(0.49);
        // The runtime's own heap, which grows to hundreds of megabytes before it is collected, hides what a small
        // model needs.
        const own = 400e6;
        expect(measured.peakBytes).toBeLessThanOrEqual(MOST_MEMORY_PER_MODEL_BYTE * measured.modelBytes + own);
      }
    } finally {
      await exporter.close();
      rmSync(folder, { recursive: true, force: true });
    }
  }, 600_000);
