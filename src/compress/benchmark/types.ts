import type { Backend } from '../../binding/addon';
import type { EnvironmentDescription } from '../../report/environment';
import type { RunControl } from '../../types';

export const BENCHMARK_KERNELS = [
  'separationIndex',
  'crossSeparationIndex',
  'centerSeparationIndex',
  'filterSeparation',
  'selectFilters',
] as const;
export type BenchmarkKernel = (typeof BENCHMARK_KERNELS)[number];

/** `random`: uniform values, labels that mean nothing. `clustered`: 100 Gaussian blobs, as activations tend to be. */
export const BENCHMARK_DATA = ['random', 'clustered'] as const;
export type BenchmarkData = (typeof BENCHMARK_DATA)[number];

export interface BenchmarkShape {
  readonly rows: number;
  /** Values of one sample, those of all filters together. */
  readonly dims: number;
  /** For the kernels of filters; has to divide `dims`. Default: as many as divide it, 16 at most. */
  readonly filters?: number;
}

/** One kernel on one shape. */
export interface BenchmarkCase extends BenchmarkShape {
  readonly kernel: BenchmarkKernel;
  /** Neighbours that count. */
  readonly order: number;
}

export interface BenchmarkOptions extends RunControl {
  /** Default: a list that shows every kernel where it is used (see cases.ts). */
  readonly shapes?: readonly BenchmarkShape[];
  /** One shape, `rows` × `dims`; the other defaults to 2,000 or 1,024. Not together with `shapes`. */
  readonly rows?: number;
  readonly dims?: number;
  /** Default: all; with shapes of one's own all but `selectFilters`, whose serial run may take very long. */
  readonly kernels?: readonly BenchmarkKernel[];
  /** Neighbours that count in separationIndex and crossSeparationIndex. Default 1. */
  readonly order?: number;
  /** Names as SIEVE_BACKEND takes them. Default: all that this processor has. `serial`, the reference, always runs. */
  readonly backends?: readonly string[];
  /** Default `random`. */
  readonly data?: BenchmarkData;
  /** Rounds; each runs every contender once, and medians count. Default 5. */
  readonly repeats?: number;
  /** Where one serial run would take longer, part of its queries is measured and scaled. Default 0.5. */
  readonly serialSeconds?: number;
  /** Also time what users would take instead, where a Python on this machine has it. Default false. */
  readonly peers?: boolean;
  /** 0 or absent: as many as the process may use. */
  readonly threads?: number;
  readonly seed?: number;
}

export interface Timing {
  /** Of all threads together. */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
}

/** Medians of one backend in one case. */
export interface KernelMeasurement extends Timing, BenchmarkCase {
  readonly backend: Backend;
  readonly trials: number;
  /** Of the textbook algorithm (see operationCount), over `wallSeconds`. */
  readonly gflops: number;
  /** CPU time of the serial backend over this one's. */
  readonly ratioToSerial: number;
  /** Query rows, and filters, that these times were measured on. Fewer than there are only where `extrapolated`. */
  readonly measuredRows: number;
  readonly measuredFilters?: number;
  /** These times were measured on a part of the queries and multiplied by whole / part. Only ever the serial backend's. */
  readonly extrapolated: boolean;
  /** `ratioToSerial` rests on serial times that are extrapolated. */
  readonly serialExtrapolated: boolean;
}

/** Medians of another library in one case. */
export interface PeerMeasurement extends Timing, BenchmarkShape {
  readonly name: string;
  /** Versions of the library, and of the BLAS it uses where that could be told. */
  readonly version: string;
  readonly trials: number;
  readonly gflops: number;
  /** Its CPU time over that of each backend: above 1 the backend is cheaper. */
  readonly ratio: Readonly<Record<string, number>>;
  /** The Separation Index that its neighbours give; absent where it finds none (a matrix product alone). */
  readonly si?: number;
  /** False where `si` is more than 0.001 from ours: then the two did not do the same work. */
  readonly siAgrees?: boolean;
}

export interface MissingPeer extends BenchmarkShape {
  readonly name: string;
  /** Why. */
  readonly notMeasured: string;
}

export interface BenchmarkResult {
  readonly environment: EnvironmentDescription;
  readonly threads: number;
  /** Of the last minute before the run: what else kept the machine busy. 0 on Windows. */
  readonly loadAverage: number;
  readonly data: BenchmarkData;
  readonly results: readonly KernelMeasurement[];
  /** Only where `peers` was asked for. */
  readonly peers?: readonly (PeerMeasurement | MissingPeer)[];
}
