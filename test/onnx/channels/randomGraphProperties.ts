import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { keptPositions, resolveMask } from '../../../src/onnx/channels/mask';
import type { ChannelAnalysis } from '../../../src/onnx/channels/types';
import type { Model } from '../../../src/onnx/ir';
import { parseModel } from '../../../src/onnx/load';
import { cutChannels } from '../../../src/onnx/passes/cutChannels';
import { serializedLength } from '../../../src/onnx/proto/serialize';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
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

/** Throws where two cuts, in either order, do not give what one cut of both gives. */
function requireOrderIndependence(model: Model, analysis: ChannelAnalysis, mask: ChannelMask): void {
  const together = canonicalGraph(cutChannels(model, analysis, mask));
  for (const bySlot of [false, true]) {
    const [first, second] = halves(analysis, mask, bySlot);
    for (const [now, later] of [
      [first, second],
      [second, first],
    ] as const) {
      const once = cutChannels(model, analysis, now);
      const twice = cutChannels(once, analyze(once), afterCut(analysis, now, later));
      if (canonicalGraph(twice) !== together)
        throw new Error(`the order of cuts matters, ${bySlot ? 'slot by slot' : 'group by group'}`);
    }
  }
}

/** Throws where a graph that was cut does not stand for itself: read again, or cut by an empty mask. */
function requireIdempotence(model: Model, analysis: ChannelAnalysis, cut: Model): void {
  if (cutChannels(model, analysis, {}) !== model) throw new Error('an empty mask changes the model');
  const again = analyze(cut);
  if (cutChannels(cut, again, {}) !== cut) throw new Error('an empty mask changes the cut model');
  const bytes = serializeModel(cut);
  if (serializedLength(cut) !== bytes.length) throw new Error('the length of the file is not what was foretold');
  const read = parseModel(bytes);
  if (canonicalGraph(read) !== canonicalGraph(cut)) throw new Error('the cut model reads differently from its file');
}

/** Everything that must hold for one seed; the cut graph, and how much of the graph can be cut. */
async function checkSeed(seed: number): Promise<{ cut: Model; groups: number; prunable: number; isOrdered: boolean }> {
  const { model, inputDims, mayRegroup } = randomGraph(seed);
  const analysis = analyze(model);
  const random = createRandom(seed);
  const mask = randomMask(analysis, seed % 2 === 0 ? 0.3 : 0.6, random);
  const { cut, difference, outputs } = await differenceAfterCut(model, analysis, mask, inputDims, random);
  if (!(difference <= 1e-4)) throw new Error(`relative difference ${difference}`);
  const scores = outputs.at(-1) ?? new Float32Array();
  if (!scores.every(Number.isFinite)) throw new Error('scores that are not finite say nothing');
  const expected = inferShapes(cut).get(cut.graph.outputs.at(-1)?.name ?? '');
  if (expected?.[1] !== scores.length / 2) throw new Error('shape inference and runtime differ');
  requireIdempotence(model, analysis, cut);
  if (!mayRegroup) requireOrderIndependence(model, analysis, mask);
  const prunable = analysis.groups.filter((group) => group.prunable).length;
  return { cut, groups: analysis.groups.length, prunable, isOrdered: !mayRegroup };
}

/** Tests that hold for random graphs: valid, equal to the masked original, idempotent, independent of the order. */
export function describeRandomGraphs(firstSeed: number, count: number): void {
  describe(`${count} random CNN graphs`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-graphs-'));
    const files: string[] = [];
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test(
      'a cut graph equals the masked one, cut graphs stay as they are, and the order of cuts does not matter',
      async () => {
        const failures: string[] = [];
        let [groups, prunable, ordered] = [0, 0, 0];
        for (let seed = firstSeed; seed < firstSeed + count; seed++) {
          try {
            const result = await checkSeed(seed);
            groups += result.groups;
            prunable += result.prunable;
            ordered += Number(result.isOrdered);
            if ((result.cut.opsets.get('') ?? 0) > NEWEST_CHECKED_OPSET) continue;
            const path = join(folder, `cut-${seed}.onnx`);
            writeFileSync(path, serializeModel(result.cut));
            files.push(path);
          } catch (error) {
            failures.push(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
          }
        }
        expect(failures).toEqual([]);
        // The grammar must not drift into graphs in which nothing can be cut or ordered.
        expect(prunable / groups).toBeGreaterThan(0.5);
        expect(ordered).toBeGreaterThan(count / 4);
      },
      count * 1000,
    );

    test(
      'the ONNX checker and full shape inference accept the cut graphs',
      () => {
        const missing = missingPython('onnx');
        if (missing !== undefined) return console.info(`not checked with onnx: ${missing}`);
        expect(files.length).toBeGreaterThan(count / 3);
        expect(complaintsOfOnnx(files)).toBe('');
        const broken = join(folder, 'broken.onnx');
        writeFileSync(broken, Uint8Array.of(1, 2, 3));
        expect(complaintsOfOnnx([broken])).not.toBe('');
      },
      count * 1000,
    );
  });
}
