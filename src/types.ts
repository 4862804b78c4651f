/** Plain data that the sibling folders exchange. No behaviour lives here. */

export type Device = 'cpu' | 'cuda' | 'webgpu';
export type DeviceChoice = 'auto' | Device;

/** `fraction` runs from 0 to 1 within one `stage`. */
export interface ProgressEvent {
  readonly stage: string;
  readonly fraction: number;
  readonly message?: string;
  /** Training: loss and share of right answers, smoothed over the last steps. */
  readonly loss?: number;
  readonly accuracy?: number;
  readonly imagesPerSecond?: number;
  readonly secondsLeft?: number;
}
export type ProgressListener = (event: ProgressEvent) => void;

export interface RunControl {
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressListener;
}

/** How pixels become input values: (value · scale − mean[c]) / std[c]. */
export interface Normalization {
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** A model that ONNX Runtime can open: its bytes, and the data of external tensors by their relative path. */
export interface ModelBytes {
  readonly bytes: Uint8Array;
  readonly externalData?: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/**
 * Channels to remove: for a tensor of the ORIGINAL graph, the indices along its channel axis. A tensor
 * stands for its whole channel group, so one tensor of a group is enough and two must agree.
 */
export type ChannelMask = Readonly<Record<string, readonly number[]>>;

/** Something that stays as it is, and why. `name` is a node or tensor of the graph. */
export interface NotCut {
  readonly name: string;
  readonly reason: string;
}

/**
 * A layer that is linear in its input: a convolution or a fully connected layer, taken out of the graph so that
 * it can be re-fitted. `weight` is row-major: [outputs, inputsPerGroup, kernelH, kernelW] for `conv`
 * (1-D convolutions have kernelH = 1), [outputs, inputs] for `dense`, whatever the graph's own layout is.
 */
export interface LinearLayer {
  readonly node: string;
  readonly kind: 'conv' | 'dense';
  /** The activation tensor it reads: [N, C, H, W] for `conv`, [..., inputs] for `dense`. */
  readonly input: string;
  /** The tensor it writes, before any later activation: [N, M, OH, OW] or [..., outputs]. */
  readonly output: string;
  readonly outputs: number;
  readonly inputsPerGroup: number;
  readonly groups: number;
  readonly kernel: readonly [height: number, width: number];
  readonly strides: readonly [height: number, width: number];
  readonly dilations: readonly [height: number, width: number];
  /** Zeros added: top, left, bottom, right (explicit; auto_pad is resolved). */
  readonly pads: readonly [top: number, left: number, bottom: number, right: number];
  readonly weight: Float32Array;
  readonly bias: Float32Array | undefined;
}

/** New values for a linear layer, same shapes and layout as in the LinearLayer they answer. */
export interface LinearEdit {
  readonly node: string;
  readonly weight: Float32Array;
  readonly bias: Float32Array | undefined;
}

/** A BatchNormalization in inference form: y = scale·(x − mean)/√(variance + epsilon) + shift, per channel. */
export interface BatchNormLayer {
  readonly node: string;
  readonly input: string;
  readonly output: string;
  readonly channels: number;
  readonly epsilon: number;
  readonly scale: Float32Array;
  readonly shift: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

export interface BatchNormEdit {
  readonly node: string;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

/** Size and arithmetic of one layer. `macs` are multiply-accumulates for one sample. */
export interface LayerCost {
  readonly name: string;
  readonly op: string;
  readonly outputShape: readonly (number | string)[];
  readonly parameters: number;
  readonly macs: number;
}

/** What a whole network costs. `parameters` counts learnable values as PyTorch does: running statistics are not in it. */
export interface ModelCost {
  readonly parameters: number;
  readonly runningStatistics: number;
  readonly macs: number;
  readonly bytes: number;
  readonly layers: readonly LayerCost[];
}
