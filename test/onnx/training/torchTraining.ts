import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Model } from '../../../src/onnx/ir';
import { serializeModel } from '../../../src/onnx/save';
import type { Distillation } from '../../../src/onnx/training/loss';
import type { OptimizerSettings, StepSettings } from '../../../src/onnx/training/optimizer';
import { startPython, type PythonService } from '../channels/torchvision/pythonService';

export interface TrainingBatch {
  readonly images: Float32Array;
  /** [batch, classes] */
  readonly targets: Float32Array;
  readonly teacherLogits?: Float32Array;
}

export interface TorchTraining {
  readonly logits: string;
  readonly imageDims: readonly number[];
  readonly targetDims: readonly number[];
  /** Stored tensors that weight decay acts on, and those that it does not. All others stay as they are. */
  readonly decayed: readonly string[];
  readonly undecayed: readonly string[];
  /** Running statistics that are wanted. */
  readonly statistics: readonly string[];
  readonly optimizer: OptimizerSettings;
  readonly batchNorm: 'batch' | 'frozen';
  readonly clipNorm?: number;
  readonly distillation?: Distillation;
  /** Computes teacher logits from the images; without it each batch has its own. */
  readonly teacher?: { readonly model: Model; readonly logits: string };
}

export interface TorchStep {
  readonly loss: number;
  readonly correct: number;
  readonly gradientNorm: number | null;
  /** Trained tensors and statistics after the step, row-major. */
  readonly values: Readonly<Record<string, readonly number[]>>;
  /** Their exponential moving averages, where the optimizer keeps some. */
  readonly averages: Readonly<Record<string, readonly number[]>>;
}

const PROGRAM = `
import json
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, ${JSON.stringify(join(__dirname, 'torch'))})
import torch
torch.set_num_threads(1)
for module in ('elementwise', 'dense', 'convolution', 'normalization', 'pooling', 'rearrangement'):
    __import__(module)
import training
for line in sys.stdin:
    try:
        result = training.train(json.loads(line)['folder'])
    except Exception as error:  # goes to the test that asked
        result = {'error': type(error).__name__ + ': ' + str(error)}
    print(json.dumps(result), flush=True)
`;

let service: PythonService<{ folder: string }, { readonly steps: readonly TorchStep[] }> | undefined;

/** The program stays alive for all checks of a test file, and ends with it. */
afterAll(async () => {
  await service?.close();
  service = undefined;
});

/** What torch's optimizers, losses and clipping make of the model in float64, step by step. */
export async function torchTraining(
  model: Model,
  training: TorchTraining,
  batches: readonly TrainingBatch[],
  steps: readonly StepSettings[],
): Promise<readonly TorchStep[]> {
  service ??= startPython(PROGRAM);
  const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-training-'));
  const write = (name: string, data: Float32Array | undefined): void => {
    if (data !== undefined)
      writeFileSync(join(folder, name), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  };
  try {
    writeFileSync(join(folder, 'model.onnx'), serializeModel(model));
    const { teacher, optimizer, ...request } = training;
    if (teacher !== undefined) writeFileSync(join(folder, 'teacher.onnx'), serializeModel(teacher.model));
    for (const [step, { images, targets, teacherLogits }] of batches.entries()) {
      write(`images${step}`, images);
      write(`targets${step}`, targets);
      write(`teacher${step}`, teacherLogits);
    }
    const settings = {
      ...request,
      clipNorm: request.clipNorm ?? null,
      distillation: request.distillation ?? null,
      optimizer: optimizer.rule,
      averageDecay: optimizer.averageDecay ?? null,
      teacherLogitsName: teacher?.logits,
      steps,
    };
    writeFileSync(join(folder, 'request.json'), JSON.stringify(settings));
    return (await service.ask({ folder })).steps;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
