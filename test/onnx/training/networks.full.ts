import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { readModel } from '../../../src/onnx/load';
import type { Model } from '../../../src/onnx/ir';
import type { TrainingDevice } from '../../../src/onnx/training/rule';
import { missingPython } from '../channels/support';
import { EXPORTER, type ExportRequest } from '../channels/torchvision/exporter';
import { startPython, type PythonService } from '../channels/torchvision/pythonService';
import { compareGradients, type GradientCheck } from './gradientCheck';
import { missingOnWebGpu } from './webgpuKernels';

/*
 * Gradients of whole networks with respect to all their weights, against torch's in float64, with batch normalisation
 * frozen. An activation within rounding of a bend may lie on its other side in float32: such a tie changes gradients by more
 * than rounding does, and torch's own in float32 as well. Ties come and go with the input, which an error of a rule does not,
 * so one of a few inputs must be without.
 */

const TOLERANCE = 1e-4;
const INPUTS = 4;
const MODELS = resolve(__dirname, '../../../../shared/models');

interface Network {
  readonly name: string;
  readonly size: number;
  readonly folded?: boolean;
  readonly opset?: number;
  readonly options?: ExportRequest['options'];
  /** The formulations for a device, all run on the CPU here. */
  readonly device?: TrainingDevice;
}

const WITHOUT_HELPERS = { aux_logits: false };
/** GoogLeNet's own initial weights are so small that its first maps are nearly constant: all maxima are ties. */
const GOOGLENET = { ...WITHOUT_HELPERS, init_weights: false };

const NETWORKS: readonly Network[] = [
  { name: 'resnet18', size: 64 },
  { name: 'resnet18', size: 64, folded: true, opset: 11 },
  { name: 'resnext50_32x4d', size: 64 },
  { name: 'mobilenet_v2', size: 64 },
  { name: 'mobilenet_v3_small', size: 64 },
  { name: 'mobilenet_v3_large', size: 64, opset: 17 },
  { name: 'shufflenet_v2_x1_0', size: 64 },
  { name: 'mnasnet0_5', size: 64, folded: true },
  { name: 'squeezenet1_1', size: 64 },
  { name: 'densenet121', size: 64 },
  { name: 'efficientnet_b0', size: 64 },
  { name: 'regnet_y_400mf', size: 64, opset: 17 },
  { name: 'convnext_tiny', size: 64 },
  { name: 'convnext_tiny', size: 64, opset: 17 },
  { name: 'googlenet', size: 64, options: GOOGLENET },
  { name: 'resnet18', size: 64, device: 'webgpu' },
  { name: 'mobilenet_v3_small', size: 64, device: 'webgpu' },
  { name: 'shufflenet_v2_x1_0', size: 64, device: 'webgpu' },
  { name: 'googlenet', size: 64, options: GOOGLENET, device: 'webgpu' },
  { name: 'inception_v3', size: 96, options: WITHOUT_HELPERS },
];

/** The first input whose gradients are all within the tolerance, else the one that comes nearest. */
async function checkNetwork(title: string, model: Model, device: TrainingDevice = 'cpu'): Promise<void> {
  const worst: number[] = [];
  let failures: readonly string[] = [];
  for (let seed = 1; seed <= INPUTS; seed += 1) {
    const check = await compareGradients(model, {
      seed,
      tolerance: TOLERANCE,
      outputTolerance: TOLERANCE,
      finiteDifferences: false,
      device,
    });
    if (device === 'webgpu') expect(missingOnWebGpu(check.operators)).toEqual([]);
    expect(check.references).toEqual(['torch']);
    worst.push(largestGradientError(check));
    failures = check.failures;
    if (failures.length === 0) break;
  }
  console.info(
    `${title}: largest error of a gradient, by input: ${worst.map((error) => error.toExponential(1)).join(', ')}`,
  );
  expect(failures).toEqual([]);
}

function largestGradientError({ errors }: GradientCheck): number {
  return Math.max(...[...errors].filter(([name]) => name.startsWith('gradient')).map(([, error]) => error));
}

const missing = missingPython('torch, torchvision, onnx');
if (missing !== undefined)
  test('gradients of whole networks are not checked', () => {
    console.info(`not checked with torch: ${missing}`);
    expect(missing).not.toBe('');
  });
else {
  if (existsSync(MODELS))
    test.each(['resnet20', 'resnet20_folded', 'resnet56'])(
      '%s',
      async (name) => checkNetwork(name, await readModel(join(MODELS, `${name}.onnx`))),
      600_000,
    );
  else test(`not run: ${MODELS} is not there`, () => expect(existsSync(MODELS)).toBe(false));

  describe('torchvision', () => {
    const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-gradients-'));
    let exporter: PythonService<ExportRequest, { readonly path: string }>;
    beforeAll(() => {
      exporter = startPython(EXPORTER);
    });
    afterAll(async () => {
      await exporter.close();
      rmSync(folder, { recursive: true, force: true });
    }, 120_000);

    test.each(
      NETWORKS.map((network) => ({ folded: false, opset: 13, options: {}, device: 'cpu' as const, ...network })),
    )(
      '$name for $device, folded: $folded, opset $opset',
      async ({ name, size, folded, opset, options, device }) => {
        const path = join(folder, `${name}.onnx`);
        await exporter.ask({ name, options, size, batch: 'N', folded, opset, path });
        const title = `${name} for ${device}, folded: ${folded}, opset ${opset}`;
        await checkNetwork(title, await readModel(path), device);
      },
      600_000,
    );
  });
}
