/**
 * What it costs to plan a cut to half the MACs and to make it, from file to file: CPU seconds by step, and the most
 * memory that was in use (resident, what Node itself takes included). Runs without data.
 * `node --single-threaded planning.js MODEL OUTPUT` (bundled) prints JSON; without arguments, only what loading takes.
 */
import { statSync } from 'node:fs';

import { uniformDeficit } from '../../src/compress/allocation';
import { allocateWithin } from '../../src/compress/budget';
import { maskFor, removedSlots } from '../../src/compress/groups';
import type { Compression } from '../../src/compress/prepare';
import type { Ranking } from '../../src/compress/ranking';
import { analyzeChannels } from '../../src/onnx/channels/analyze';
import { measureCost } from '../../src/onnx/cost';
import { readModel } from '../../src/onnx/load';
import { cutChannels } from '../../src/onnx/passes/cutChannels';
import { writeModel } from '../../src/onnx/save';
import { inferShapes } from '../../src/onnx/shapes';
import type { ChannelMask } from '../../src/types';

async function main(input: string, output: string): Promise<void> {
  const seconds: Record<string, number> = {};
  let before = process.cpuUsage();
  const lap = (step: string): void => {
    const { user, system } = process.cpuUsage(before);
    seconds[step] = (user + system) / 1e6;
    before = process.cpuUsage();
  };

  const model = await readModel(input);
  lap('read');
  const shapes = inferShapes(model);
  const analysis = analyzeChannels(model, shapes);
  const rankings = new Map<string, Ranking>(
    analysis.groups.map(({ id, size }) => [
      id,
      { order: Array.from({ length: size }, (_, slot) => slot), deficit: uniformDeficit(size) },
    ]),
  );
  const compression = { original: { model }, analysis, runtime: {} } as unknown as Compression;
  const { macs } = measureCost(model, shapes);
  const widths = { allocation: 'curve', multiple: 1 } as const;
  const { counts } = await allocateWithin(compression, rankings, widths, { macs: macs / 2 });
  lap('plan');
  const masks = analysis.groups.map((group): ChannelMask => {
    const order = rankings.get(group.id)?.order ?? [];
    return maskFor(group, removedSlots(group, order, counts.get(group.id) ?? group.size));
  });
  const mask = Object.assign({}, ...masks) as ChannelMask;
  const cut = cutChannels(model, analysis, mask);
  lap('cut');
  await writeModel(cut, output, { force: true });
  lap('write');
  const peakBytes = mostMemory();
  const macsLeft = measureCost(cut, inferShapes(cut)).macs / macs;
  console.log(JSON.stringify({ seconds, macsLeft, modelBytes: statSync(input).size, peakBytes }));
}

function printLoaded(): Promise<void> {
  console.log(JSON.stringify({ peakBytes: mostMemory() }));
  return Promise.resolve();
}

/** Resident, since the process began. */
function mostMemory(): number {
  return process.resourceUsage().maxRSS * 1024;
}

const [input, output] = process.argv.slice(2);
const work = input === undefined || output === undefined ? printLoaded() : main(input, output);
work.catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
