import { throwIfAborted } from '../errors';
import { assertWritable, writeFileAtomic } from '../files';
import { measureCost } from '../onnx/cost';
import type { Model } from '../onnx/ir';
import { toModelBytes, writeModel } from '../onnx/save';
import { describeEnvironment } from '../report/environment';
import { renderHtmlReport } from '../report/html/page';
import type { NotCut } from '../types';
import { measureAccuracy } from './accuracy';
import type { CompressedSide, CompressOptions, CompressResult, CompressStage, ModelSource } from './api';
import { attempt } from './attempt';
import { allocateWithin, costOf, limitsOf, prunableGroups } from './budget';
import { measureSpeed } from './evaluate';
import type { RemovedSlots } from './groups';
import { finetuneStage } from './finetuneStage';
import { understandClassifier } from './open';
import { oneOf, readBudget, readCriterion, readRuntime, readWidths } from './options';
import { prepareCompression, type Compression } from './prepare';
import { markEffective, profileCutPoints } from './profile';
import { rankGroups } from './ranking';
import { search } from './search';
import { readRecipe } from './training/recipe';
import { verifyCut } from './verification';

const REPORTED_EPSILON = 0.01;

/**
 * Makes a classifier smaller within a budget: profiles its cut points, ranks the channels of every group, cuts, re-fits
 * the layers that read them by least squares, re-estimates batch normalisation, verifies, and writes the result.
 *
 * Nothing is written unless the cut graph, weights as they were, equals the original with the removed channels masked to
 * zero. A budget that can not be met gives the nearest network and `unmet`.
 *
 * Errors: ERR_OPTION, those of reading model and data, ERR_OUTPUT_EXISTS, ERR_OUTPUT_UNWRITABLE, ERR_VERIFICATION,
 * ERR_NON_FINITE, ERR_DEVICE, ERR_CANCELLED.
 */
export async function compress(source: ModelSource, options: CompressOptions): Promise<CompressResult> {
  const runtime = readRuntime(options);
  const budget = readBudget(options);
  const method = {
    criterion: readCriterion(options),
    recover: oneOf(options.recover, ['none', 'refit', 'finetune'], '--recover', 'refit'),
  };
  const widths = readWidths(options);
  const writing = { force: options.force ?? false };
  if (options.output !== undefined) await assertWritable(options.output, writing);
  if (options.report !== undefined) await assertWritable(options.report, writing);

  const compression = await prepareCompression(source, options, runtime);
  const { original, analysis, calibration, selection, validation } = compression;
  const recipe = readRecipe(options.training ?? {}, original);
  const started = performance.now();
  const originalTop1 = (await measureAccuracy(original.model, original, validation, runtime)).top1;
  const originalStage = { name: 'original', top1: originalTop1, seconds: secondsSince(started) };
  const before = measureCost(original.model, original.shapes);

  const profiling = performance.now();
  const profile = await profileCutPoints(original, calibration, runtime, false);
  const profileStage = { name: 'profile', top1: originalTop1, seconds: secondsSince(profiling) };

  const ranking = performance.now();
  const groups = prunableGroups(compression);
  const inputs = {
    original,
    current: original,
    samples: calibration,
    runtime: { ...runtime, onProgress: renamed(runtime, 'rank') },
  };
  const rankings = await rankGroups(groups, method.criterion, inputs);
  const rankStage = { name: 'rank', top1: originalTop1, seconds: secondsSince(ranking) };

  const limits = limitsOf(budget, before);
  const found = await search(
    budget,
    limits,
    { cost: before, top1: originalTop1 },
    {
      allocate: (wanted) => allocateWithin(compression, rankings, widths, wanted),
      cost: ({ counts }) => costOf(compression, rankings, counts),
      attempt: ({ counts }) => attempt(compression, rankings, counts, method),
      signal: options.signal,
    },
  );

  const { mask, removed, stages } = found.attempt;
  const verify = (network: Model) => verifyCut(original, analysis, mask, network, selection, runtime);
  let { model, top1 } = found.attempt;
  const trainStages: CompressStage[] = [];
  if (method.recover === 'finetune') {
    // A cut that is wrong must not cost hours first.
    await verify(model);
    const trained = await finetuneStage(compression, model, recipe);
    model = trained.model;
    top1 = trained.stage.top1;
    trainStages.push(trained.stage);
  }
  const verifying = performance.now();
  const verification = await verify(model);
  const verifyStage = { name: 'verification', top1, seconds: secondsSince(verifying) };
  const result = understandClassifier(model);
  const speed = await measureSpeed([original, result], runtime.batchSize, runtime);
  const after = measureCost(result.model, result.shapes);
  const [speedBefore, speedAfter] = speed.measurements;

  const summary: Omit<CompressResult, 'model'> = {
    before: sideOf(before, originalTop1, speedBefore!.imagesPerSecond),
    after: sideOf(after, top1, speedAfter!.imagesPerSecond),
    speedRatio: speedAfter!.speedRatio,
    removed: { layers: [], channels: mask },
    groups: groups.map(({ id, size }) => ({ id, size, kept: size - (removed.get(id)?.size ?? 0) })),
    stages: [originalStage, profileStage, rankStage, ...stages, ...trainStages, verifyStage],
    notCut: notCutOf(compression, removed),
    verification,
    criterion: method.criterion,
    calibrationSamples: calibration.indices.length,
    validationSamples: validation.indices.length,
    device: speed.device,
    seed: runtime.seed,
    ...(found.unmet === undefined ? {} : { unmet: found.unmet }),
    ...(options.output === undefined ? {} : { output: options.output }),
  };
  throwIfAborted(options.signal);
  if (options.output !== undefined) await writeModel(model, options.output, writing);
  if (options.report !== undefined) {
    const html = renderHtmlReport(summary, {
      model: typeof source === 'string' ? source : 'the model',
      environment: describeEnvironment(),
      createdAt: new Date(),
      command: options.command,
      separation: markEffective(profile.layers, REPORTED_EPSILON),
    });
    await writeFileAtomic(options.report, html, writing);
  }
  return { ...summary, model: toModelBytes(model) };
}

function sideOf(
  { parameters, macs, bytes }: Pick<CompressedSide, 'parameters' | 'macs' | 'bytes'>,
  top1: number,
  imagesPerSecond: number,
): CompressedSide {
  return { parameters, macs, bytes, top1, imagesPerSecond };
}

/** Every layer whose channels all stayed, and why: it can not be cut, or the budget did not ask for it. */
function notCutOf({ analysis }: Compression, removed: RemovedSlots): NotCut[] {
  const spared = analysis.groups.filter((group) => !removed.has(group.id));
  const fromGroups = spared.flatMap(({ producers, prunable, reason }) =>
    producers.map((name) => ({
      name,
      reason: prunable ? 'the budget was met without it' : (reason ?? 'its channels can not be cut'),
    })),
  );
  const named = new Set(analysis.notCut.map(({ name }) => name));
  return [...analysis.notCut, ...fromGroups.filter(({ name }) => !named.has(name))];
}

function renamed(
  { onProgress }: { onProgress?: CompressOptions['onProgress'] },
  stage: string,
): CompressOptions['onProgress'] {
  return onProgress && ((event) => onProgress({ ...event, stage }));
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
