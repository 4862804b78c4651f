import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Model } from '../../../src/onnx/ir';
import { serializeModel } from '../../../src/onnx/save';
import { startPython, type PythonService } from '../channels/torchvision/pythonService';

export interface NamedTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

export interface TorchResult {
  readonly outputs: ReadonlyMap<string, Float64Array>;
  readonly gradients: ReadonlyMap<string, Float64Array>;
  readonly statistics: ReadonlyMap<string, Float64Array>;
}

const PROGRAM = `
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, ${JSON.stringify(join(__dirname, 'torch'))})
import interpreter
interpreter.serve()
`;

let service: PythonService<{ folder: string }, unknown> | undefined;

/** The interpreter stays alive for all checks of a test file, and ends with it. */
afterAll(async () => {
  await service?.close();
  service = undefined;
});

/**
 * Outputs of the model, and gradients of Σ output · seed, computed in float64 by torch: an implementation of the operators
 * and their derivatives that shares nothing with ours.
 */
export async function torchGradients(
  model: Model,
  feeds: ReadonlyMap<string, NamedTensor>,
  seeds: ReadonlyMap<string, NamedTensor>,
  leaves: readonly string[],
  statistics: readonly string[],
  batchNorm: 'batch' | 'frozen',
): Promise<TorchResult> {
  service ??= startPython(PROGRAM);
  const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-gradients-'));
  try {
    let files = 0;
    const put = ({ dims, data }: NamedTensor) => {
      files += 1;
      const file = `in${files}`;
      writeFileSync(join(folder, file), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      return { file, dims, type: data instanceof Float32Array ? '<f4' : '<i8' };
    };
    const putAll = (tensors: ReadonlyMap<string, NamedTensor>) =>
      Object.fromEntries([...tensors].map(([name, tensor]) => [name, put(tensor)]));
    const numbered = (prefix: string, names: readonly string[]): Record<string, string> =>
      Object.fromEntries(names.map((name, index) => [name, `${prefix}${index}`]));
    const request = {
      feeds: putAll(feeds),
      seeds: putAll(seeds),
      gradients: numbered('gradient', leaves),
      outputs: numbered('output', [...seeds.keys()]),
      statistics: numbered('statistic', statistics),
      batchNorm,
    };
    writeFileSync(join(folder, 'request.json'), JSON.stringify(request));
    writeFileSync(join(folder, 'model.onnx'), serializeModel(model));
    await service.ask({ folder });
    const read = (names: Record<string, string>) =>
      new Map(
        Object.entries(names).map(([name, file]) => {
          const bytes = new Uint8Array(readFileSync(join(folder, file)));
          return [name, new Float64Array(bytes.buffer)] as const;
        }),
      );
    return {
      outputs: read(request.outputs),
      gradients: read(request.gradients),
      statistics: read(request.statistics),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
