import { availableParallelism } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Backend } from '../binding/addon';
import { callNative } from '../binding/run';
import type { NativeControl } from '../binding/run';
import { SieveError, throwIfAborted } from '../errors';
import { createRandom } from '../random';
import { describeEnvironment } from '../report/environment';
import type { EnvironmentDescription } from '../report/environment';
import { centerSeparationIndex, filterSeparation, separationIndex } from '../separation';
import type { RunControl } from '../types';

export const BENCHMARK_KERNELS = ['separationIndex', 'centerSeparationIndex', 'filterSeparation'] as const;
export type BenchmarkKernel = (typeof BENCHMARK_KERNELS)[number];

export interface BenchmarkOptions extends RunControl {
  /** Samples. Default 2,000. */
  readonly rows?: number;
  /** Values of one sample. Default 1,024. */
  readonly dims?: number;
  /** Timed runs of which the median counts. Default 3. */
  readonly repeats?: number;
  /** Default: all. */
  readonly kernels?: readonly BenchmarkKernel[];
  /** 0 or absent: as many as the process may use. */
  readonly threads?: number;
  readonly seed?: number;
}

export interface KernelMeasurement {
  readonly kernel: BenchmarkKernel;
  readonly backend: Backend;
  readonly rows: number;
  readonly dims: number;
  /** Of all threads together. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /** Of the textbook algorithm, over `wallSeconds`: 2·rows²·dims, and 2·rows·classes·dims for the centres. */
  readonly gflops: number;
  /** CPU time of the serial backend over this one's. */
  readonly ratioToSerial: number;
}

export interface BenchmarkResult {
  readonly environment: EnvironmentDescription;
  readonly threads: number;
  readonly results: readonly KernelMeasurement[];
}

const CLASSES = 10;
/** Filters that the values of a sample are split into, at most. */
const FILTERS = 16;
const WARM_UP_ROWS = 128;

interface Input {
  readonly features: Float32Array;
  readonly labels: Int32Array;
  readonly rows: number;
  readonly dims: number;
}

/**
 * Times the kernels on seeded random features, every backend that this processor has, one after the other. The
 * serial backend comes first and its answers are the reference.
 *
 * Errors: ERR_VERIFICATION where a backend's answer is not the serial one's, ERR_NATIVE_MISSING, ERR_CANCELLED.
 */
export async function benchmark(options: BenchmarkOptions = {}): Promise<BenchmarkResult> {
  const { rows = 2000, dims = 1024, repeats = 3, kernels = BENCHMARK_KERNELS, signal, onProgress } = options;
  const available = callNative((addon) => addon.backends()).filter((backend) => backend.available);
  const backends = available.map(({ name }) => name).sort((a, b) => Number(b === 'serial') - Number(a === 'serial'));
  const input = await randomInput(rows, dims, options.seed ?? 0, signal);
  const warmUp = firstRows(input, Math.min(rows, WARM_UP_ROWS));
  const results: KernelMeasurement[] = [];
  const runs = kernels.length * backends.length * repeats;
  let done = 0;
  for (const kernel of kernels) {
    let reference: { readonly answer: Float64Array; readonly cpuSeconds: number } | undefined;
    for (const backend of backends) {
      const run = (data: Input): Promise<Float64Array> =>
        CALLS[kernel](data, { backend, threads: options.threads, signal });
      onProgress?.({ stage: 'bench', fraction: done / runs, message: `${kernel}, ${backend}` });
      await run(warmUp);
      const timings: Timing[] = [];
      let answer: Float64Array = new Float64Array();
      for (let repeat = 0; repeat < repeats; repeat++) {
        const timed = await time(() => run(input));
        answer = timed.value;
        timings.push(timed);
        onProgress?.({ stage: 'bench', fraction: ++done / runs, message: `${kernel}, ${backend}` });
      }
      const { cpuSeconds, wallSeconds } = timings.sort((a, b) => a.cpuSeconds - b.cpuSeconds)[repeats >> 1]!;
      reference ??= { answer, cpuSeconds };
      compare(reference.answer, answer, kernel, backend);
      results.push({
        kernel,
        backend,
        rows,
        dims: input.dims,
        cpuSeconds,
        wallSeconds,
        gflops: (2 * rows * (kernel === 'centerSeparationIndex' ? CLASSES : rows) * input.dims) / wallSeconds / 1e9,
        ratioToSerial: reference.cpuSeconds / cpuSeconds,
      });
    }
  }
  const threads = options.threads === undefined || options.threads === 0 ? availableParallelism() : options.threads;
  return { environment: describeEnvironment(), threads, results };
}

const CALLS: Record<BenchmarkKernel, (input: Input, control: NativeControl) => Promise<Float64Array>> = {
  separationIndex: async ({ features, labels, rows, dims }, control) =>
    (await separationIndex(features, labels, { ...control, rows, dims, classes: CLASSES })).perClass,
  centerSeparationIndex: async ({ features, labels, rows, dims }, control) =>
    (await centerSeparationIndex(features, labels, { ...control, rows, dims, classes: CLASSES })).perClass,
  filterSeparation: async ({ features, labels, rows, dims }, control) => {
    const filters = filterCount(dims);
    const options = { ...control, rows, filters, dims: dims / filters, classes: CLASSES };
    return (await filterSeparation(features, labels, options)).si;
  },
};

/** The largest number of equal filters up to the limit. */
function filterCount(dims: number): number {
  let filters = Math.min(FILTERS, dims);
  while (dims % filters !== 0) filters--;
  return filters;
}

function firstRows({ features, labels, dims }: Input, rows: number): Input {
  return { features: features.subarray(0, rows * dims), labels: labels.subarray(0, rows), rows, dims };
}

/** Classes as overlapping clouds, so that the indices lie between chance and certainty. */
async function randomInput(rows: number, dims: number, seed: number, signal: AbortSignal | undefined): Promise<Input> {
  const random = createRandom(seed);
  const centers = Float32Array.from({ length: CLASSES * dims }, () => 0.1 * random.normal());
  const features = allocate(rows, dims);
  const labels = Int32Array.from({ length: rows }, (_, row) => row % CLASSES);
  for (let row = 0; row < rows; row++) {
    const center = labels[row]! * dims;
    for (let i = 0; i < dims; i++) features[row * dims + i] = random.normal() + centers[center + i]!;
    if (row % 64 === 0) {
      await nextTurn();
      throwIfAborted(signal);
    }
  }
  return { features, labels, rows, dims };
}

function allocate(rows: number, dims: number): Float32Array {
  try {
    return new Float32Array(rows * dims);
  } catch (cause) {
    throw new SieveError('ERR_OUT_OF_MEMORY', `Expected memory for ${rows} × ${dims} values but received none`, {
      cause,
      remedy: 'Use fewer rows or dims.',
    });
  }
}

interface Timing {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
}

async function time<Value>(call: () => Promise<Value>): Promise<Timing & { readonly value: Value }> {
  const cpuBefore = process.cpuUsage();
  const begin = performance.now();
  const value = await call();
  const wallSeconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  return { value, wallSeconds, cpuSeconds: (user + system) / 1e6 };
}

function compare(reference: Float64Array, answer: Float64Array, kernel: string, backend: string): void {
  const index = answer.findIndex((value, i) => !Object.is(value, reference[i]));
  if (index < 0) return;
  throw new SieveError(
    'ERR_VERIFICATION',
    `Expected the serial answer ${reference[index]} for ${kernel} but received ${answer[index]} from ${backend}`,
    {
      remedy:
        'Set SIEVE_BACKEND=serial to go on with exact answers, and report this with the output of "onnx-sieve doctor".',
    },
  );
}
