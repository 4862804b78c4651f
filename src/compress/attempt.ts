import { cutChannels } from '../onnx/passes/cutChannels';
import type { Model } from '../onnx/ir';
import type { ChannelMask } from '../types';
import { measureAccuracy } from './accuracy';
import type { Counts } from './allocation';
import type { CompressStage } from './api';
import { reestimateBatchNorms } from './batchNormStage';
import type { RemovedSlots } from './groups';
import type { Compression } from './prepare';
import type { Ranking, RankingCriterion } from './ranking';
import { cutAndRefit } from './sweep';

export interface Method {
  readonly criterion: RankingCriterion;
  /** Training is no part of an attempt: it follows the one that was chosen. */
  readonly recover: 'none' | 'refit' | 'finetune';
}

/** A network with so many channels, as good as the method makes it. */
export interface Attempt {
  readonly removed: RemovedSlots;
  readonly mask: ChannelMask;
  readonly model: Model;
  /** On the validation samples. */
  readonly top1: number;
  readonly stages: readonly CompressStage[];
}

interface Candidate {
  readonly stage: string;
  readonly model: Model;
  readonly seconds: number;
}

/**
 * Cuts and recovers. A recovery stage is kept where it lowers the loss on the selection samples, and undone otherwise;
 * validation samples are only looked at to report.
 */
export async function attempt(
  compression: Compression,
  rankings: ReadonlyMap<string, Ranking>,
  counts: Counts,
  method: Method,
): Promise<Attempt> {
  const { original, analysis, calibration, selection, validation, runtime } = compression;
  const clock = stopwatch();
  const refits = method.recover !== 'none';
  const swept = await cutAndRefit({
    original,
    analysis,
    counts,
    rankings,
    rerank: refits && method.criterion === 'reconstruction',
    refit: refits,
    samples: calibration,
    runtime,
  });
  const sweepSeconds = clock();
  const cut = cutChannels(original.model, analysis, swept.mask);
  const cutSeconds = clock();
  const candidates: Candidate[] = [
    { stage: 'filters', model: cut, seconds: refits ? cutSeconds : sweepSeconds + cutSeconds },
  ];
  if (refits) {
    candidates.push({ stage: 'least squares', model: swept.model, seconds: sweepSeconds });
    const renormalized = await reestimateBatchNorms(swept.model, original, calibration, runtime);
    if (renormalized !== undefined) candidates.push({ stage: 'batch norm', model: renormalized, seconds: clock() });
  }

  let kept = candidates[0]!;
  let lowestLoss = Infinity;
  const stages: CompressStage[] = [];
  let top1 = 0;
  for (const candidate of candidates) {
    const { loss } = await measureAccuracy(candidate.model, original, selection, runtime);
    const better = loss < lowestLoss;
    if (better) {
      lowestLoss = loss;
      kept = candidate;
      top1 = (await measureAccuracy(candidate.model, original, validation, runtime)).top1;
    }
    stages.push({ name: better ? candidate.stage : `${candidate.stage} (undone)`, top1, seconds: candidate.seconds });
  }
  return { removed: swept.removed, mask: swept.mask, model: kept.model, top1, stages };
}

function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const seconds = (now - last) / 1000;
    last = now;
    return seconds;
  };
}
