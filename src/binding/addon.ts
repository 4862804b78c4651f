/**
 * The native surface as types: what `onnx_sieve.node` exports. Arrays are caller-owned. Float arrays, 16-bit ones too, are used in place,
 * never copied: they must not be written, resized or transferred until the promise settles. Int32Arrays that are read
 * (labels, indices) are copied when the call is made. Arrays may lie on a SharedArrayBuffer. The computations
 * themselves are documented in native/include/sieve/sieve.h.
 *
 * Wrong types throw a TypeError, wrong sizes a RangeError, both synchronously and with a `code` of src/errors.ts.
 * What the core refuses rejects with an Error whose `name` is "SieveError", with `code`, `row` (-1: none) and `status`.
 */

/** A kernel: `auto` takes the environment variable SIEVE_BACKEND if it is set, else the fastest one available. */
export type BackendChoice = 'auto' | Backend;
export type Backend = 'serial' | 'avx2' | 'avx512' | 'avx512-bf16' | 'amx-bf16' | 'amx-fp16' | 'neon';

/** `float16` and `bfloat16` come as a Uint16Array of their bits. */
export type ElementType = 'float32' | 'float16' | 'bfloat16';
export type NativeMatrixData = Float32Array | Uint16Array;

export type SeparationKind = 'hard' | 'soft' | 'anti';
export type IndexKind = 'separation' | 'center';
export type SelectionStrategy = 'si' | 'si-rank';

/** Cancels every call it was given to. Cancelling twice, or after the end, does nothing. */
export interface NativeCancelToken {
  cancel(): void;
}

export interface NativeRun {
  readonly backend?: BackendChoice;
  /** 0 or absent: as many as the process may use. */
  readonly threads?: number;
  readonly token?: NativeCancelToken;
  /** Called on the JavaScript thread; fractions never decrease. If it throws, the call is cancelled and rejects with that. */
  readonly onProgress?: (fraction: number) => void;
}

/** What a matrix holds. */
export interface NativeLayout {
  /** Default `float32`. */
  readonly elementType?: ElementType;
  /** In elements; the array may then be longer than its rows. Absent: rows follow each other and fill the array. */
  readonly rowStride?: number;
}

/** The same of the references, where a call has queries and references. */
export interface NativeReferenceLayout {
  readonly referenceElementType?: ElementType;
  readonly referenceRowStride?: number;
}

export interface NativeSeparationRequest extends NativeLayout {
  readonly rows: number;
  readonly dims: number;
  readonly classes: number;
  readonly order: number;
  readonly kind: SeparationKind;
  readonly skipNonFinite: boolean;
}

export interface NativeSeparationOutputs {
  /** [classes] */
  readonly perClass?: Float64Array;
  /** [rows, order] */
  readonly nearest?: Int32Array;
  /** [rows, order]; needs `nearest`. */
  readonly nearestDistanceSquared?: Float64Array;
}

export interface NativeSeparationResult {
  readonly value: number;
  readonly rowsUsed: number;
  readonly backend: Backend;
}

export interface NativeCenterRequest extends NativeLayout {
  readonly rows: number;
  readonly dims: number;
  readonly classes: number;
  readonly skipNonFinite: boolean;
  /** Count only the rows firstQuery .. firstQuery + queryRows - 1; absent: all. */
  readonly firstQuery?: number;
  readonly queryRows?: number;
}

export interface NativeCenterOutputs {
  /** [classes] */
  readonly perClass?: Float64Array;
  /** [queryRows], or [rows] */
  readonly nearest?: Int32Array;
  /** [classes, dims] */
  readonly centers?: Float64Array;
}

export interface NativeCenterResult {
  readonly value: number;
  readonly rowsUsed: number;
}

export interface NativeFilterRequest extends NativeLayout {
  readonly rows: number;
  readonly filters: number;
  /** Values of one filter: features are [rows, filters, dims]. */
  readonly dims: number;
  readonly classes: number;
  readonly order: number;
  readonly kind: SeparationKind;
  readonly index: IndexKind;
  readonly skipNonFinite: boolean;
}

/** Row i of the features is sample firstRow + i, row j of the references sample referenceFirstRow + j. */
export interface NativeNeighbourRequest extends NativeLayout, NativeReferenceLayout {
  readonly rows: number;
  readonly firstRow: number;
  readonly referenceRows: number;
  readonly referenceFirstRow: number;
  readonly dims: number;
  readonly order: number;
  readonly skipNonFinite: boolean;
}

