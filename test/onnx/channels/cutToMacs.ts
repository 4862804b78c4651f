import { uniformDeficit } from '../../../src/compress/allocation';
import { allocateWithin, costOf } from '../../../src/compress/budget';
import type { Compression } from '../../../src/compress/prepare';
import type { Ranking } from '../../../src/compress/ranking';
import type { ChannelAnalysis } from '../../../src/onnx/channels/types';
import { measureCost } from '../../../src/onnx/cost';
import type { Model } from '../../../src/onnx/ir';
import { inferShapes } from '../../../src/onnx/shapes';

/**
 * Lets `compress` choose the widths for a share of the MACs, every channel as good as any other, and gives the share that
 * is left. No data is needed for that.
 */
export async function cutToMacs(
  model: Model,
  analysis: ChannelAnalysis,
  share: number,
): Promise<{ readonly fraction: number; readonly met: boolean }> {
  const rankings = new Map<string, Ranking>(
    analysis.groups.map((group) => [
      group.id,
      { order: Array.from({ length: group.size }, (_, slot) => slot), deficit: uniformDeficit(group.size) },
    ]),
  );
  const compression = { original: { model }, analysis, runtime: {} } as unknown as Compression;
  const { macs } = measureCost(model, inferShapes(model));
  const widths = { allocation: 'curve', multiple: 1 } as const;
  const { counts, met } = await allocateWithin(compression, rankings, widths, { macs: share * macs });
  return { fraction: costOf(compression, rankings, counts).macs / macs, met };
}
