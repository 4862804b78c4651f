import { collectActivations } from '../activations/activations';
import { findCutPoints } from '../onnx/cutPoints';
import { keepOnlyOutputs } from '../onnx/passes/outputs';
import { centerSeparationIndex, filterSeparation, separationIndex } from '../separation';
import type { AnalyzedLayer } from './api';
import { namingNonFinite } from './nonFinite';
import { labelsOf, withSession, type Runtime, type Samples } from './network';
import type { Classifier } from './open';

/** Features of one cut point over all samples, row-major [rows, elements]. */
interface Profiled {
  readonly features: Float32Array;
  /** Of one sample: [channels, ...] for most layers. */
  readonly dims: readonly number[];
}

export type Indices = Omit<AnalyzedLayer, 'effective'>;

/** SI and CSI at every cut point, the input first. Activations are taken in as many passes as the memory budget asks for. */
export async function profileCutPoints(
  classifier: Classifier,
  samples: Samples,
  runtime: Runtime,
  withFilters: boolean,
): Promise<{ layers: Indices[]; device: string }> {
  const { model, shapes, input } = classifier;
  const labels = labelsOf(samples);
  const [, ...taps] = findCutPoints(model.graph, input.name, classifier.logits);
  const layers: Indices[] = [];
  const measured = (tensor: string, profiled: Profiled, each: boolean): Promise<Indices> =>
    namingNonFinite({ tensor, features: profiled.features, indices: samples.indices }, () =>
      measure(tensor, profiled, labels, runtime, each),
    );
  const report = (fraction: number): void => runtime.onProgress?.({ stage: 'profile', fraction });

  const pixels = await samples.dataset.load(samples.indices, runtime.signal);
  const inputDims = [input.channels, input.height, input.width];
  layers.push(await measured(input.name, { features: pixels, dims: inputDims }, false));

  return withSession(keepOnlyOutputs(model, taps, shapes), runtime, async (session) => {
    const passes = collectActivations({
      session,
      input,
      dataset: samples.dataset,
      indices: samples.indices,
      taps,
      batchSize: runtime.batchSize,
      memoryBudgetBytes: runtime.memoryBudgetBytes,
      signal: runtime.signal,
    });
    for await (const pass of passes) {
      for (const [name, activation] of pass) {
        layers.push(await measured(name, activation, withFilters));
        report(layers.length / (taps.length + 1));
      }
    }
    const order = new Map([input.name, ...taps].map((name, position) => [name, position]));
    layers.sort((a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0));
    return { layers, device: session.device };
  });
}

async function measure(
  name: string,
  { features, dims }: Profiled,
  labels: Int32Array,
  runtime: Runtime,
  withFilters: boolean,
): Promise<Indices> {
  const rows = labels.length;
  const shape = { rows, dims: features.length / rows, threads: runtime.threads, signal: runtime.signal };
  const separation = await separationIndex(features, labels, shape);
  const center = await centerSeparationIndex(features, labels, shape);
  const indices = { name, si: separation.si, csi: center.csi, perClass: [...separation.perClass] };
  const filters = dims[0] ?? 1;
  if (!withFilters || filters < 2) return indices;
  const each = { ...shape, filters, dims: shape.dims / filters };
  const si = await filterSeparation(features, labels, each);
  const csi = await filterSeparation(features, labels, { ...each, index: 'center' });
  return { ...indices, filters: { si: [...si.si], csi: [...csi.si] } };
}

/** A layer is effective where it raises SI or CSI by more than `epsilon` over the cut point before it. */
export function markEffective(layers: readonly Indices[], epsilon: number): AnalyzedLayer[] {
  return layers.map((layer, position) => {
    const before = layers[position - 1];
    const raises = before === undefined || layer.si > before.si + epsilon || layer.csi > before.csi + epsilon;
    return { ...layer, effective: raises };
  });
}
