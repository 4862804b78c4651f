import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { CLASSES, SAMPLE_DIMS, toyImages, writeNpz } from '../compress/support/toyData';
import { ModelBuilder } from '../support/modelBuilder';

const ROOT = resolve(__dirname, '../..');
const BINARY = join(ROOT, 'dist', 'cli.cjs');
const ADDON = join(ROOT, 'build', 'Release', 'onnx_sieve.node');

interface Finished {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Hooks {
  /** Called with all of stderr so far, whenever there is more. */
  readonly onStderr?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
  /** Closes our end of stdout at once, as a reader that went away. */
  readonly closeStdout?: boolean;
}

function run(args: readonly string[], hooks: Hooks = {}): Promise<Finished> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [BINARY, ...args], { cwd: tmpdir(), stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    if (hooks.closeStdout === true) child.stdout.destroy();
    else child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      hooks.onStderr?.(stderr, (signal) => child.kill(signal));
    });
    child.on('error', failed);
    child.on('close', (exitCode, signal) => done({ exitCode, signal, stdout, stderr }));
  });
}

/** True where the file is there; says why a test has nothing to run otherwise. */
function present(file: string): boolean {
  if (existsSync(file)) return true;
  console.warn(`Not run, because ${file} is missing: run "npm run build".`);
  return false;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sieve-cli-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

test('help and version end with 0 and use stdout only', async () => {
  if (!present(BINARY)) return;
  const [help, version] = await Promise.all([run(['--help']), run(['--version'])]);
  expect(help).toMatchObject({ exitCode: 0, stderr: '' });
  expect(help.stdout).toContain('Usage: onnx-sieve <verb> [options]');
  expect(version).toMatchObject({ exitCode: 0, stderr: '' });
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('wrong usage ends with 2, one line and a remedy', async () => {
  if (!present(BINARY)) return;
  const wrong = await run(['compress', 'm.onnx', '--data', 'd', '-o', 'o.onnx', '--flops', '7']);
  expect(wrong).toMatchObject({ exitCode: 2, stdout: '' });
  expect(wrong.stderr).toMatch(/^Expected a fraction to keep.* for --flops but received "7"\n/);
  const nothing = await run([]);
  expect(nothing).toMatchObject({ exitCode: 2, stdout: '' });
  expect(nothing.stderr).toMatch(/^Expected a verb but received nothing\nRun one of .*\n$/);
});

test('a file that is no model, or none at all, ends with 3; --json says so on stdout', async () => {
  if (!present(BINARY)) return;
  const path = join(folder, 'text.onnx');
  writeFileSync(path, 'this is no model');
  const [text, missing] = await Promise.all([
    run(['inspect', path]),
    run(['inspect', join(folder, 'missing.onnx'), '--json']),
  ]);
  expect(text).toMatchObject({ exitCode: 3, stdout: '' });
  expect(text.stderr).not.toContain('    at ');
  expect(missing.exitCode).toBe(3);
  expect(JSON.parse(missing.stdout)).toMatchObject({ error: { code: 'ERR_MODEL_UNREADABLE', exitCode: 3 } });
});

test('doctor prints one JSON document that names kernels and devices', async () => {
  if (!present(BINARY)) return;
  const { exitCode, stdout } = await run(['doctor', '--json']);
  expect(exitCode).toBe(0);
  const found = JSON.parse(stdout) as {
    environment: { node: string };
    kernels: { backends: { name: string; available: boolean }[] };
    devices: { device: string; works: boolean }[];
  };
  expect(found.environment.node).toBe(process.versions.node);
  expect(found.devices.map(({ device }) => device)).toEqual(['cpu', 'cuda', 'webgpu']);
  expect(found.devices[0]).toEqual({ device: 'cpu', works: true });
  if (present(ADDON)) expect(found.kernels.backends).toContainEqual({ name: 'serial', available: true });
});

test('bench measures every backend and finds the serial answers everywhere', async () => {
  if (!present(BINARY) || !present(ADDON)) return;
  const { exitCode, stdout, stderr } = await run([
    'bench',
    '--rows',
    '200',
    '--dims',
    '48',
    '--repeats',
    '1',
    '--json',
  ]);
  expect(stderr).toMatch(/^bench \(separationIndex, data\)\n/);
  expect(exitCode).toBe(0);
  const { results } = JSON.parse(stdout) as { results: { kernel: string; backend: string; ratioToSerial: number }[] };
  const serial = results.filter(({ backend }) => backend === 'serial');
  expect(serial.map(({ kernel }) => kernel)).toEqual([
    'separationIndex',
    'crossSeparationIndex',
    'centerSeparationIndex',
    'filterSeparation',
  ]);
  for (const { ratioToSerial } of serial) expect(ratioToSerial).toBe(1);
});

test('an interrupt ends a running kernel soon, with 130', async () => {
  if (!present(BINARY) || !present(ADDON)) return;
  let interruptedMs = 0;
  let sent = false;
  const finished = await run(['bench', '--rows', '30000', '--dims', '512', '--kernel', 'separationIndex'], {
    onStderr: (text, kill) => {
      if (sent || !text.includes('bench')) return;
      sent = true;
      // A moment later data are made or a kernel is at work; the whole would take minutes.
      setTimeout(() => {
        interruptedMs = performance.now();
        kill('SIGINT');
      }, 500);
    },
  });
  expect(finished).toMatchObject({ exitCode: 130, signal: null, stdout: '' });
  expect(finished.stderr).toMatch(/Interrupted\n$/);
  expect(performance.now() - interruptedMs).toBeLessThan(5000);
}, 60_000);

test('a second interrupt ends at once with 130, while ONNX Runtime is at work', async () => {
  if (!present(BINARY) || !present(ADDON)) return;
  // One run takes half a minute on one core.
  const b = new ModelBuilder();
  const weights = b.weights([512, 512, 3, 3]);
  let x = b.conv(b.input('input', ['N', ...SAMPLE_DIMS]), 3, 512, 1);
  for (let layer = 0; layer < 100; layer++) x = b.node('Conv', [x, weights], { pads: [1, 1, 1, 1] });
  b.output(b.gemm(b.node('Flatten', [b.node('GlobalAveragePool', [x])]), 512, CLASSES), ['N', CLASSES]);
  const model = join(folder, 'slow.onnx');
  writeFileSync(model, b.bytes());
  const data = await writeNpz(join(folder, 'slow.npz'), toyImages(256, 1));
  let interruptedMs = 0;
  let sent = false;
  const finished = await run(['evaluate', model, '--data', data, '--device', 'cpu', '--threads', '1'], {
    onStderr: (text, kill) => {
      // The model is open, and its first run begins.
      if (sent || !text.includes('cpu: taken')) return;
      sent = true;
      setTimeout(() => kill('SIGINT'), 1500);
      setTimeout(() => {
        interruptedMs = performance.now();
        kill('SIGINT');
      }, 2500);
    },
  });
  expect(finished).toMatchObject({ exitCode: 130, signal: null, stdout: '' });
  // It would be the last word of an orderly end.
  expect(finished.stderr).not.toContain('Interrupted');
  expect(performance.now() - interruptedMs).toBeLessThan(2000);
}, 60_000);

test('a reader that goes away is no failure', async () => {
  if (!present(BINARY)) return;
  expect(await run(['--help'], { closeStdout: true })).toMatchObject({ exitCode: 0, stderr: '' });
});
