import { Command, Option } from 'commander';
import { BENCHMARK_KERNELS } from '../../compress/benchmark';
import type { BenchmarkKernel, BenchmarkOptions, BenchmarkResult } from '../../compress/benchmark';
import { formatCount, formatNumber, formatRatio } from '../../report/format';
import { addCommonOptions } from '../options';
import type { CommonFlags } from '../options';
import { renderTable } from '../output';
import type { Style } from '../output';
import { choice, integer } from '../values';
import { verb } from '../verb';

interface BenchFlags extends CommonFlags {
  readonly rows?: number;
  readonly dims?: number;
  readonly repeats?: number;
  readonly kernel?: BenchmarkKernel;
}

export const benchVerb = verb<BenchFlags, BenchmarkOptions>({
  define: () =>
    addCommonOptions(
      new Command('bench')
        .summary('the kernels on this machine: time, GFLOP/s and the ratio to the serial one')
        .description(
          'Runs the separation kernels on random features with every backend this processor has. The serial backend is the reference; CPU time and elapsed time are both given.',
        )
        .addOption(new Option('--rows <n>', 'samples (default: 2000)').argParser(integer('--rows', 16)))
        .addOption(new Option('--dims <n>', 'values of one sample (default: 1024)').argParser(integer('--dims', 1)))
        .addOption(
          new Option('--repeats <n>', 'timed runs, of which the median counts (default: 3)').argParser(
            integer('--repeats', 1),
          ),
        )
        .addOption(
          new Option('--kernel <name>', `only one of ${BENCHMARK_KERNELS.join(', ')}`).argParser(
            choice('--kernel', BENCHMARK_KERNELS),
          ),
        ),
    ).addHelpText('after', '\nExample:\n  $ onnx-sieve bench --rows 5000 --dims 4096 --threads 1'),
  read: (_positional, { rows, dims, repeats, kernel, threads, seed }) => ({
    rows,
    dims,
    repeats,
    kernels: kernel === undefined ? undefined : [kernel],
    threads,
    seed,
  }),
  run: async (options, { signal, onProgress }) => {
    const { benchmark } = await import('../../compress/benchmark');
    const result = await benchmark({ ...options, signal, onProgress });
    return { document: result, text: (style) => renderBenchmark(result, style) };
  },
});

export function renderBenchmark({ environment, threads, results }: BenchmarkResult, style: Style): string {
  return [
    `${environment.cpuModel}, ${threads} of ${environment.cpuThreads} threads\n\n`,
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
      results.map((result) => [
        result.kernel,
        result.backend,
        formatCount(result.rows),
        formatCount(result.dims),
        result.cpuSeconds.toFixed(3),
        result.wallSeconds.toFixed(3),
        formatNumber(result.gflops),
        formatRatio(result.ratioToSerial),
      ]),
      style,
    ),
  ].join('');
}
