import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { keptPositions, resolveMask } from '../../../src/onnx/channels/mask';
import type { ChannelAnalysis } from '../../../src/onnx/channels/types';
import type { Model } from '../../../src/onnx/ir';
import { cutChannels } from '../../../src/onnx/passes/cutChannels';
import { serializeModel } from '../../../src/onnx/save';
import { createRandom } from '../../../src/random';
import type { ChannelMask } from '../../../src/types';
import { randomGraph } from './randomGraph';
import {
  analyze,
  canonicalGraph,
  complaintsOfOnnx,
  differenceAfterCut,
  missingPython,
  NEWEST_CHECKED_OPSET,
  randomMask,
} from './support';

const SEEDS = 150;

/** The same channels, counted in a graph that has lost others already. */
function afterCut(analysis: ChannelAnalysis, first: ChannelMask, second: ChannelMask): ChannelMask {
  const kept = keptPositions(analysis, resolveMask(analysis, first));
  return Object.fromEntries(
    Object.entries(second).map(([tensor, indices]) => {
      const positions = kept.get(tensor)?.positions;
      if (positions === undefined) return [tensor, indices];
      return [tensor, indices.map((index) => positions.indexOf(index)).filter((index) => index >= 0)];
    }),
  );
}

/** One part holds the entries of some groups, the other those of the rest; or each holds some slots of every group. */
function halves(analysis: ChannelAnalysis, mask: ChannelMask, bySlot: boolean): [ChannelMask, ChannelMask] {
  const removed = resolveMask(analysis, mask);
  const parts: [Record<string, readonly number[]>, Record<string, readonly number[]>] = [{}, {}];
  for (const [index, group] of analysis.groups.entries()) {
    const slots = removed.get(group.id) ?? [];
    for (const side of [0, 1] as const) {
      const own = new Set(slots.filter((slot) => (bySlot ? slot % 2 : index % 2) === side));
      for (const member of group.members)
        if (Object.hasOwn(mask, member.tensor) && own.size > 0 && !member.slots.includes(-1))
          parts[side][member.tensor] = member.slots.flatMap((slot, position) => (own.has(slot) ? [position] : []));
    }
  }
  return parts;
}

describe(`${SEEDS} random CNN graphs`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-graphs-'));
  const files: string[] = [];
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function save(model: Model, name: string): void {
    const path = join(folder, `${name}.onnx`);
    writeFileSync(path, serializeModel(model));
    files.push(path);
  }

  test('the cut graph equals the masked one', async () => {
    let groups = 0;
    let prunable = 0;
    for (let seed = 0; seed < SEEDS; seed++) {
      const { model, inputDims } = randomGraph(seed);
      const analysis = analyze(model);
      const random = createRandom(seed);
      const mask = randomMask(analysis, seed % 2 === 0 ? 0.3 : 0.6, random);
      const { cut, difference } = await differenceAfterCut(model, analysis, mask, inputDims, random);
      if ((model.opsets.get('') ?? 0) <= NEWEST_CHECKED_OPSET) save(cut, `cut-${seed}`);
      groups += analysis.groups.length;
      prunable += analysis.groups.filter((group) => group.prunable).length;
      if (!(difference <= 1e-4)) throw new Error(`seed ${seed}: relative difference ${difference}`);
    }
    // The grammar must not drift into graphs in which nothing can be cut.
    expect(prunable / groups).toBeGreaterThan(0.5);
  }, 60_000);

  test('the ONNX checker and full shape inference accept the cut graphs', () => {
    const missing = missingPython('onnx');
    if (missing !== undefined) return console.info(`not checked with onnx: ${missing}`);
    expect(files.length).toBeGreaterThan(SEEDS / 2);
    expect(complaintsOfOnnx(files)).toBe('');
    const broken = join(folder, 'broken.onnx');
    writeFileSync(broken, Uint8Array.of(1, 2, 3));
    expect(complaintsOfOnnx([broken])).not.toBe('');
  });

  test.each([
    ['group by group', false],
    ['slot by slot', true],
  ])('two cuts in either order equal one cut, %s', (_, bySlot) => {
    let compared = 0;
    for (let seed = 0; seed < SEEDS; seed++) {
      const { model, mayRegroup } = randomGraph(seed);
      if (mayRegroup) continue;
      const analysis = analyze(model);
      const mask = randomMask(analysis, 0.5, createRandom(seed));
      const [first, second] = halves(analysis, mask, bySlot);
      const together = canonicalGraph(cutChannels(model, analysis, mask));
      for (const [now, later] of [
        [first, second],
        [second, first],
      ] as const) {
        const once = cutChannels(model, analysis, now);
        const twice = cutChannels(once, analyze(once), afterCut(analysis, now, later));
        if (canonicalGraph(twice) !== together) throw new Error(`seed ${seed}: the order of cuts matters`);
      }
      compared++;
    }
    expect(compared).toBeGreaterThan(SEEDS / 3);
  });

  test('an empty mask gives the same model', () => {
    const { model } = randomGraph(1);
    expect(cutChannels(model, analyze(model), {})).toBe(model);
  });
});
