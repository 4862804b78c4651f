export { analyze } from './compress/analyze';
export { mergeAnalyses } from './compress/analyzeMerge';
export { analyzeShard } from './compress/analyzeShard';
export { compress } from './compress/compress';
export { compareModels, evaluate } from './compress/evaluate';
export { inspect } from './compress/inspect';
export { CRITERIA } from './compress/api';
export type {
  AnalyzedLayer,
  AnalyzeOptions,
  AnalyzeResult,
  CommonOptions,
  CompressedGroup,
  CompressedSide,
  CompressOptions,
  CompressResult,
  CompressStage,
  Criterion,
  DataOptions,
  EvaluatedModel,
  EvaluatedPair,
  EvaluateOptions,
  InspectedLayer,
  InspectOptions,
  InspectResult,
  ModelSource,
} from './compress/api';
export type { AnalyzedRun, AnalyzePart, LayerHits, Shard } from './compress/analyzePart';
export type { AnalyzeShardOptions } from './compress/analyzeShard';
export type { DatasetSpec } from './activations/types';
export * from './separation';
export { isSieveError, SieveError } from './errors';
export type { SieveErrorCategory, SieveErrorCode } from './errors';
export type {
  ChannelMask,
  Device,
  DeviceChoice,
  LayerCost,
  ModelBytes,
  NotCut,
  ProgressEvent,
  ProgressListener,
  RunControl,
} from './types';
