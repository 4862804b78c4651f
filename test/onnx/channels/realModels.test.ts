import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import type { ChannelGroup } from '../../../src/onnx/channels/types';
import { readModel } from '../../../src/onnx/load';
import { compareOutputs } from '../../../src/onnx/passes/checkEquivalence';
import { cutChannels } from '../../../src/onnx/passes/cutChannels';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import { createRandom } from '../../../src/random';
import {
  analyze,
  complaintsOfOnnx,
  differenceAfterCut,
  missingPython,
  randomInput,
  randomMask,
  runModel,
} from './support';

const MODELS = resolve(__dirname, '../../../../shared/models');
const INPUT_DIMS = [2, 3, 32, 32];

/** What is known of the networks: groups that can be cut, and the sizes of the residual or widest group. */
const NETWORKS = [
  { name: 'resnet20', prunable: 10, largest: 64, producersOfLargest: 10 },
  { name: 'resnet20_folded', prunable: 10, largest: 64, producersOfLargest: 10 },
  { name: 'resnet56', prunable: 28, largest: 64, producersOfLargest: 28 },
  { name: 'vgg16', prunable: 14, largest: 512, producersOfLargest: 1 },
];

if (!existsSync(MODELS)) test(`not run: ${MODELS} is not there`, () => expect(existsSync(MODELS)).toBe(false));
else
  describe.each(NETWORKS)('$name', ({ name, prunable, largest, producersOfLargest }) => {
    const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-real-'));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    const open = () => readModel(join(MODELS, `${name}.onnx`));

    test('all inner and residual channels can be cut, the class scores can not', async () => {
      const { groups, notCut } = analyze(await open());
      expect(groups.filter((group) => group.prunable)).toHaveLength(prunable);
      const widest = groups.reduce((best: ChannelGroup | undefined, group) => {
        return best === undefined || group.size > best.size ? group : best;
      }, undefined);
      expect(widest).toMatchObject({ size: largest, prunable: true });
      expect(widest?.producers).toHaveLength(producersOfLargest);
      expect(notCut).toHaveLength(1);
      expect(notCut[0]?.reason).toBe('"logits" is an output of the graph');
      for (const group of groups.filter((candidate) => candidate.prunable)) {
        expect(group.consumers.length).toBeGreaterThan(0);
        const shown = group.members.find((member) => member.tensor === group.id)?.slots ?? [];
        expect(shown).toEqual(shown.map((_, index) => index));
      }
    });

    test.each([0.3, 0.6])('cut by %f it equals the masked network and passes the checker', async (fraction) => {
      const model = await open();
      const analysis = analyze(model);
      const random = createRandom(7);
      const mask = randomMask(analysis, fraction, random);
      const input = randomInput(INPUT_DIMS, random);
      const { cut, difference } = await differenceAfterCut(model, analysis, mask, INPUT_DIMS, random);
      expect(difference).toBeLessThanOrEqual(1e-4);

      const [before = new Float32Array()] = await runModel(model, INPUT_DIMS, input);
      const [after = new Float32Array()] = await runModel(cut, INPUT_DIMS, input);
      expect(compareOutputs(before, after).relativeDifference).toBeGreaterThan(1e-2);

      expect(serializeModel(cut).length).toBeLessThan(serializeModel(model).length * (1 - fraction * 0.9));
      const missing = missingPython('onnx');
      if (missing !== undefined) return console.info(`not checked with onnx: ${missing}`);
      const path = join(folder, `cut-${fraction}.onnx`);
      writeFileSync(path, serializeModel(cut));
      expect(complaintsOfOnnx([path])).toBe('');
    });

    test('shapes of the cut network agree with what ONNX Runtime computes, for another batch size too', async () => {
      const model = await open();
      const analysis = analyze(model);
      const random = createRandom(11);
      const cut = cutChannels(model, analysis, randomMask(analysis, 0.5, random));
      expect(inferShapes(cut).get('logits')).toEqual(['N', 10]);
      const dims = [5, 3, 32, 32];
      const [scores] = await runModel(cut, dims, randomInput(dims, random));
      expect(scores).toHaveLength(50);
    });
  });

if (existsSync(MODELS))
  test('the parameter-free shortcut loses padded channels with those they are added to', async () => {
    const model = await readModel(join(MODELS, 'resnet20.onnx'));
    const analysis = analyze(model);
    const target = '/layer2/layer2.0/Add_output_0';
    // Positions 0–7 and 24–31 are padding in the shortcut; 8–23 are the 16 channels of the first stage.
    const cut = cutChannels(model, analysis, { [target]: [0, 1, 8, 31] });
    const shapes = inferShapes(cut);
    expect(shapes.get(target)?.[1]).toBe(28);
    expect(shapes.get('/conv1/Conv_output_0')?.[1]).toBe(15);
    expect(shapes.get('/layer3/layer3.2/Add_output_0')?.[1]).toBe(60);
    const pad = cut.graph.nodes.find((node) => node.name === '/layer2/layer2.0/Pad');
    const pads = cut.graph.initializers.get(pad?.inputs[1] ?? '');
    const values = pads === undefined ? [] : [...new BigInt64Array(Uint8Array.from(pads.bytes()).buffer)].map(Number);
    expect(values).toEqual([0, 6, 0, 0, 0, 7, 0, 0]);
    // What only computed the old amounts is gone.
    expect(cut.graph.nodes.some((node) => node.name === '/layer2/layer2.0/ConstantOfShape')).toBe(false);
  });
