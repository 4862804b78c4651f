import picocolors from 'picocolors';
import { renderAnalysis } from '../../src/cli/commands/analyze';
import { renderBenchmark } from '../../src/cli/commands/bench';
import { renderCompression } from '../../src/cli/commands/compressView';
import { renderDoctor } from '../../src/cli/commands/doctor';
import { renderEvaluation, renderPair } from '../../src/cli/commands/evaluate';
import { renderInspection } from '../../src/cli/commands/inspect';
import { renderBar, renderJson, renderTable } from '../../src/cli/output';
import type { EnvironmentDescription } from '../../src/report/environment';
import { ANALYZED, COMPRESSED, EVALUATED, INSPECTED } from './results';

const PLAIN = picocolors.createColors(false);
const ENVIRONMENT: EnvironmentDescription = {
  cpuModel: 'A processor',
  cpuThreads: 4,
  memoryBytes: 2 ** 33,
  platform: 'linux',
  node: '20.0.0',
  version: '1.0.0',
  onnxruntime: undefined,
};

function lines(text: string): string[] {
  return text.split('\n').map((line) => line.trimEnd());
}

test('inspect: totals, layers that cost something, groups, and what can not be cut', () => {
  const text = renderInspection(INSPECTED, PLAIN);
  expect(lines(text)).toEqual(
    expect.arrayContaining([
      'Parameters      269,722 (and 1,376 running statistics)',
      'MACs per image  40,813,184 (40.8 M)',
      'Input           input [N, 3, 32, 32]',
      'Removable       1 residual-block, 2 tail',
      'Layers (2)',
      'and 1 without multiplications, with 0 parameters',
      'conv1  Conv      N×16×32×32         432  442 k  1.1 %  yes',
      'fc     Gemm      N×10               650    640  0.0 %  no',
      '- zero-padded shortcut',
      '- output of the network',
    ]),
  );
});

test('analyze: both indices as numbers and bars, idle layers, the hardest class', () => {
  const text = renderAnalysis(ANALYZED, PLAIN);
  expect(text).toContain('2,000 samples of 2 classes, on cpu');
  expect(text).toContain('0.500  ██████████░░░░░░░░░░  0.750  ███████████████░░░░░  no');
  expect(text).toMatch(/no +3 +0\.400 +0\.200\n/);
  expect(text).toContain('3 of 4 cut points raise neither SI nor CSI.');
  expect(text).toContain('Hardest class at the end: dog (SI 0.100)');
  expect(text).toContain('\nNo single filters of turned1 and 1 more: its channels lie along axis 3, not 1\n');
});

test('evaluate: one model', () => {
  const text = renderEvaluation(EVALUATED, PLAIN);
  expect(lines(text)).toEqual(
    expect.arrayContaining([
      'Top-1                 88.12 %',
      'Loss (cross-entropy)   0.4322',
      'Images per second       4,210',
      'Latency p50, ms         0.237',
      'dog      2,500  96.24 %',
    ]),
  );
});

test('evaluate: two models and what the second gains', () => {
  const second = {
    ...EVALUATED,
    top1: 0.8512,
    perClass: EVALUATED.perClass.map((entry) => ({ ...entry, top1: 0.85 })),
  };
  const text = renderPair(
    { models: [EVALUATED, second], speedRatio: 1.5, agreement: 0.9 },
    ['a.onnx', 'b.onnx'],
    PLAIN,
  );
  expect(text).toContain('first   a.onnx\nsecond  b.onnx');
  expect(text).toMatch(/Speed +1\.50×/);
  expect(text).toMatch(/Top-1, points +−3\.00/);
  expect(text).toMatch(/Same answer +90\.00 %/);
  expect(text).toMatch(/cat +2,500 +80\.00 % +85\.00 % +\+5\.00/);
});

test('compress: before and after, only the groups that were cut, stages, reasons', () => {
  const text = renderCompression({ ...COMPRESSED, removed: { layers: ['layer1.2'], channels: {} } }, PLAIN);
  expect(text).toMatch(/Parameters +269,722 +180,122 +66\.8 % kept/);
  expect(text).toMatch(/Top-1 +88\.14 % +85\.32 % +−2\.82 points/);
  expect(text).toMatch(/Images per second +4,210 +5,410 +1\.28×/);
  expect(text).toContain('Channels kept (1 of 2 groups were cut)');
  expect(text).toContain('- layer1.2');
  expect(text).toMatch(/re-fit +85\.32 % +1 min 35 s/);
  expect(text).toContain('within 3.2e-7 of the output');
  expect(text).toContain('- output of the network\n  fc0, fc1, fc2, fc3 and 2 more\n');
  expect(text).not.toContain('Budget not met');
});

