import { readFile } from 'node:fs/promises';
import type { CompressResult } from '../../../src/compress/api';
import { inspect } from '../../../src/compress/inspect';
import { analyzeChannels } from '../../../src/onnx/channels/analyze';
import type { Model } from '../../../src/onnx/ir';
import { readModel } from '../../../src/onnx/load';
import { cutChannels } from '../../../src/onnx/passes/cutChannels';
import { toModelBytes } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import { runModel } from '../../support/runtime';
import { withFloat32Ends } from './networks';
import { CLASSES, type ToyImages } from './toyData';

/** Share of the images that the model gives their label, found by ONNX Runtime alone. */
export async function accuracyOf(given: Model, { count, images, labels }: ToyImages): Promise<number> {
  const model = withFloat32Ends(given);
  const [input] = model.graph.inputs;
  const [batch, ...dims] = input!.shape as (number | string)[];
  const size = images.length / count;
  const rows = typeof batch === 'number' ? batch : count;
  let correct = 0;
  for (let start = 0; start < count; start += rows) {
    const data = new Float32Array(rows * size);
    const samples = images.subarray(start * size, (start + rows) * size);
    data.set(dims.at(-1) === 3 ? samplesLast(samples, size) : samples);
    const results = await runModel(model, { [input!.name]: { dims: [rows, ...(dims as number[])], data } });
    const logits = results.get('logits')!.data as Float32Array;
    for (let row = 0; row < Math.min(rows, count - start); row++) {
      const scores = logits.subarray(row * CLASSES, (row + 1) * CLASSES);
      if (scores.indexOf(Math.max(...scores)) === labels[start + row]) correct++;
    }
  }
  return correct / count;
}

/** Channels first to channels last, sample by sample. */
function samplesLast(samples: Float32Array, size: number): Float32Array {
  const plane = size / 3;
  return samples.map((_, index) => {
    const sample = Math.floor(index / size);
    const [pixel, channel] = [Math.floor((index % size) / 3), index % 3];
    return samples[sample * size + channel * plane + pixel]!;
  });
}

/** Dims of every constant, by the node that reads it. */
export function constantShapes({ graph }: Model): Record<string, readonly (readonly number[])[]> {
  return Object.fromEntries(
    graph.nodes.map(({ key, inputs }) => [key, inputs.flatMap((name) => [graph.initializers.get(name)?.dims ?? []])]),
  );
}

/**
 * Everything that a result says about itself and the file must hold, found again from the file: its size, cost,
 * accuracy on the validation images, channels, and what was removed from the original.
 */
export async function expectConsistent(
  original: Model,
  result: CompressResult,
  file: string,
  validation: ToyImages,
): Promise<Model> {
  const written = await readFile(file);
  expect(written.equals(result.model.bytes)).toBe(true);
  const model = await readModel(file);

  const [before, after] = [await inspect(toModelBytes(original)), await inspect(file)];
  const cost = ({ parameters, macs, bytes }: typeof after) => ({ parameters, macs, bytes });
  expect(result.before).toMatchObject(cost(before));
  expect(result.after).toMatchObject(cost(after));
  expect(result.after.bytes).toBe(written.length);

  // The runtime's fusions may turn one image whose two best scores are nearly equal.
  const oneImage = 1.001 / validation.count;
  expect(Math.abs((await accuracyOf(original, validation)) - result.before.top1)).toBeLessThanOrEqual(oneImage);
  expect(Math.abs((await accuracyOf(model, validation)) - result.after.top1)).toBeLessThanOrEqual(oneImage);
  expect(result.validationSamples).toBe(validation.count);
  expect(result.stages[0]).toMatchObject({ name: 'original', top1: result.before.top1 });
  expect(result.stages.at(-1)).toMatchObject({ name: 'verification', top1: result.after.top1 });

  const analysis = analyzeChannels(original, inferShapes(original));
  const cut = cutChannels(original, analysis, result.removed.channels);
  expect(constantShapes(model)).toEqual(constantShapes(cut));
  expect(model.graph.nodes.map(({ key }) => key)).toEqual(cut.graph.nodes.map(({ key }) => key));

  const sizes = new Map(analyzeChannels(model, inferShapes(model)).groups.map(({ id, size }) => [id, size]));
  for (const { id, kept } of result.groups) expect({ id, kept: sizes.get(id) }).toEqual({ id, kept });
  const nodes = new Set(original.graph.nodes.map(({ key }) => key));
  expect(result.notCut.filter(({ name }) => !nodes.has(name))).toEqual([]);
  expect(result.notCut.filter(({ reason }) => reason === '')).toEqual([]);

  const isHalf = original.graph.inputs[0]!.dataType === 'float16';
  const layers = original.graph.nodes.filter(({ opType }) => opType === 'Conv' || opType === 'Gemm').length;
  const tolerance = isHalf ? 2 ** -10 * Math.sqrt(layers) : 1e-4;
  expect(result.verification).toMatchObject({ tolerance: expect.closeTo(tolerance, 12) as number, samples: 32 });
  expect(result.verification.maxRelativeDifference).toBeLessThanOrEqual(tolerance);
  return model;
}