/** [rows, order] each: row numbers and squared distances, ascending; -1 and NaN where there are fewer. */
export interface NativeNeighbourLists {
  readonly nearest: Int32Array;
  readonly nearestDistanceSquared: Float64Array;
}

export interface NativeColumnStreamRequest {
  readonly rows: number;
  readonly classes: number;
  readonly index: IndexKind;
  readonly order: number;
  readonly kind: SeparationKind;
  readonly skipNonFinite: boolean;
  /** `finish` will be asked for them. */
  readonly neighbours: boolean;
}

/**
 * sieve_column_stream: open, add each block, endPass; where that resolves to true the blocks come once more, endPass;
 * finish or finishCenters; release. One call at a time: another throws while one runs. The backend is that of `open`.
 */
export interface NativeColumnStream {
  open(run: NativeRun): Promise<void>;
  /** values: [rows, columns]. */
  add(values: NativeMatrixData, request: NativeLayout & { readonly columns: number }, run: NativeRun): Promise<void>;
  endPass(run: NativeRun): Promise<boolean>;
  finish(outputs: NativeSeparationOutputs, run: NativeRun): Promise<NativeSeparationResult>;
  finishCenters(outputs: Omit<NativeCenterOutputs, 'centers'>, run: NativeRun): Promise<NativeCenterResult>;
  /** Frees the memory, after the call in flight where there is one. */
  release(): void;
}

/** One group of a convolution, or a dense layer as a 1x1 kernel on a 1x1 map. Pads are those before; see sieve.h. */
export interface NativePatchGeometry {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly kernelHeight: number;
  readonly kernelWidth: number;
  readonly strideHeight: number;
  readonly strideWidth: number;
  readonly dilationHeight: number;
  readonly dilationWidth: number;
  readonly padTop: number;
  readonly padLeft: number;
  readonly outputHeight: number;
  readonly outputWidth: number;
  readonly outputs: number;
}

/** With d = channels * kernelHeight * kernelWidth; zeroed by the caller before the first batch. */
export interface NativeMoments {
  /** [d+1, d+1] */
  readonly gram: Float64Array;
  /** [d+1, outputs] */
  readonly cross: Float64Array;
  /** [outputs] */
  readonly targetSquare: Float64Array;
}

/** Where a batch lies: sample n starts at `offset + n * sampleStride`, in elements. */
export interface NativeBatch {
  readonly data: Float32Array;
  readonly offset: number;
  readonly sampleStride: number;
}

/** A least-squares problem: moments of `regressors` (the constant is the last) and `outputs`. */
export interface NativeProblem {
  /** [regressors, regressors] */
  readonly gram: Float64Array;
  /** [regressors, outputs] */
  readonly cross: Float64Array;
  /** [outputs] */
  readonly targetSquare: Float64Array;
  readonly regressors: number;
  readonly outputs: number;
}

export interface NativeRidgeProblem extends NativeProblem {
  /** Regressors that may be used, ascending. */
  readonly active: Int32Array;
  readonly ridge: number;
  /** [active, outputs]; absent: zero. */
  readonly prior?: Float64Array;
}

export interface NativeEliminationProblem extends NativeProblem {
  /** Unit u owns the regressors members[offsets[u]] .. members[offsets[u + 1] - 1]. */
  readonly members: Int32Array;
  /** [units + 1] */
  readonly offsets: Int32Array;
}

export interface NativeAddon {
  readonly version: string;
  /** Every kernel this build knows, and whether this CPU has it. */
  backends(): { readonly name: Backend; readonly available: boolean }[];
  /** What a choice means here; throws where it can not be had. */
  resolveBackend(choice: BackendChoice): Backend;
  /** The calling thread takes denormals for zero from now on; false where the processor can not. */
  flushDenormals(): boolean;
  /** Ends the process at once: nothing that is under way, in whatever thread, is waited for or cleaned up. */
  exitNow(code: number): never;
  readonly CancelToken: new () => NativeCancelToken;
  /** labels: [rows]; copied. */
  readonly ColumnStream: new (labels: Int32Array, request: NativeColumnStreamRequest) => NativeColumnStream;

