import { throwIfAborted } from '../errors';
import { analyzeChannels } from '../onnx/channels/analyze';
import { resolveMask } from '../onnx/channels/mask';
import type { ChannelAnalysis, ChannelGroup } from '../onnx/channels/types';
import { measureCost } from '../onnx/cost';
import type { Model } from '../onnx/ir';
import { cutChannels as cutModel } from '../onnx/passes/cutChannels';
import { describeLinearLayers } from '../onnx/passes/linearLayers';
import { maskChannels as maskModel } from '../onnx/passes/maskChannels';
import { toModelBytes, writeModel } from '../onnx/save';
import { inferShapes } from '../onnx/shapes';
import { requireSupported } from '../onnx/support';
import type { ChannelMask, LinearLayer, ModelBytes, RunControl } from '../types';
import type { ModelSource } from './api';
import { openModel } from './open';

export type ReadOptions = Pick<RunControl, 'signal'>;

export interface MaskOptions extends ReadOptions {
  /** Where the .onnx goes. Absent: nothing is written, `model` of the result holds it. */
  readonly output?: string;
  /** Replace what is at `output`. */
  readonly force?: boolean;
}

export interface MaskedModel {
  /** Ready for ONNX Runtime; also where it was written. */
  readonly model: ModelBytes;
  readonly output?: string;
}

export interface CutModel extends MaskedModel {
  /** The slots that went, ascending, by the id of their group: what the mask means for whole groups. */
  readonly removed: Readonly<Record<string, readonly number[]>>;
  readonly before: CutCost;
  readonly after: CutCost;
}

/** Counted as `inspect` does. */
export interface CutCost {
  readonly parameters: number;
  readonly macs: number;
  readonly bytes: number;
}

/**
 * The channel groups of a model: which channels of which tensors can only go together. Needs no data and runs nothing.
 * A group's slots are numbered from 0 to size − 1; `members` say which slot each position of a tensor's channel axis
 * belongs to.
 *
 * Errors: ERR_MODEL_UNREADABLE; ERR_MODEL_UNSUPPORTED for custom or quantised operators.
 */
export async function listChannelGroups(
  source: ModelSource,
  options: ReadOptions = {},
): Promise<readonly ChannelGroup[]> {
  return (await open(source, options)).analysis.groups;
}

/**
 * The convolutions and fully connected layers with their weights, in topological order: what a ranking by weights works
 * from. A group's `producers` and `consumers` name them (`node`). Copies all weights.
 *
 * Errors: as `listChannelGroups`.
 */
export async function listLinearLayers(
  source: ModelSource,
  options: ReadOptions = {},
): Promise<readonly LinearLayer[]> {
  const { model } = await open(source, options);
  return describeLinearLayers(model, inferShapes(model));
}

/**
 * Removes the channels that a mask names, in every tensor of their groups, with the weights that made and read them.
 * Nothing is re-fitted. The result computes what `maskChannels` gives; `checkEquivalence` shows it.
 *
 * Errors: as `listChannelGroups`; ERR_OPTION where the mask names what the model does not have or can not lose, two of
 * its entries contradict each other, or a tensor would lose all channels; ERR_OUTPUT_EXISTS, ERR_OUTPUT_UNWRITABLE.
 */
export async function cutChannels(
  source: ModelSource,
  mask: ChannelMask,
  options: MaskOptions = {},
): Promise<CutModel> {
  const { model, analysis } = await open(source, options);
  const removed = Object.fromEntries(resolveMask(analysis, mask));
  const cut = cutModel(model, analysis, mask);
  return { ...(await give(cut, options)), removed, before: costOf(model), after: costOf(cut) };
}

/**
 * The reference for a cut: the ORIGINAL graph with every channel that the mask names set to zero, in all tensors of its
 * group, right after the node that writes it.
 *
 * Errors: as `cutChannels`.
 */
export async function maskChannels(
  source: ModelSource,
  mask: ChannelMask,
  options: MaskOptions = {},
): Promise<MaskedModel> {
  const { model, analysis } = await open(source, options);
  return give(maskModel(model, analysis, mask), options);
}

async function open(
  source: ModelSource,
  { signal }: ReadOptions,
): Promise<{ readonly model: Model; readonly analysis: ChannelAnalysis }> {
  const model = await openModel(source, signal);
  throwIfAborted(signal);
  requireSupported(model);
  return { model, analysis: analyzeChannels(model, inferShapes(model)) };
}

async function give(model: Model, { output, force, signal }: MaskOptions): Promise<MaskedModel> {
  throwIfAborted(signal);
  if (output !== undefined) await writeModel(model, output, { force });
  return { model: toModelBytes(model), ...(output === undefined ? {} : { output }) };
}

function costOf(model: Model): CutCost {
  const { parameters, macs, bytes } = measureCost(model, inferShapes(model));
  return { parameters, macs, bytes };
}
