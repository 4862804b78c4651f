export { analyze } from './compress/analyze';
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
