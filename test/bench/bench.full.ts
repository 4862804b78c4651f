import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { hasPython } from '../support/python';

// That the programs build, run and compare answers. Their timings are no test.

const MINUTE = 60_000;
const PYTHON = process.env.SIEVE_TEST_PYTHON ?? '/usr/bin/python3';

let folder: string;
let program: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-bench-test-'));
  const build = join(folder, 'build');
  const strict = '-DSIEVE_WARNINGS_AS_ERRORS=ON';
  execFileSync('cmake', ['-S', resolve(__dirname), '-B', build, strict], { stdio: 'pipe' });
  execFileSync('cmake', ['--build', build, '--target', 'native_separation', '--parallel', '2'], { stdio: 'pipe' });
  program = join(build, 'native_separation');
}, 10 * MINUTE);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Line {
  readonly contender: string;
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly extrapolated: boolean;
  readonly measuredRows: number;
  readonly measuredFilters: number;
  readonly index?: number;
}

function native(line: string): readonly Line[] {
  const printed = execFileSync(program, [...line.split(' '), '--threads', '2', '--rounds', '2'], { encoding: 'utf8' });
  return printed
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as Line);
}

test.each([
  ['si --rows 200 --dims 30', []],
  ['csi --rows 200 --dims 30 --data clustered', ['read']],
  ['filters --rows 100 --dims 64 --filters 8', []],
  ['select --rows 60 --dims 32 --filters 8', []],
])('native_separation --kernel %s', (workload, others) => {
  const lines = native(`--kernel ${workload}`);
  const names = lines.map(({ contender }) => contender);
  expect(names[0]).toBe('serial');
  expect(names.slice(names.length - others.length)).toEqual(others);
  for (const { cpuSeconds, wallSeconds, extrapolated } of lines) {
    expect(cpuSeconds).toBeGreaterThanOrEqual(0);
    expect(wallSeconds).toBeGreaterThan(0);
    expect(extrapolated).toBe(false);
  }
  const indices = new Set(lines.flatMap(({ index }) => (index === undefined ? [] : [index])));
  expect(indices.size).toBe(/^c?si/.test(workload) ? 1 : 0);
});

test('a serial run that would take too long does a part, which is named', () => {
  const [queries] = native('--kernel si --rows 500 --dims 30 --serial-gflop 0');
  expect(queries).toMatchObject({ contender: 'serial', extrapolated: true, measuredRows: 64 });
  expect(queries).not.toHaveProperty('index');
  const [filters] = native('--kernel filters --rows 100 --dims 64 --filters 8 --serial-gflop 0');
  expect(filters).toMatchObject({ contender: 'serial', extrapolated: true, measuredRows: 100, measuredFilters: 1 });
  const selection = native('--kernel select --rows 60 --dims 32 --filters 8 --serial-gflop 0 --reevaluate');
  expect(selection.map(({ contender }) => contender)).not.toContain('serial');
  expect(selection.filter(({ contender }) => contender.startsWith('reevaluate:'))).toHaveLength(selection.length / 2);
});

test.each([
  '--kernel si --rows 1',
  '--kernel x',
  '--kernel si --data /dev/null',
  '--kernel si --rows',
  '--kernel si -v',
])('native_separation %s is refused', (line) => {
  expect(() => execFileSync(program, line.split(' '), { stdio: 'pipe' })).toThrow(/Expected/);
});

test(
  'the driver lets peers take turns on the same data, and both find the same',
  () => {
    if (!hasPython('numpy', 'faiss')) return;
    const file = join(folder, 'lines.json');
    const options = ['--native', program, '--quick', '--cases', 'si-64', '--data', 'clustered', '--rounds', '1'];
    const printed = execFileSync(PYTHON, [resolve(__dirname, 'run.py'), ...options, '--json', file], {
      encoding: 'utf8',
    });
    expect(printed).not.toContain('DIFFERENT ANSWER');
    const [first, ...lines] = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(first).toHaveProperty('environment.loadAverage');
    const faiss = lines.find(({ contender }) => contender === 'faiss IndexFlatL2')!;
    const ours = lines.find(({ contender, extrapolated }) => contender !== 'serial' && extrapolated === false);
    expect(faiss).toMatchObject({ rows: 2000, dims: 64, trials: 1 });
    if (ours !== undefined) expect(Math.abs((ours.index as number) - (faiss.index as number))).toBeLessThan(1e-3);
  },
  MINUTE,
);

describe('training.py', () => {
  const model = resolve(__dirname, '../../src/assets/demo/resnet14_shapes.onnx');
  const train = (...flags: readonly string[]): string =>
    execFileSync(PYTHON, [resolve(__dirname, 'training.py'), model, '--batch', '16', '--warmup', '2', ...flags], {
      encoding: 'utf8',
      stdio: 'pipe',
    });

  test(
    'both take the same steps',
    () => {
      if (!hasPython('torch', 'onnx', 'numpy')) return;
      const lines = join(folder, 'training.jsonl');
      const printed = train('--rounds', '2', '--steps', '2', '--json', lines);
      expect(printed).toMatch(/^ {2}onnx-sieve .* MiB$/m);
      expect(printed).toMatch(/^ {2}torch .* MiB$/m);
      const turns = readFileSync(lines, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { contender?: string; losses: number[] })
        .filter(({ contender }) => contender !== undefined);
      const losses = (name: string) =>
        turns.filter(({ contender }) => contender === name).flatMap((turn) => turn.losses);
      expect(losses('onnx-sieve')).toHaveLength(4);
      const torch = losses('torch');
      for (const [at, loss] of losses('onnx-sieve').entries()) expect(loss).toBeCloseTo(torch[at]!, 2);
    },
    3 * MINUTE,
  );

  test(
    'epochs, one line each',
    () => {
      if (!hasPython('onnx', 'numpy')) return;
      expect(train('--epochs', '2', '--images', '64').match(/^ +\d+ .* MiB {3}load/gm)).toHaveLength(2);
    },
    3 * MINUTE,
  );
});
