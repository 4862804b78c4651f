import type { IndexKind, NativeColumnStream, NativeRun, SeparationKind } from '../binding/addon';
import { callNative, runNative } from '../binding/run';
import { expected } from '../errors';
import type { ProgressEvent } from '../types';
import type { CenterSeparationIndexResult } from './centerSeparationIndex';
import type { FeatureArray, FeatureLayout } from './matrix';
import { checkMatrix } from './matrix';
import type { LabelledOptions, NeighbourOptions } from './options';
import {
  allocateFloat64,
  allocateInt32,
  allocateNeighbours,
  checkCount,
  checkLabels,
  checkNeighbours,
  checkRows,
} from './options';
import type { SeparationIndexResult } from './separationIndex';

/** Some columns of the features, of all rows. */
export interface ColumnBlock extends FeatureLayout {
  /** Row-major [rows, columns]; read in place until the next block is asked for. */
  readonly values: FeatureArray;
  readonly columns: number;
}

/**
 * Gives the blocks of a pass (1 or 2), first columns first. Both passes must bring the same blocks: the second is there so
 * that nobody has to keep the first.
 */
export type ColumnSource = (pass: number) => Iterable<ColumnBlock> | AsyncIterable<ColumnBlock>;

export interface ColumnStreamOptions extends LabelledOptions {
  /** Columns of all blocks together. */
  readonly dims: number;
}

export interface SeparationIndexOfColumnsOptions extends ColumnStreamOptions, NeighbourOptions {
  /** Also return the neighbours themselves; nearly always takes a second pass. */
  readonly neighbours?: boolean;
}

export interface SeparationIndexOfColumnsResult extends SeparationIndexResult {
  /** How often the columns were asked for: 1 where the labels were certain without the second pass. */
  readonly passes: number;
}

export interface CenterSeparationIndexOfColumnsOptions extends ColumnStreamOptions {
  /** Also return the nearest class of every row. */
  readonly nearest?: boolean;
}

export interface CenterSeparationIndexOfColumnsResult extends Omit<CenterSeparationIndexResult, 'centers'> {
  /** 2 only where `skipNonFinite` left out a row after the first block. */
  readonly passes: number;
}

/**
 * separationIndex of features too wide for memory, from blocks of their columns: the same answer, to the bit, for any widths.
 * The first pass adds up products of all pairs of rows, the second, where needed, exact distances of those few pairs that
 * the products leave open.
 *
 * At most 20,000 rows: takes about 2 · rows² bytes (800 MB at 20,000; twice that with backend `serial`, or at worst, where
 * float32 can not tell the rows apart). O(rows² · dims / 2) multiply-adds, and each block reads and writes all products
 * once, so blocks of 64 columns or more are worth while. A call in flight frees everything when it is aborted or a block
 * can not be had.
 *
 * @param labels [rows], class ids 0 .. classes-1.
 * @throws SieveError as separationIndex does; ERR_OPTION beyond 20,000 rows (see nearestNeighbours), and where the passes
 *   differ. What `columns` throws is passed on.
 */
export async function separationIndexOfColumns(
  columns: ColumnSource,
  labels: Int32Array,
  options: SeparationIndexOfColumnsOptions,
): Promise<SeparationIndexOfColumnsResult> {
  return readColumns(columns, options, await openSeparationIndexOfColumns(labels, options));
}

/**
 * centerSeparationIndex of features too wide for memory, from blocks of their columns: the same answer. One pass, of which
 * only the distances of all rows to all class means are kept: 8 · rows · classes bytes, any number of rows.
 *
 * O(rows · classes · dims) multiply-adds.
 *
 * @param labels [rows], class ids 0 .. classes-1.
 * @throws SieveError as centerSeparationIndex does. What `columns` throws is passed on.
 */
export async function centerSeparationIndexOfColumns(
  columns: ColumnSource,
  labels: Int32Array,
  options: CenterSeparationIndexOfColumnsOptions,
): Promise<CenterSeparationIndexOfColumnsResult> {
  return readColumns(columns, options, await openCenterSeparationIndexOfColumns(labels, options));
}

/** An index whose blocks the caller hands over. One call at a time; `release` in any case, also after an error. */
export interface OpenColumnStream<Result> {
  /** The next block of the pass. `onProgress`: of this call. */
  add(block: ColumnBlock, onProgress?: (fraction: number) => void): Promise<void>;
  /** After the last block of a pass: whether all blocks, cut as they were, are wanted once more. */
  endPass(): Promise<boolean>;
  /** After the last pass. */
  finish(): Promise<Result>;
  /** Frees the memory, after the call in flight where there is one. */
  release(): void;
}

