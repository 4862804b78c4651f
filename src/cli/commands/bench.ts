import { Command, Option } from 'commander';
import { BENCHMARK_DATA, BENCHMARK_KERNELS } from '../../compress/benchmark/types';
import type {
  BenchmarkData,
  BenchmarkKernel,
  BenchmarkOptions,
  BenchmarkResult,
  BenchmarkShape,
  KernelMeasurement,
  MissingPeer,
  PeerMeasurement,
} from '../../compress/benchmark/types';
import { expected } from '../../errors';
import { formatCount, formatNumber, formatRatio, printable } from '../../report/format';
import { addCommonOptions } from '../options';
import type { CommonFlags } from '../options';
import { heading, renderTable } from '../output';
import type { Style } from '../output';
import { choice, integer, number, repeated } from '../values';
import type { ValueParser } from '../values';
import { verb } from '../verb';

interface BenchFlags extends CommonFlags {
  readonly shape?: readonly BenchmarkShape[];
  readonly rows?: number;
  readonly dims?: number;
  readonly kernel?: readonly BenchmarkKernel[];
  readonly order?: number;
  readonly backend?: readonly string[];
  readonly data?: BenchmarkData;
  readonly repeats?: number;
  readonly serialSeconds?: number;
  readonly peers?: boolean;
}

const EXAMPLES = `
Examples:
  $ onnx-sieve bench
  $ onnx-sieve bench --kernel separationIndex --shape 10000x4096 --shape 10000x64 --threads 1
  $ onnx-sieve bench --kernel selectFilters --shape 2000x64x64 --data clustered
  $ PYTHON=/usr/bin/python3 onnx-sieve bench --rows 10000 --dims 4096 --kernel separationIndex --peers`;

export const benchVerb = verb<BenchFlags, BenchmarkOptions>({
  define: () =>
    addCommonOptions(
      new Command('bench')
        .summary('the kernels on this machine: time, GFLOP/s and the ratio to the serial one')
        .description(
          'Runs the separation kernels on made data with every backend this processor has, in turn, and gives medians of CPU and elapsed time. The answers must be those of the serial backend. Where that one would take too long it does a part of the queries, and its scaled time is marked with "≈".',
        )
        .addOption(
          new Option(
            '--shape <size>',
            'ROWSxDIMS or ROWSxFILTERSxDIMS; repeatable (default: what each kernel is used on)',
          ).argParser(repeated(shape('--shape'))),
        )
        .addOption(new Option('--rows <n>', 'samples of a single shape').argParser(integer('--rows', 16)))
        .addOption(new Option('--dims <n>', 'values of one sample of a single shape').argParser(integer('--dims', 1)))
        .addOption(
          new Option('--kernel <name>', `only this of ${BENCHMARK_KERNELS.join(', ')}; repeatable`).argParser(
            repeated(choice('--kernel', BENCHMARK_KERNELS)),
          ),
        )
        .addOption(
          new Option('--order <n>', 'neighbours that count in separationIndex and crossSeparationIndex').argParser(
            integer('--order', 1),
          ),
        )
        .addOption(
          new Option('--backend <name>', 'only this backend beside the serial one; repeatable').argParser(
            repeated((text) => text),
          ),
        )
        .addOption(
          new Option('--data <kind>', `${BENCHMARK_DATA.join(' or ')} (default: random)`).argParser(
            choice('--data', BENCHMARK_DATA),
          ),
        )
        .addOption(
          new Option('--repeats <n>', 'timed rounds, of which the medians count (default: 5)').argParser(
            integer('--repeats', 1),
          ),
        )
        .addOption(
          new Option(
            '--serial-seconds <s>',
            'longest serial run; what would take longer is measured in part and scaled (default: 0.5)',
          ).argParser(number('--serial-seconds', 'seconds, 0 or more', (value) => value >= 0)),
        )
        .addOption(
          new Option(
            '--peers',
            'also time FAISS, scikit-learn, PyTorch and NumPy where python3 (or $PYTHON) has them, on the same data',
          ),
        ),
    ).addHelpText('after', EXAMPLES),
  read: (
    _positional,
    { shape: shapes, rows, dims, kernel, order, backend, data, repeats, serialSeconds, peers, threads, seed },
  ) => {
    if (shapes !== undefined && (rows !== undefined || dims !== undefined))
      throw expected('ERR_USAGE', 'either --shape or --rows and --dims', 'the shapes', 'both');
    return {
      shapes,
      rows,
      dims,
      kernels: kernel,
      order,
      backends: backend,
      data,
      repeats,
      serialSeconds,
      peers,
      threads,
      seed,
    };
  },
  run: async (options, { signal, onProgress }) => {
    const { benchmark } = await import('../../compress/benchmark/benchmark');
    const result = await benchmark({ ...options, signal, onProgress });
    return { document: result, text: (style) => renderBenchmark(result, style) };
  },
});

