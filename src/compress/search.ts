import { throwIfAborted } from '../errors';
import type { ModelCost } from '../types';
import type { Allocation } from './allocation';
import type { Attempt } from './attempt';
import { isWithin, type CostLimits } from './budget';
import type { Budget } from './options';

/** How the parts of a search are reached; so that the search itself runs nothing. */
export interface SearchSteps {
  readonly allocate: (limits: CostLimits) => Promise<Allocation>;
  readonly cost: (allocation: Allocation) => ModelCost;
  readonly attempt: (allocation: Allocation) => Promise<Attempt>;
  readonly signal?: AbortSignal;
}

export interface Found {
  readonly attempt: Attempt;
  readonly cost: ModelCost;
  /** Why the budget could not be met, where it was not. */
  readonly unmet: string | undefined;
}

/** Attempts of a search for "how far can I go": each halves the range of multiply-accumulates. */
const BISECTIONS = 5;

/** Accuracies are fractions of samples: their differences are off by some 1e-16, real ones are above 1e-9. */
const ROUNDING = 1e-9;

/**
 * Meets the size budget; with a tolerance on accuracy, goes as far as that allows: to the size budget where there is
 * one, else as far as can be found by bisecting the multiply-accumulates.
 */
export async function search(
  budget: Budget,
  limits: CostLimits,
  before: { readonly cost: ModelCost; readonly top1: number },
  steps: SearchSteps,
): Promise<Found> {
  const sized = budget.flops !== undefined || budget.params !== undefined || budget.bytes !== undefined;
  if (budget.maxDrop === undefined) return meetSize(limits, before.cost, steps);

  const maxDrop = budget.maxDrop;
  const tolerable = ({ attempt }: Found): boolean => before.top1 - attempt.top1 <= maxDrop + ROUNDING;
  let least = 0;
  let farthest: Found | undefined;
  if (sized) {
    farthest = await meetSize(limits, before.cost, steps);
    if (tolerable(farthest)) return farthest;
    least = farthest.cost.macs / before.cost.macs;
  }
  let best: Found | undefined;
  let gentlest = farthest;
  let most = 1;
  for (let round = 0; round < BISECTIONS; round++) {
    throwIfAborted(steps.signal);
    const fraction = (least + most) / 2;
    const found = await meetSize({ macs: fraction * before.cost.macs }, before.cost, steps);
    gentlest = gentlest === undefined || found.cost.macs > gentlest.cost.macs ? found : gentlest;
    if (tolerable(found)) {
      best = found;
      most = Math.min(fraction, found.cost.macs / before.cost.macs);
    } else {
      least = fraction;
    }
  }
  if (best === undefined) {
    const drop = points(before.top1 - gentlest!.attempt.top1);
    return {
      ...gentlest!,
      unmet: `no cut was found within ${points(maxDrop)} points; the gentlest tried lost ${drop} points`,
    };
  }
  if (sized && !isWithin(best.cost, limits)) {
    const reached = percent(best.cost.macs / before.cost.macs);
    return {
      ...best,
      unmet: `within ${points(maxDrop)} points of accuracy only ${reached} of the multiply-accumulates were reached`,
    };
  }
  return { ...best, unmet: undefined };
}

async function meetSize(limits: CostLimits, before: ModelCost, steps: SearchSteps): Promise<Found> {
  const allocation = await steps.allocate(limits);
  const cost = steps.cost(allocation);
  const attempt = await steps.attempt(allocation);
  return { attempt, cost, unmet: allocation.met ? undefined : describeShortfall(cost, before, limits) };
}

function describeShortfall(cost: ModelCost, before: ModelCost, limits: CostLimits): string {
  const missed = [
    limits.macs !== undefined && cost.macs > limits.macs
      ? `${percent(cost.macs / before.macs)} of the multiply-accumulates instead of ${percent(limits.macs / before.macs)}`
      : '',
    limits.parameters !== undefined && cost.parameters > limits.parameters
      ? `${percent(cost.parameters / before.parameters)} of the parameters instead of ${percent(limits.parameters / before.parameters)}`
      : '',
    limits.bytes !== undefined && cost.bytes > limits.bytes ? `${cost.bytes} bytes instead of ${limits.bytes}` : '',
  ].filter((text) => text !== '');
  return `with every channel group at its floor the network still has ${missed.join(', ')}`;
}

function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}

function points(fraction: number): string {
  return (100 * fraction).toFixed(2);
}
