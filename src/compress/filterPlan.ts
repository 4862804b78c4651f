import { analyzeChannels } from '../onnx/channels/analyze';
import { memberOf } from './groups';
import type { Classifier } from './open';
import type { CutPointShape } from './profile';

/** The filters of a cut point that are measured one by one: 0 for the input, and where `skipped` says why. */
export interface FilterPlan {
  readonly count: number;
  readonly skipped?: string;
}

/**
 * What single filters can be told apart at a cut point. The kernels take filters that are the first axis of a sample, as
 * Conv and Gemm write them; where the channels lie elsewhere, slices along that axis would be no filters.
 */
export function filterPlanner({ model, shapes }: Classifier): (cutPoint: CutPointShape) => FilterPlan {
  const { groups } = analyzeChannels(model, shapes);
  return ({ name, isInput, dims }) => {
    if (isInput) return { count: 0 };
    const skip = (skipped: string): FilterPlan => ({ count: 0, skipped });
    const members = groups.flatMap((group) => memberOf(group, name) ?? []);
    const [member] = members;
    if (member === undefined) return skip('which axis holds its channels is not known');
    if (member.axis !== 1) return skip(`its channels lie along axis ${member.axis}, not 1`);
    // Only rearranging maps of several positions into rows repeats a channel along the axis of [N, features].
    const repeats = members.some(({ slots }) => {
      const shown = slots.filter((slot) => slot >= 0);
      return new Set(shown).size < shown.length;
    });
    if (dims.length === 1 && repeats) return skip('its channels have several positions each along axis 1');
    const [count = 1] = dims;
    return count < 2 ? skip('it has one filter only') : { count };
  };
}
