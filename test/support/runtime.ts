import type * as OnnxRuntime from 'onnxruntime-node';

import type { Model } from '../../src/onnx/ir';
import { toModelBytes } from '../../src/onnx/save';

// eslint-disable-next-line @typescript-eslint/no-require-imports -- the native module is CommonJS
const ort = require('onnxruntime-node') as typeof OnnxRuntime;
ort.env.logLevel = 'fatal';

export interface RuntimeTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** Runs a model once in ONNX Runtime on the CPU, without graph optimisations, as the oracle of what it computes. */
export async function runModel(
  model: Model,
  feeds: Readonly<Record<string, RuntimeTensor>>,
): Promise<Map<string, { dims: readonly number[]; data: ArrayLike<number | bigint> }>> {
  const { bytes, externalData } = toModelBytes(model);
  const session = await ort.InferenceSession.create(bytes, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    externalData: externalData?.map(({ path, data }) => ({ path, data })),
  });
  try {
    const inputs = Object.fromEntries(
      Object.entries(feeds).map(([name, { dims, data }]) => [name, new ort.Tensor('float32', data, dims)]),
    );
    const results = await session.run(inputs);
    return new Map(
      Object.entries(results).map(([name, tensor]) => [
        name,
        { dims: tensor.dims, data: tensor.data as ArrayLike<number | bigint> },
      ]),
    );
  } finally {
    await session.release();
  }
}

/** A float32 input of these dims with values that follow from `seed`, between −1 and 1. */
export function sampleInput(dims: readonly number[], seed = 1): RuntimeTensor {
  let state = seed >>> 0;
  const count = dims.reduce((product, dim) => product * dim, 1);
  const data = Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  return { dims, data };
}

export function largestDifference(left: ArrayLike<number | bigint>, right: ArrayLike<number | bigint>): number {
  if (left.length !== right.length) return Infinity;
  let largest = 0;
  for (let index = 0; index < left.length; index += 1)
    largest = Math.max(largest, Math.abs(Number(left[index]) - Number(right[index])));
  return largest;
}