test('doctor: kernels, or why there are none, and what to do about each device', () => {
  const devices = [
    { device: 'cpu' as const, works: true, reason: undefined, remedy: undefined },
    { device: 'cuda' as const, works: false, reason: 'no library', remedy: 'Install it.' },
  ];
  const backends = [
    { name: 'serial' as const, available: true },
    { name: 'avx512' as const, available: false },
  ];
  const text = renderDoctor(
    { environment: ENVIRONMENT, kernels: { backends, chosen: 'serial', error: undefined }, devices },
    PLAIN,
  );
  expect(text).toMatch(/serial +yes +yes/);
  expect(text).toMatch(/avx512 +no: this processor lacks it/);
  expect(text).toMatch(/cuda +does not work: no library\n +Install it\./);
  expect(text).toMatch(/ONNX Runtime +not found/);
  const error = { code: 'ERR_NATIVE_MISSING', message: 'Expected it:\n  a.node: missing', remedy: 'Build it.' };
  const broken = renderDoctor(
    { environment: ENVIRONMENT, kernels: { backends: [], chosen: undefined, error }, devices },
    PLAIN,
  );
  expect(broken).toContain('Expected it:\n  a.node: missing\nBuild it.\n');
});

describe('bench', () => {
  const measured = {
    kernel: 'separationIndex' as const,
    backend: 'avx512' as const,
    rows: 2000,
    dims: 1024,
    order: 1,
    trials: 5,
    cpuSeconds: 0.0414,
    wallSeconds: 0.0123,
    gflops: 666.4,
    ratioToSerial: 41.26,
    measuredRows: 2000,
    extrapolated: false,
    serialExtrapolated: false,
  };
  const result = { environment: ENVIRONMENT, threads: 2, loadAverage: 0.5, data: 'random' as const };

  test('one line a kernel and backend', () => {
    const filters = { ...measured, kernel: 'filterSeparation' as const, filters: 16, measuredFilters: 16 };
    const text = renderBenchmark({ ...result, results: [measured, { ...measured, order: 5 }, filters] }, PLAIN);
    expect(text).toContain('A processor, 2 of 4 threads, load average 0.50; random data');
    expect(text).toMatch(/separationIndex +avx512 +2,000 +1,024 +0\.041 +0\.012 +666 +41\.26×/);
    expect(text).toMatch(/separationIndex, order 5 +avx512/);
    expect(text).toMatch(/filterSeparation, 16 filters +avx512/);
    expect(text).not.toContain('≈');
  });

  test('what is scaled from a part is marked, and the part named', () => {
    const estimated = { ...measured, serialExtrapolated: true };
    const serial = { ...estimated, backend: 'serial' as const, ratioToSerial: 1, extrapolated: true };
    const filters = { kernel: 'filterSeparation' as const, filters: 64, measuredFilters: 6 };
    const text = renderBenchmark(
      { ...result, results: [{ ...serial, measuredRows: 128 }, estimated, { ...serial, ...filters }] },
      PLAIN,
    );
    expect(text).toMatch(/separationIndex +serial +2,000 +1,024 +≈ 0\.041 +≈ 0\.012 +≈ 666 +1\.00×/);
    expect(text).toMatch(/separationIndex +avx512 +2,000 +1,024 +0\.041 +0\.012 +666 +≈ 41\.26×/);
    expect(text).toContain('  separationIndex, 2,000 × 1,024: 128 of 2,000 queries\n');
    expect(text).toContain('  filterSeparation, 64 filters, 2,000 × 1,024: 6 of 64 filters\n');
  });

  test('peers stand beside the backends, and those that are missing with the reason', () => {
    const shape = { rows: 2000, dims: 1024 };
    const times = { cpuSeconds: 0.1, wallSeconds: 0.05, gflops: 160, trials: 5 };
    const ratio = { serial: 0.04, avx512: 2.42 };
    const text = renderBenchmark(
      {
        ...result,
        results: [measured],
        peers: [
          { name: 'faiss', version: '1.7', ...shape, ...times, ratio, si: 0.1, siAgrees: true },
          { name: 'other', version: '2', ...shape, ...times, ratio, si: 0.2, siAgrees: false },
          { name: 'product', version: '3', ...shape, ...times, ratio },
          { name: 'torch', ...shape, notMeasured: 'python3: No module\u001b[31m' },
        ],
      },
      PLAIN,
    );
    expect(text).toMatch(/faiss +1\.7 +2,000 +1,024 +0\.100 +0\.050 +2\.42× +0\.10000\n/);
    expect(text).toMatch(/other .* 0\.20000, which is NOT ours\n/);
    expect(text).toMatch(/product .* –\n/);
    expect(text).toContain('torch not measured: python3: No module\\u{1b}[31m\n');
    expect(text).not.toContain('over serial');
  });
});

test('tables align, bars stay within their width, JSON has arrays and nulls', () => {
  expect(
    renderTable(
      [{ title: 'A' }, { title: 'B', align: 'right' }],
      [
        ['x', '1'],
        ['größe', '10'],
      ],
      PLAIN,
    ),
  ).toBe('A       B\nx       1\ngröße  10\n');
  expect(renderBar(2, 4)).toBe('████');
  expect(renderBar(Number.NaN, 4)).toBe('░░░░');
  expect(renderBar(0.5, 4)).toBe('██░░');
  expect(renderJson({ a: Float64Array.of(1, Number.NaN), b: Int32Array.of(2) }, 0)).toBe('{"a":[1,null],"b":[2]}\n');
});
