import type { Model } from '../../../src/onnx/ir';
import { createRandom } from '../../../src/random';
import { ModelBuilder } from '../../support/modelBuilder';
import { attention } from './grammar/attention';
import {
  activation,
  channelConstant,
  combination,
  composedActivation,
  division,
  gate,
  spatialGate,
} from './grammar/elementwise';
import { head } from './grammar/head';
import {
  channelsLast,
  constantOnTheLeft,
  convolution,
  depthwise,
  groupedConvolution,
  sharedWeights,
  transposedConvolution,
} from './grammar/layers';
import {
  acrossPositions,
  batchNorm,
  groupNorm,
  instanceNorm,
  layerNorm,
  unfusedBatchNorm,
} from './grammar/normalization';
import {
  border,
  computedHalf,
  concatenation,
  gather,
  paddedChannels,
  partOfChannels,
  partOfPlaces,
  split,
  stacking,
} from './grammar/parts';
import {
  axesComeAndGo,
  channelShuffle,
  channelsLastBlock,
  depthToSpace,
  pool,
  resize,
  spaceToDepth,
} from './grammar/rearrangements';
import {
  anyMap,
  BATCH,
  CLASSES,
  ints,
  INPUT_SIZE,
  latest,
  pick,
  type Production,
  type Workshop,
} from './grammar/workshop';

export interface RandomGraph {
  readonly model: Model;
  readonly inputDims: readonly number[];
}

const OPSETS = [7, 9, 11, 13, 13, 17, 17, 18, 20, 21, 22];

const PRODUCTIONS: readonly Production[] = [
  ...[convolution, convolution, convolution, convolution, depthwise, groupedConvolution, transposedConvolution],
  ...[sharedWeights, channelsLast, constantOnTheLeft, batchNorm, batchNorm, unfusedBatchNorm, instanceNorm, groupNorm],
  ...[layerNorm, acrossPositions, activation, activation, composedActivation, composedActivation, combination],
  ...[combination, combination, division, channelConstant, gate, gate, spatialGate, concatenation, concatenation],
  ...[stacking, split, partOfChannels, partOfPlaces, border, paddedChannels, gather, computedHalf, pool, resize],
  ...[channelShuffle, depthToSpace, spaceToDepth, axesComeAndGo, channelsLastBlock, attention],
];

/** A small CNN classifier drawn from a grammar; the same for the same seed. */
export function randomGraph(seed: number): RandomGraph {
  const random = createRandom(seed);
  const opset = pick(random, OPSETS);
  const model = new ModelBuilder({ opset, seed: seed + 1, irVersion: opset < 9 ? 3 : 8 });
  const batch = random.uniform() < 0.5 ? 'N' : BATCH;
  const input = model.input('input', [batch, 3, INPUT_SIZE, INPUT_SIZE]);
  const workshop: Workshop = {
    model,
    random,
    opset,
    dialect: { model, opset, ints: (values) => ints(workshop, values) },
    maps: [{ name: input, channels: 3, size: INPUT_SIZE }],
  };
  convolution(workshop);
  const steps = 5 + random.integer(9);
  for (let step = 0; step < steps; step++) pick(random, PRODUCTIONS)(workshop);
  const last = latest(workshop);
  if (random.uniform() < 0.15) {
    const early = anyMap(workshop);
    if (early.name !== 'input') model.output(early.name, [batch, early.channels, early.size, early.size]);
  }
  model.output(head(workshop, last), [batch, CLASSES]);
  return { model: model.build(), inputDims: [BATCH, 3, INPUT_SIZE, INPUT_SIZE] };
}
