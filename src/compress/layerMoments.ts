import { streamActivations } from '../activations/activations';
import type { TensorValue } from '../activations/types';
import { SieveError } from '../errors';
import { keepOnlyOutputs } from '../onnx/passes/outputs';
import type { Model } from '../onnx/ir';
import type { ShapeMap } from '../onnx/shapes';
import { accumulate, createMoments, type Moments } from '../recovery/moments';
import type { LinearLayer } from '../types';
import { withSession, type Runtime, type Samples } from './network';
import type { Classifier } from './open';
import { selectChannels } from './slotFeatures';

/** A layer of the network as it is now, and what its output was in the original one. */
export interface MomentsRequest {
  readonly layer: LinearLayer;
  /** Channels of the original output that the layer still has; undefined: all. */
  readonly keptOutputs: { readonly axis: number; readonly kept: readonly number[] } | undefined;
}

export interface MomentsInputs {
  readonly original: Classifier;
  /** The network as it is now; its activations are the regressors. */
  readonly current: { readonly model: Model; readonly shapes: ShapeMap };
  readonly samples: Samples;
  readonly runtime: Runtime;
}

/**
 * Moments of each layer's input in the current network against its output in the original one. Both networks run over
 * the samples side by side, only as far as is needed; nothing but the moments is held.
 */
export async function momentsOf(requests: readonly MomentsRequest[], inputs: MomentsInputs): Promise<Moments[]> {
  const { original, current, samples, runtime } = inputs;
  const moments = requests.map(({ layer }) => createMoments(layer));
  const imageName = original.input.name;
  const regressors = [...new Set(requests.map(({ layer }) => layer.input))].filter((name) => name !== imageName);
  const targets = [...new Set(requests.map(({ layer }) => layer.output))];
  const readsImage = requests.some(({ layer }) => layer.input === imageName);
  const run = {
    input: original.input,
    dataset: samples.dataset,
    indices: samples.indices,
    batchSize: runtime.batchSize,
    signal: runtime.signal,
  };

  await withSession(keepOnlyOutputs(original.model, targets, original.shapes), runtime, async (originalSession) => {
    const accumulateAll = async (nextRegressors: () => Promise<ReadonlyMap<string, TensorValue>>): Promise<void> => {
      const stream = streamActivations({ ...run, session: originalSession, taps: targets, onProgress: runtime.onProgress });
      for await (const batch of stream) {
        const tensors = new Map(await nextRegressors());
        if (readsImage) tensors.set(imageName, await imageBatch(inputs, batch.start, batch.count));
        for (const [index, { layer, keptOutputs }] of requests.entries()) {
          const x = required(tensors, layer.input);
          const y = required(batch.tensors, layer.output);
          const target = keptOutputs === undefined ? y : keep(y, keptOutputs);
          await accumulate(moments[index]!, x.data, x.dims, target.data, target.dims, {
            threads: runtime.threads,
            signal: runtime.signal,
          });
        }
      }
    };
    if (regressors.length === 0) return accumulateAll(() => Promise.resolve(new Map()));
    await withSession(keepOnlyOutputs(current.model, regressors, current.shapes), runtime, async (session) => {
      const stream = streamActivations({ ...run, session, taps: regressors });
      await accumulateAll(async () => {
        const next = await stream.next();
        if (next.done) throw new SieveError('ERR_RUNTIME', 'Expected as many batches from both networks but received fewer');
        return next.value.tensors;
      });
    });
  });
  return moments;
}

async function imageBatch({ original, samples, runtime }: MomentsInputs, start: number, count: number): Promise<TensorValue> {
  const { layout, channels, height, width } = original.input;
  const data = await samples.dataset.load(samples.indices.subarray(start, start + count), runtime.signal);
  return { data, dims: layout === 'NCHW' ? [count, channels, height, width] : [count, height, width, channels] };
}

function keep({ data, dims }: TensorValue, { axis, kept }: { axis: number; kept: readonly number[] }): TensorValue {
  return {
    data: selectChannels(data, dims, axis, kept),
    dims: dims.map((size, position) => (position === axis ? kept.length : size)),
  };
}

function required(tensors: ReadonlyMap<string, TensorValue>, name: string): TensorValue {
  const value = tensors.get(name);
  if (value === undefined) throw new SieveError('ERR_RUNTIME', `Expected activations for "${name}" but received nothing`);
  return value;
}
