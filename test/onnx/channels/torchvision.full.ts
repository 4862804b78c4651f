import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readModel } from '../../../src/onnx/load';
import { compareOutputs } from '../../../src/onnx/passes/checkEquivalence';
import { serializeModel } from '../../../src/onnx/save';
import { createRandom } from '../../../src/random';
import {
  analyze,
  complaintsOfOnnx,
  differenceAfterCut,
  missingPython,
  randomInput,
  randomMask,
  runModel,
  runPython,
} from './support';

/**
 * Exports one architecture with random weights; statistics and biases are random too, and what torchvision starts
 * at zero is not, so that every channel has something to say. Arguments by line: name, path, size, batch ("N" or 2).
 */
const EXPORT = `
import sys, warnings
warnings.filterwarnings('ignore')
import torch, torchvision
from torch import nn
name, path, size, batch = sys.stdin.read().split('\\n')
torch.manual_seed(0)
torch.set_num_threads(2)
options = dict(aux_logits=False, init_weights=False) if name in ('googlenet', 'inception_v3') else {}
model = getattr(torchvision.models, name)(weights=None, **options).eval()
for module in model.modules():
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        nn.init.uniform_(module.weight, 0.5, 1.5)
        nn.init.normal_(module.bias, 0, 0.3)
        nn.init.normal_(module.running_mean, 0, 0.3)
        nn.init.uniform_(module.running_var, 0.5, 1.5)
    elif isinstance(getattr(module, 'bias', None), torch.Tensor):
        nn.init.normal_(module.bias, 0, 0.1)
for key, value in model.named_parameters():
    if 'layer_scale' in key or not value.any():
        nn.init.normal_(value, 0, 0.1)
dynamic = {'input': {0: 'N'}, 'output': {0: 'N'}} if batch == 'N' else None
torch.onnx.export(model, torch.randn(2, 3, int(size), int(size)), path, opset_version=13,
                  input_names=['input'], output_names=['output'], dynamic_axes=dynamic)
`;

interface Architecture {
  readonly name: string;
  readonly size: number;
  readonly batch: 'N' | 2;
  /** Linear layers whose outputs can not be cut; 1 is the classifier alone. */
  readonly notCut: number;
}

const ARCHITECTURES: readonly Architecture[] = [
  { name: 'alexnet', size: 224, batch: 'N', notCut: 1 },
  { name: 'vgg11', size: 224, batch: 'N', notCut: 1 },
  { name: 'resnet18', size: 64, batch: 'N', notCut: 1 },
  { name: 'resnet50', size: 64, batch: 'N', notCut: 1 },
  { name: 'wide_resnet50_2', size: 64, batch: 'N', notCut: 1 },
  { name: 'resnext50_32x4d', size: 64, batch: 'N', notCut: 1 },
  { name: 'densenet121', size: 64, batch: 'N', notCut: 1 },
  { name: 'googlenet', size: 64, batch: 'N', notCut: 1 },
  { name: 'inception_v3', size: 96, batch: 'N', notCut: 1 },
  { name: 'squeezenet1_1', size: 64, batch: 'N', notCut: 1 },
  { name: 'mobilenet_v2', size: 64, batch: 'N', notCut: 1 },
  { name: 'mobilenet_v3_small', size: 64, batch: 'N', notCut: 1 },
  { name: 'mnasnet0_5', size: 64, batch: 'N', notCut: 1 },
  { name: 'shufflenet_v2_x1_0', size: 64, batch: 'N', notCut: 1 },
  { name: 'shufflenet_v2_x1_0', size: 64, batch: 2, notCut: 1 },
  { name: 'efficientnet_b0', size: 64, batch: 'N', notCut: 1 },
  { name: 'efficientnet_v2_s', size: 64, batch: 'N', notCut: 1 },
  { name: 'regnet_x_400mf', size: 64, batch: 'N', notCut: 1 },
  { name: 'regnet_y_400mf', size: 64, batch: 'N', notCut: 1 },
  // Layer normalisation mixes the channels of the trunk; the wide layers inside the blocks can be cut.
  { name: 'convnext_tiny', size: 64, batch: 'N', notCut: 41 },
  { name: 'swin_t', size: 64, batch: 'N', notCut: 41 },
  { name: 'vit_b_16', size: 224, batch: 'N', notCut: 38 },
];

const missing = missingPython('torch, torchvision, onnx');
const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-torchvision-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

if (missing !== undefined)
  test('torchvision networks are not checked', () => {
    console.info(`not checked with torchvision: ${missing}`);
    expect(missing).not.toBe('');
  });
else
  test.each(ARCHITECTURES)(
    '$name (batch $batch)',
    async ({ name, size, batch, notCut }) => {
      const path = join(folder, `${name}.onnx`);
      runPython(EXPORT, [name, path, String(size), String(batch)]);
      const model = await readModel(path);
      const analysis = analyze(model);
      expect(analysis.notCut).toHaveLength(notCut);
      expect(analysis.groups.some((group) => group.prunable)).toBe(true);

      const dims = [2, 3, size, size];
      const random = createRandom(3);
      const input = randomInput(dims, random);
      const mask = randomMask(analysis, 0.3, random);
      const { cut, difference } = await differenceAfterCut(model, analysis, mask, dims, random);
      expect(difference).toBeLessThanOrEqual(1e-4);
      const [before = new Float32Array()] = await runModel(model, dims, input);
      const [after = new Float32Array()] = await runModel(cut, dims, input);
      expect(compareOutputs(before, after).relativeDifference).toBeGreaterThan(1e-3);

      const cutPath = join(folder, `${name}-cut.onnx`);
      writeFileSync(cutPath, serializeModel(cut));
      expect(complaintsOfOnnx([cutPath])).toBe('');
      rmSync(path);
      rmSync(cutPath);
    },
    300_000,
  );