/** separationIndexOfColumns for a caller that has its blocks when it has them. @throws SieveError as that does. */
export async function openSeparationIndexOfColumns(
  labels: Int32Array,
  options: SeparationIndexOfColumnsOptions,
): Promise<OpenColumnStream<Omit<SeparationIndexOfColumnsResult, 'passes'>>> {
  const shape = describeStream(labels, options);
  const { order, kind } = checkNeighbours(options, shape.rows - 1);
  const wantsNeighbours = options.neighbours === true;
  const perClass = allocateFloat64(shape.classes);
  const neighbours = wantsNeighbours ? allocateNeighbours(shape.rows, order) : {};
  const request = { index: 'separation', order, kind, neighbours: wantsNeighbours } as const;
  return openStream(labels, shape, request, options, async (native, run) => {
    const { value, rowsUsed, backend } = await native.finish({ perClass, ...neighbours }, run);
    return { si: value, perClass, rowsUsed, backend, ...neighbours };
  });
}

/** centerSeparationIndexOfColumns for a caller that has its blocks when it has them. @throws SieveError as that does. */
export async function openCenterSeparationIndexOfColumns(
  labels: Int32Array,
  options: CenterSeparationIndexOfColumnsOptions,
): Promise<OpenColumnStream<Omit<CenterSeparationIndexOfColumnsResult, 'passes'>>> {
  const shape = describeStream(labels, options);
  const outputs = {
    perClass: allocateFloat64(shape.classes),
    ...(options.nearest === true && { nearest: allocateInt32(shape.rows) }),
  };
  const request = { index: 'center', order: 1, kind: 'hard', neighbours: false } as const;
  return openStream(labels, shape, request, options, async (native, run) => {
    const { value, rowsUsed } = await native.finishCenters(outputs, run);
    return { csi: value, rowsUsed, ...outputs };
  });
}

interface StreamShape {
  readonly rows: number;
  readonly dims: number;
  readonly classes: number;
}

function describeStream(labels: Int32Array, options: ColumnStreamOptions): StreamShape {
  const rows = checkRows(options.rows);
  const dims = checkCount(options.dims, 'dims', 1);
  return { rows, dims, classes: checkLabels(labels, rows, options.classes) };
}

interface StreamKind {
  readonly index: IndexKind;
  readonly order: number;
  readonly kind: SeparationKind;
  readonly neighbours: boolean;
}

const STAGE = 'columns';

async function openStream<Result>(
  labels: Int32Array,
  { rows, dims, classes }: StreamShape,
  kind: StreamKind,
  options: ColumnStreamOptions,
  finish: (native: NativeColumnStream, run: NativeRun) => Promise<Result>,
): Promise<OpenColumnStream<Result>> {
  const call = <Value>(
    start: (run: NativeRun) => Promise<Value>,
    onProgress?: (fraction: number) => void,
  ): Promise<Value> => {
    const control = { ...options, onProgress: onProgress && (({ fraction }: ProgressEvent) => onProgress(fraction)) };
    return runNative(STAGE, control, (_, run) => start(run));
  };
  const request = { rows, classes, ...kind, skipNonFinite: options.skipNonFinite === true };
  const native = callNative(({ ColumnStream }) => new ColumnStream(labels, request));
  let done = 0; // columns of this pass
  const stream: OpenColumnStream<Result> = {
    add: async ({ values, columns, ...layout }, onProgress) => {
      checkCount(columns, 'the columns of a block', 1);
      if (done + columns > dims) throw expected('ERR_SHAPE', `${dims} columns`, 'all blocks', done + columns);
      const { data, elementType, rowStride } = checkMatrix(values, layout, rows, columns, 'values', '[rows, columns]');
      await call((run) => native.add(data, { columns, elementType, rowStride }, run), onProgress);
      done += columns;
    },
    endPass: async () => {
      if (done !== dims) throw expected('ERR_SHAPE', `${dims} columns`, 'all blocks', done);
      done = 0;
      return call((run) => native.endPass(run));
    },
    finish: () => call((run) => finish(native, run)),
    release: () => native.release(),
  };
  try {
    await call((run) => native.open(run));
  } catch (error) {
    stream.release();
    throw error;
  }
  return stream;
}

/** Of the progress; nobody knows beforehand whether there will be a second pass. */
const SHARE_OF_FIRST_PASS = 0.9;

async function readColumns<Result>(
  source: ColumnSource,
  { dims, onProgress }: ColumnStreamOptions,
  stream: OpenColumnStream<Result>,
): Promise<Result & { readonly passes: number }> {
  try {
    let passes = 0;
    for (let from = 0, needsAnother = true; needsAnother; from = SHARE_OF_FIRST_PASS) {
      const share = passes === 0 ? SHARE_OF_FIRST_PASS : 1 - SHARE_OF_FIRST_PASS;
      passes++;
      let done = 0;
      for await (const block of source(passes)) {
        const { columns } = block;
        const report = (fraction: number): void =>
          onProgress?.({ stage: STAGE, fraction: from + (share * (done + columns * fraction)) / dims });
        await stream.add(block, onProgress && report);
        done += columns;
      }
      needsAnother = await stream.endPass();
    }
    const result = await stream.finish();
    onProgress?.({ stage: STAGE, fraction: 1 });
    return { ...result, passes };
  } finally {
    stream.release();
  }
}
