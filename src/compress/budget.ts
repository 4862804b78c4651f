import type { ChannelGroup } from '../onnx/channels/types';
import { measureCost } from '../onnx/cost';
import { cutChannels } from '../onnx/passes/cutChannels';
import { inferShapes } from '../onnx/shapes';
import type { ChannelMask, ModelCost } from '../types';
import {
  allocate,
  defaultFloor,
  SMALLEST_ROUNDED_GROUP,
  uniformDeficit,
  type Allocation,
  type Counts,
  type GroupCurve,
} from './allocation';
import { maskFor, removedSlots } from './groups';
import type { Budget } from './options';
import type { Compression } from './prepare';
import type { Ranking } from './ranking';

/** What must hold of the cost of a network, in absolute numbers; undefined: no limit. */
export interface CostLimits {
  readonly macs?: number;
  readonly parameters?: number;
  readonly bytes?: number;
}

export function limitsOf(budget: Budget, before: ModelCost): CostLimits {
  return {
    macs: budget.flops === undefined ? undefined : budget.flops * before.macs,
    parameters: budget.params === undefined ? undefined : budget.params * before.parameters,
    bytes: budget.bytes,
  };
}

export function isWithin(cost: ModelCost, limits: CostLimits): boolean {
  return (
    cost.macs <= (limits.macs ?? Infinity) &&
    cost.parameters <= (limits.parameters ?? Infinity) &&
    cost.bytes <= (limits.bytes ?? Infinity)
  );
}

/** How counts are chosen. */
export interface Widths {
  readonly allocation: 'uniform' | 'curve';
  readonly multiple: number;
}

/** How many channels each group keeps so that the cut network is within the limits. */
export function allocateWithin(
  compression: Compression,
  rankings: ReadonlyMap<string, Ranking>,
  widths: Widths,
  limits: CostLimits,
): Allocation {
  const groups = prunableGroups(compression);
  const curves = groups.map((group): GroupCurve => {
    const { size, id } = group;
    const deficit =
      widths.allocation === 'uniform' ? uniformDeficit(size) : (rankings.get(id)?.deficit ?? uniformDeficit(size));
    return {
      id,
      size,
      deficit,
      floor: defaultFloor(size),
      multiple: size >= SMALLEST_ROUNDED_GROUP ? widths.multiple : 1,
    };
  });
  return allocate(curves, (counts) => isWithin(costOf(compression, rankings, counts), limits));
}

/** Groups that can be cut at all. */
export function prunableGroups({ analysis }: Compression): ChannelGroup[] {
  return analysis.groups.filter((group) => group.prunable && group.size > 1);
}

/** The cost of the network with so many channels. */
export function costOf(
  { original, analysis }: Compression,
  rankings: ReadonlyMap<string, Ranking>,
  counts: Counts,
): ModelCost {
  const masks = analysis.groups.map((group) => {
    const count = counts.get(group.id) ?? group.size;
    const order = rankings.get(group.id)?.order;
    return order === undefined || count >= group.size ? {} : maskFor(group, removedSlots(group, order, count));
  });
  const model = cutChannels(original.model, analysis, Object.assign({}, ...masks) as ChannelMask);
  return measureCost(model, inferShapes(model));
}
