import type { DatasetSpec } from '../activations/types';
import type { RemovableLayer } from '../onnx/layers/types';
import type { RecipeOptions } from './training/recipe';
import type { ChannelMask, DeviceChoice, LayerCost, ModelBytes, NotCut, RunControl } from '../types';

/** A path to an .onnx file, or a model that is in memory already. */
export type ModelSource = string | ModelBytes;

export interface CommonOptions extends RunControl {
  readonly device?: DeviceChoice;
  /** Threads for ONNX Runtime and the kernels; 0 or absent: as many as the process may use. */
  readonly threads?: number;
  /** Everything random follows from it. Default 0. */
  readonly seed?: number;
  /** One line for people: the device taken and why, the normalisation used, what was left out. */
  readonly onMessage?: (text: string) => void;
}

export interface DataOptions {
  readonly data: string | DatasetSpec;
  /** Samples used, stratified over the classes. Default: 2,000 for analyze and compress, all for evaluate. */
  readonly samples?: number;
  /** Upper bound on the activations held at once. Default 2 GiB. */
  readonly memoryBudgetBytes?: number;
  readonly batchSize?: number;
}

// ---- inspect ---------------------------------------------------------------------------------------

export type InspectOptions = Pick<RunControl, 'signal'>;

export interface InspectedLayer extends LayerCost {
  readonly prunable: boolean;
  readonly reason?: string;
}

export interface InspectResult {
  /** Learnable values, counted as PyTorch does. */
  readonly parameters: number;
  /** Running means and variances of batch normalisation: stored, not learnable, not in `parameters`. */
  readonly runningStatistics: number;
  /** Multiply-accumulates for one sample. */
  readonly macs: number;
  readonly bytes: number;
  readonly opset: number;
  readonly input: { readonly name: string; readonly shape: readonly (number | string)[] } | undefined;
  readonly layers: readonly InspectedLayer[];
  readonly groups: readonly {
    readonly id: string;
    readonly size: number;
    readonly members: readonly string[];
    readonly prunable: boolean;
    readonly reason?: string;
  }[];
  /** What can be taken out as a whole. Layers may lie inside one another. */
  readonly removable: readonly RemovableLayer[];
}

// ---- analyze ---------------------------------------------------------------------------------------

export interface AnalyzeOptions extends CommonOptions, DataOptions {
  /** Also the SI and CSI of every filter of every cut point. */
  readonly filters?: boolean;
  /** A layer is effective where it raises SI or CSI by more than this over its input. Default 0.01. */
  readonly epsilon?: number;
}

export interface AnalyzedLayer {
  /** The cut point's tensor. */
  readonly name: string;
  readonly si: number;
  readonly csi: number;
  /** SI over the samples of each class. */
  readonly perClass: readonly number[];
  readonly effective: boolean;
  /** By filter, in the order of axis 1; only with `filters`, and not for the input. */
  readonly filters?: { readonly si: readonly number[]; readonly csi: readonly number[] };
  /** Why there are none, though they were asked for. */
  readonly filtersSkipped?: string;
  /** Into how many blocks of columns the activations were cut where they exceed the memory budget: the indices are the same. */
  readonly columnBlocks?: number;
}

export interface AnalyzeResult {
  readonly samples: number;
  readonly classNames: readonly string[];
  /** In topological order; the first is the input itself. */
  readonly layers: readonly AnalyzedLayer[];
  readonly device: string;
}

// ---- evaluate --------------------------------------------------------------------------------------

export interface EvaluateOptions extends CommonOptions, DataOptions {
  /** Batch size of the latency measurement. Default 1. */
  readonly latencyBatch?: number;
}

export interface EvaluatedModel {
  readonly samples: number;
  readonly top1: number;
  readonly top5: number;
  /** Mean cross-entropy. */
  readonly loss: number;
  readonly perClass: readonly { readonly name: string; readonly samples: number; readonly top1: number }[];
  /** Inference alone, in batches of `batchSize`; median of alternating rounds. */
  readonly imagesPerSecond: number;
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly device: string;
}

