import type { Device, Normalization } from '../types';

/** The image input of a classifier, as the model declares it. */
export interface ImageInput {
  readonly name: string;
  readonly layout: 'NCHW' | 'NHWC';
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Set where the model only takes this many samples at once. */
  readonly fixedBatch: number | undefined;
}

/**
 * A labelled image set, opened for one model input. Nothing is decoded before `load` asks for it; what was
 * decoded may be kept (see `cacheBytes` of the opener).
 */
export interface Dataset {
  readonly size: number;
  readonly classNames: readonly string[];
  /** [size], 0 .. classNames.length − 1. */
  readonly labels: Int32Array;
  readonly normalization: Normalization;
  /** Files that were left out because they could not be decoded (only with `skipCorrupt`). */
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
  /** Preprocessed float32 samples in the layout of the model's input, [indices.length, ...]; in `output`, where it is given. */
  load(indices: ArrayLike<number>, signal?: AbortSignal, output?: Float32Array): Promise<Float32Array>;
}

export interface TensorValue {
  readonly dims: readonly number[];
  /** Always float32: other float types are widened. */
  readonly data: Float32Array;
}

/** One device that was considered for a session, in the order tried. */
export interface DeviceAttempt {
  readonly device: Device;
  /** True for the one that runs the session. */
  readonly taken: boolean;
  /** One line: why it was taken, or why not. */
  readonly reason: string;
  /** What would make the device work, where that is known. */
  readonly remedy?: string;
}

/** An input or output as the model declares it. */
export interface TensorInfo {
  readonly name: string;
  /** Element type in ONNX Runtime's words: "float32", "float16", "int64" … ("other" where it is no tensor). */
  readonly type: string;
  /** A string is a symbolic dimension. */
  readonly dims: readonly (number | string)[];
}

export interface RunOptions {
  /** Gives the feeds' buffers away instead of copying them: the arrays are empty afterwards. Off by default. */
  readonly transferFeeds?: boolean;
}

/** A model opened in ONNX Runtime, in a worker thread, so that `run` never blocks the event loop. */
export interface Session {
  readonly device: Device;
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Which devices were considered, and why they were taken or not. */
  readonly attempts: readonly DeviceAttempt[];
  /** Version of ONNX Runtime. */
  readonly runtimeVersion: string;
  /**
   * The arrays in `feeds` stay valid; each result is a fresh array. Calls are queued. Without `outputs`, every
   * numeric output is returned.
   */
  run(
    feeds: Readonly<Record<string, TensorValue>>,
    outputs?: readonly string[],
    options?: RunOptions,
  ): Promise<ReadonlyMap<string, TensorValue>>;
  /**
   * Wall-clock milliseconds of `repeats` runs one after the other, timed inside the worker: neither the message
   * to it nor the copies of the arrays are in them.
   */
  measureLatencyMs(feeds: Readonly<Record<string, TensorValue>>, repeats: number): Promise<Float64Array>;
  /** Waits for queued calls, then frees the model and ends the worker. May be called again. */
  close(): Promise<void>;
}

export interface ActivationBatch {
  /** Position of the first sample within the requested indices. */
  readonly start: number;
  readonly count: number;
  /** By tapped tensor name; the first dimension is `count`. */
  readonly tensors: ReadonlyMap<string, TensorValue>;
}

/** A data set as a JSON file or the command line's flags describe it. A plain string is its `path`. */
export interface DatasetSpec {
  /** Told from the path where it is left out. */
  readonly kind?: 'image-folder' | 'tar' | 'npy' | 'npz' | 'cifar-binary' | 'idx';
  /** The folder, archive or file of images. */
  readonly path: string;
  /** `npy`, `idx`: the file of labels. `npz`: the name of the array of labels. */
  readonly labels?: string;
  /** `npz`: the name of the array of images. */
  readonly images?: string;
  /** [height, width] that images are resized to; the model's input is cut from the middle of it. */
  readonly size?: readonly [number, number];
  /** Pixels are multiplied by it: a number, or a fraction such as "1/255". */
  readonly scale?: number | string;
  /** Subtracted from scaled pixels, one value or one for each channel. */
  readonly mean?: readonly number[];
  /** What they are then divided by. */
  readonly std?: readonly number[];
  /** Axes of an array of images. */
  readonly layout?: 'NCHW' | 'NHWC';
  /** At most so many samples, as evenly from all classes as can be. */
  readonly limit?: number;
  /** The classes in the order of the model's outputs. */
  readonly classNames?: readonly string[];
  /** Leave corrupt images out and count them, instead of failing at the first. */
  readonly skipCorrupt?: boolean;
}
