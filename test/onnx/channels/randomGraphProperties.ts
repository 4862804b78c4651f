import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { ChannelAnalysis } from '../../../src/onnx/channels/types';
import type { Model } from '../../../src/onnx/ir';
import { parseModel } from '../../../src/onnx/load';
import { cutChannels } from '../../../src/onnx/passes/cutChannels';
import { serializedLength } from '../../../src/onnx/proto/serialize';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import { createRandom } from '../../../src/random';
import {
  cutTwice,
  requireNothingLeft,
  requireOrderIndependence,
  requireUnorderedMasks,
  type OrderCounts,
} from './cutSequences';
import { randomGraph } from './randomGraph';
import {
  analyze,
  canonicalGraph,
  complaintsOfOnnx,
  differenceAfterCut,
  largestDifference,
  missingPython,
  NEWEST_CHECKED_OPSET,
  randomInput,
  randomMask,
} from './support';

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

interface Checked extends OrderCounts {
  readonly cut: Model;
  readonly groups: number;
  readonly prunable: number;
  /** Whether the cuts of a sequence can be made at once. */
  readonly isOneCut: boolean;
}

/** Everything that must hold for one seed; the cut graph, and how much of the graph can be cut. */
async function checkSeed(seed: number): Promise<Checked> {
  const { model, inputDims } = randomGraph(seed);
  const analysis = analyze(model);
  const random = createRandom(seed);
  const mask = randomMask(analysis, seed % 2 === 0 ? 0.3 : 0.6, random);
  const input = randomInput(inputDims, random);
  const { cut, difference, outputs } = await differenceAfterCut(model, analysis, mask, inputDims, input);
  if (!(difference <= 1e-4)) throw new Error(`relative difference ${difference}`);
  const scores = outputs.at(-1) ?? new Float32Array();
  if (!scores.every(Number.isFinite)) throw new Error('scores that are not finite say nothing');
  const expected = inferShapes(cut).get(cut.graph.outputs.at(-1)?.name ?? '');
  if (expected?.[1] !== scores.length / 2) throw new Error('shape inference and runtime differ');
  requireIdempotence(model, analysis, cut);
  requireNothingLeft(analysis, mask, cut);
  requireUnorderedMasks(model, analysis, mask, random);
  const order = requireOrderIndependence(model, analysis, mask);
  const { twice, masked, isOneCut } = cutTwice(model, analysis, mask, random);
  const afterTwo = await largestDifference(masked, twice, inputDims, input);
  if (!(afterTwo <= 1e-4)) throw new Error(`relative difference ${afterTwo} after two cuts`);
  const prunable = analysis.groups.filter((group) => group.prunable).length;
  return { cut, groups: analysis.groups.length, prunable, isOneCut, ...order };
}

/** Tests that hold for random graphs: valid, equal to the masked original, idempotent, independent of the order. None is left out. */
export function describeRandomGraphs(firstSeed: number, count: number): void {
  describe(`${count} random CNN graphs`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-graphs-'));
    const files: string[] = [];
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    test(
      'a cut graph equals the masked one, cut graphs stay as they are, and the order of cuts does not matter',
      async () => {
        const failures: string[] = [];
        let [groups, prunable, same, refused, oneCut] = [0, 0, 0, 0, 0];
        for (let seed = firstSeed; seed < firstSeed + count; seed++) {
          try {
            const result = await checkSeed(seed);
            groups += result.groups;
            prunable += result.prunable;
            same += result.same;
            refused += result.refused;
            oneCut += Number(result.isOneCut);
            if ((result.cut.opsets.get('') ?? 0) > NEWEST_CHECKED_OPSET) continue;
            const path = join(folder, `cut-${seed}.onnx`);
            writeFileSync(path, serializeModel(result.cut));
            files.push(path);
          } catch (error) {
            failures.push(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`);
          }
        }
        expect(failures).toEqual([]);
        // The grammar must not drift into graphs in which nothing can be cut, nor most cuts be refused.
        expect(prunable / groups).toBeGreaterThan(0.5);
        expect(same + refused).toBe(4 * count);
        expect(refused).toBeLessThan(0.05 * 4 * count);
        expect(oneCut).toBeGreaterThan(0.8 * count);
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