export interface EvaluatedPair {
  readonly models: readonly [EvaluatedModel, EvaluatedModel];
  /** Images/s of the second over the first: median of paired rounds in one run. */
  readonly speedRatio: number;
  /** Share of samples on which the two agree. */
  readonly agreement: number;
}

// ---- compress --------------------------------------------------------------------------------------

export const CRITERIA = ['si', 'si-rank', 'csi', 'reconstruction', 'l1', 'random', 'auto'] as const;
export type Criterion = (typeof CRITERIA)[number];

export interface CompressOptions extends CommonOptions, DataOptions {
  /** Where the compressed .onnx goes. Absent: nothing is written, `model` of the result holds it. */
  readonly output?: string;
  readonly force?: boolean;
  /** Fraction of the multiply-accumulates to KEEP. */
  readonly flops?: number;
  /** Fraction of the parameters to KEEP. */
  readonly params?: number;
  /** Size of the file to stay under, in bytes. */
  readonly bytes?: number;
  /** Accuracy that may be lost on the validation samples, in percentage points. */
  readonly maxDrop?: number;
  /** Default `auto`. */
  readonly criterion?: Criterion;
  /** `uniform`: the same fraction of every group; `curve`: one tolerance on every group's own curve. Default `curve`. */
  readonly allocation?: 'uniform' | 'curve';
  /**
   * Groups of at least 32 channels keep a multiple of this. Default: the channels that ONNX Runtime computes at once on
   * this CPU, 16 with AVX-512 and 8 otherwise; a width in between costs as much as the next multiple.
   */
  readonly multiple?: number;
  /**
   * `refit`: in closed form, without gradients; `finetune`: after that, training on the data with the original as teacher.
   * Default `refit`.
   */
  readonly recover?: 'none' | 'refit' | 'finetune';
  /** How `finetune` trains. */
  readonly training?: RecipeOptions;
  /** Samples that nothing is chosen on. Default: a stratified tenth (at least 500) of the data, apart from the calibration samples. */
  readonly validation?: string | DatasetSpec;
  /** One-file HTML report. */
  readonly report?: string;
  /** What the user typed, for the report. */
  readonly command?: string;
}

export interface CompressedSide {
  readonly parameters: number;
  readonly macs: number;
  readonly bytes: number;
  /** On the validation samples. */
  readonly top1: number;
  readonly imagesPerSecond: number;
}

export interface CompressStage {
  readonly name: string;
  /** On the validation samples, after the stage. */
  readonly top1: number;
  readonly seconds: number;
}

export interface CompressedGroup {
  readonly id: string;
  readonly size: number;
  readonly kept: number;
}

export interface CompressResult {
  readonly before: CompressedSide;
  readonly after: CompressedSide;
  /** Images/s after over before, median of paired rounds. */
  readonly speedRatio: number;
  readonly removed: { readonly layers: readonly string[]; readonly channels: ChannelMask };
  readonly groups: readonly CompressedGroup[];
  readonly stages: readonly CompressStage[];
  readonly notCut: readonly NotCut[];
  /** Cut graph against masked original, before recovery: max abs difference over the output's scale. */
  readonly verification: {
    readonly maxRelativeDifference: number;
    readonly tolerance: number;
    readonly samples: number;
  };
  readonly criterion: Exclude<Criterion, 'auto'>;
  readonly calibrationSamples: number;
  readonly validationSamples: number;
  readonly device: string;
  readonly seed: number;
  /** Set when the budget or tolerance could not be met: what was reached, and why (exit code 1). */
  readonly unmet?: string;
  readonly output?: string;
  readonly model: ModelBytes;
}

/*
 * The functions (implemented beside this file, exported by src/index.ts):
 *   inspect(model: ModelSource, options?: InspectOptions): Promise<InspectResult>                    inspect.ts
 *   analyze(model: ModelSource, options: AnalyzeOptions): Promise<AnalyzeResult>                     analyze.ts
 *   evaluate(model: ModelSource, options: EvaluateOptions): Promise<EvaluatedModel>                  evaluate.ts
 *   compareModels(first: ModelSource, second: ModelSource, options): Promise<EvaluatedPair>         evaluate.ts
 *   compress(model: ModelSource, options: CompressOptions): Promise<CompressResult>                  compress.ts
 */
