export { analyze } from './compress/analyze';
export { mergeAnalyses } from './compress/analyzeMerge';
export { analyzeShard } from './compress/analyzeShard';
export { compress } from './compress/compress';
export { compareModels, evaluate } from './compress/evaluate';
export { finetune } from './compress/finetune';
export { inspect } from './compress/inspect';
export { maskFromKeptSlots, maskFromScores } from './compress/channelMasks';
export { checkEquivalence } from './compress/equivalence';
export { cutChannels, listChannelGroups, listLinearLayers, maskChannels } from './compress/masking';
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
export type { FinetuneOptions, FinetuneResult } from './compress/finetune';
export type { RecipeOptions } from './compress/training/recipe';
export type { AnalyzedRun, AnalyzePart, LayerHits, Shard } from './compress/analyzePart';
export type { AnalyzeShardOptions } from './compress/analyzeShard';
export type { KeptSlots, SlotScores } from './compress/channelMasks';
export type { Equivalence, EquivalenceOptions } from './compress/equivalence';
export type { CutCost, CutModel, MaskedModel, MaskOptions, ReadOptions } from './compress/masking';
export type { ChannelGroup, GroupMember } from './onnx/channels/types';
export type { LayerKind, RemovableLayer } from './onnx/layers/types';
export type { DatasetSpec } from './activations/types';
export * from './separation';
export { isSieveError, SieveError } from './errors';
export type { SieveErrorCategory, SieveErrorCode } from './errors';
export type {
  ChannelMask,
  Device,
  DeviceChoice,
  LayerCost,
  LinearLayer,
  ModelBytes,
  NotCut,
  ProgressEvent,
  ProgressListener,
  RunControl,
} from './types';