/** "10000x64", or "2000x16x64" for 16 filters of 64 values each. */
function shape(option: string): ValueParser<BenchmarkShape> {
  return (text) => {
    const [rows = 0, first = 0, second, ...more] = text
      .split('x')
      .map((part) => (/^\d+$/.test(part) ? Number(part) : Number.NaN));
    const dims = first * (second ?? 1);
    if (more.length > 0 || !(rows >= 16) || !(dims >= 1) || !Number.isSafeInteger(rows * dims)) {
      throw expected('ERR_OPTION', 'ROWSxDIMS or ROWSxFILTERSxDIMS with 16 rows or more', option, text);
    }
    return second === undefined ? { rows, dims } : { rows, dims, filters: first };
  };
}

export function renderBenchmark(result: BenchmarkResult, style: Style): string {
  const { environment, threads, loadAverage, data, results, peers } = result;
  return [
    `${environment.cpuModel}, ${threads} of ${environment.cpuThreads} threads, load average ${loadAverage.toFixed(2)}; ${data} data\n\n`,
    renderTable(
      [
        { title: 'Kernel' },
        { title: 'Backend' },
        { title: 'Rows', align: 'right' },
        { title: 'Values', align: 'right' },
        { title: 'CPU, s', align: 'right' },
        { title: 'Elapsed, s', align: 'right' },
        { title: 'GFLOP/s', align: 'right' },
        { title: 'Against serial, by CPU time', align: 'right' },
      ],
      results.map((measured) => [
        nameOf(measured),
        measured.backend,
        formatCount(measured.rows),
        formatCount(measured.dims),
        estimated(measured.extrapolated, measured.cpuSeconds.toFixed(3)),
        estimated(measured.extrapolated, measured.wallSeconds.toFixed(3)),
        estimated(measured.extrapolated, formatNumber(measured.gflops)),
        estimated(measured.serialExtrapolated && !measured.extrapolated, formatRatio(measured.ratioToSerial)),
      ]),
      style,
    ),
    ...renderExtrapolation(results),
    ...(peers === undefined ? [] : renderPeers(peers, style)),
  ].join('');
}

function nameOf({ kernel, order, filters }: KernelMeasurement): string {
  if (order > 1) return `${kernel}, order ${order}`;
  return filters === undefined ? kernel : `${kernel}, ${filters} filters`;
}

const estimated = (isEstimated: boolean, text: string): string => (isEstimated ? `≈ ${text}` : text);

function renderExtrapolation(results: readonly KernelMeasurement[]): readonly string[] {
  const parts = results
    .filter(({ extrapolated }) => extrapolated)
    .map((measured) => {
      const { rows, filters, measuredRows, measuredFilters } = measured;
      const part =
        measuredRows < rows
          ? `${formatCount(measuredRows)} of ${formatCount(rows)} queries`
          : `${measuredFilters} of ${filters} filters`;
      return `  ${nameOf(measured)}, ${formatCount(rows)} × ${formatCount(measured.dims)}: ${part}\n`;
    });
  return parts.length === 0 ? [] : ['\n≈ scaled from a part of the work that the serial backend did:\n', ...parts];
}

function renderPeers(peers: readonly (PeerMeasurement | MissingPeer)[], style: Style): readonly string[] {
  const measured = peers.filter((peer): peer is PeerMeasurement => 'ratio' in peer);
  const backends = [...new Set(measured.flatMap(({ ratio }) => Object.keys(ratio)))].filter(
    (name) => name !== 'serial',
  );
  const missing = new Set(
    peers.flatMap((peer) => ('notMeasured' in peer ? [`${peer.name} not measured: ${peer.notMeasured}`] : [])),
  );
  const table = renderTable(
    [
      { title: 'Peer' },
      { title: 'Version' },
      { title: 'Rows', align: 'right' },
      { title: 'Values', align: 'right' },
      { title: 'CPU, s', align: 'right' },
      { title: 'Elapsed, s', align: 'right' },
      ...backends.map((name) => ({ title: `CPU time over ${name}`, align: 'right' as const })),
      { title: 'SI' },
    ],
    measured.map((peer) => [
      peer.name,
      peer.version,
      formatCount(peer.rows),
      formatCount(peer.dims),
      peer.cpuSeconds.toFixed(3),
      peer.wallSeconds.toFixed(3),
      ...backends.map((name) => formatRatio(peer.ratio[name] ?? Number.NaN)),
      peer.si === undefined ? '–' : peer.si.toFixed(5) + (peer.siAgrees === false ? ', which is NOT ours' : ''),
    ]),
    style,
  );
  const lines = [...missing].map((line) => `${printable(line)}\n`);
  return [heading('separationIndex beside other libraries', style), ...(measured.length > 0 ? [table] : []), ...lines];
}