  /** features [rows, dims], labels [rows]. */
  separationIndex(
    features: NativeMatrixData,
    labels: Int32Array,
    request: NativeSeparationRequest,
    outputs: NativeSeparationOutputs,
    run: NativeRun,
  ): Promise<NativeSeparationResult>;
  /** `request.rows` counts the queries; reference is [referenceRows, dims]. */
  crossSeparationIndex(
    features: NativeMatrixData,
    labels: Int32Array,
    reference: NativeMatrixData,
    referenceLabels: Int32Array,
    request: NativeSeparationRequest & NativeReferenceLayout & { readonly referenceRows: number },
    outputs: NativeSeparationOutputs,
    run: NativeRun,
  ): Promise<NativeSeparationResult>;
  centerSeparationIndex(
    features: NativeMatrixData,
    labels: Int32Array,
    request: NativeCenterRequest,
    outputs: NativeCenterOutputs,
    run: NativeRun,
  ): Promise<NativeCenterResult>;
  /** features [rows, dims], targets [rows, targetDims]. */
  smoothnessIndex(
    features: NativeMatrixData,
    targets: Float32Array,
    request: NativeLayout & { readonly rows: number; readonly dims: number; readonly targetDims: number },
    run: NativeRun,
  ): Promise<number>;
  /** values: [filters]. */
  filterSeparation(
    features: NativeMatrixData,
    labels: Int32Array,
    request: NativeFilterRequest,
    values: Float64Array,
    run: NativeRun,
  ): Promise<void>;
  /** Set s is members[offsets[s]] .. members[offsets[s + 1] - 1]; values: [offsets.length - 1]. */
  subsetSeparation(
    features: NativeMatrixData,
    labels: Int32Array,
    request: NativeFilterRequest,
    members: Int32Array,
    offsets: Int32Array,
    values: Float64Array,
    run: NativeRun,
  ): Promise<void>;
  /** order, curve: [filters]; beyond `limit` (0: all) order is -1 and curve NaN. */
  selectFilters(
    features: NativeMatrixData,
    labels: Int32Array,
    request: NativeFilterRequest & { readonly strategy: SelectionStrategy; readonly limit: number },
    order: Int32Array,
    curve: Float64Array,
    run: NativeRun,
  ): Promise<void>;

  /** features [rows, dims], references [referenceRows, dims]; fills outputs. sieve_nearest_neighbours in sieve.h. */
  nearestNeighbours(
    features: NativeMatrixData,
    references: NativeMatrixData,
    request: NativeNeighbourRequest,
    outputs: NativeNeighbourLists,
    run: NativeRun,
  ): Promise<void>;
  /** The parts' lists stay as they are. sieve_merge_neighbours in sieve.h. */
  mergeNeighbours(
    parts: readonly NativeNeighbourLists[],
    request: { readonly rows: number; readonly order: number },
    outputs: NativeNeighbourLists,
    run: NativeRun,
  ): Promise<void>;
  /** nearest [rows, order], labels [rows], referenceLabels by row number. sieve_score_neighbours in sieve.h. */
  scoreNeighbours(
    nearest: Int32Array,
    labels: Int32Array,
    referenceLabels: Int32Array,
    request: {
      readonly rows: number;
      readonly referenceRows: number;
      readonly order: number;
      readonly classes: number;
      readonly kind: SeparationKind;
    },
    outputs: { readonly perClass?: Float64Array },
    run: NativeRun,
  ): Promise<{ readonly value: number; readonly rowsUsed: number }>;

  /** Adds `samples` images to the moments in place and resolves to the number of patches added. Batches one after another. */
  accumulateMoments(
    input: NativeBatch,
    target: NativeBatch,
    samples: number,
    geometry: NativePatchGeometry,
    moments: NativeMoments,
    run: NativeRun,
  ): Promise<number>;
  /** weights: [active, outputs]; residual: optional [outputs]. */
  ridgeSolve(
    problem: NativeRidgeProblem,
    weights: Float64Array,
    residual: Float64Array | undefined,
    run: NativeRun,
  ): Promise<void>;
  /** weights: [regressors, outputs], given; residual: [outputs], filled. sieve_moments_residual in sieve.h. */
  momentsResidual(
    moments: NativeMoments & { readonly regressors: number; readonly outputs: number },
    weights: Float64Array,
    residual: Float64Array,
    run: NativeRun,
  ): Promise<void>;
  /** weights: [regressors, outputs]; residual: [outputs]. */
  momentsResidual(problem: NativeProblem, weights: Float64Array, residual: Float64Array, run: NativeRun): Promise<void>;
  /** order, errorAfter: [units], first removed first. */
  eliminateUnits(
    problems: readonly NativeEliminationProblem[],
    units: number,
    ridge: number,
    order: Int32Array,
    errorAfter: Float64Array,
    run: NativeRun,
  ): Promise<void>;
}
