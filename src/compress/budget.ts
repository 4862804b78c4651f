import { setImmediate } from 'node:timers/promises';
import { throwIfAborted } from '../errors';
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
  type Meets,
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

/**
 * How many channels each group keeps so that the cut network is within the limits.
 *
 * `curve` weighs all groups by what they lose. `uniform` knows nothing of that, so it leaves residual streams and other
 * channels that many layers share alone as long as the groups between one layer and the next are enough.
 */
export async function allocateWithin(
  compression: Compression,
  rankings: ReadonlyMap<string, Ranking>,
  { allocation, multiple }: Widths,
  limits: CostLimits,
): Promise<Allocation> {
  const meets: Meets = async (counts) => {
    // Each cost is a cut of the whole graph: a breath for the event loop between two of them.
    await setImmediate();
    throwIfAborted(compression.runtime.signal);
    return isWithin(costOf(compression, rankings, counts), limits);
  };
  const curveOf = (group: ChannelGroup): GroupCurve => {
    const { size, id } = group;
    const deficit = allocation === 'curve' ? rankings.get(id)?.deficit : undefined;
    return {
      id,
      size,
      deficit: deficit ?? uniformDeficit(size),
      floor: defaultFloor(size),
      multiple: size >= SMALLEST_ROUNDED_GROUP ? multiple : 1,
    };
  };
  const groups = prunableGroups(compression);
  if (allocation === 'uniform') {
    const inner = groups.filter(({ producers, consumers }) => producers.length === 1 && consumers.length === 1);
    const attempt = await allocate(inner.map(curveOf), meets);
    if (attempt.met) return attempt;
  }
  return allocate(groups.map(curveOf), meets);
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
