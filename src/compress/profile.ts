import { collectActivations } from '../activations/activations';
import { inputDims, sampleElements } from '../activations/batches';
import { planPasses } from '../activations/passes';
import { findCutPoints } from '../onnx/cutPoints';
import { keepOnlyOutputs } from '../onnx/passes/outputs';
import { centerSeparationIndex, filterSeparation, separationIndex } from '../separation';
import type { AnalyzedLayer } from './api';
import { filterPlanner, type FilterPlan } from './filterPlan';
import { namingNonFinite } from './nonFinite';
import { labelsOf, withSession, type Runtime, type Samples } from './network';
import type { Classifier } from './open';

/** Activations of one cut point over all samples. */
export interface CutPoint {
  readonly name: string;
  /** The model's input itself, which comes before all others. */
  readonly isInput: boolean;
  /** Row-major [rows, elements]. */
  readonly features: Float32Array;
  /** Of one sample: [channels, ...] for most layers. */
  readonly dims: readonly number[];
  /** [rows] */
  readonly labels: Int32Array;
}

export type Indices = Omit<AnalyzedLayer, 'effective'>;

/** SI and CSI at every cut point, the input first. */
export async function profileCutPoints(
  classifier: Classifier,
  samples: Samples,
  runtime: Runtime,
  withFilters: boolean,
): Promise<{ layers: Indices[]; device: string }> {
  const plan = withFilters ? filterPlanner(classifier) : undefined;
  return measureCutPoints(classifier, samples, runtime, (cutPoint) => measure(cutPoint, runtime, plan?.(cutPoint)));
}

/**
 * Measures every cut point, the input first, and gives what was found in topological order. Activations are taken in as
 * many passes as the memory budget asks for.
 *
 * Errors: as collectActivations; ERR_OUT_OF_MEMORY also where the samples themselves exceed the budget.
 */
export async function measureCutPoints<Found>(
  classifier: Classifier,
  samples: Samples,
  runtime: Runtime,
  measureOne: (cutPoint: CutPoint) => Promise<Found>,
): Promise<{ layers: Found[]; device: string }> {
  const { model, shapes, input } = classifier;
  const labels = labelsOf(samples);
  const [, ...taps] = findCutPoints(model.graph, input.name, classifier.logits);
  const found = new Map<string, Found>();
  const add = async (cutPoint: CutPoint): Promise<void> => {
    const { name: tensor, features } = cutPoint;
    const kernel = (): Promise<Found> => measureOne(cutPoint);
    found.set(tensor, await namingNonFinite({ tensor, features, indices: samples.indices }, kernel));
  };
  const report = (fraction: number): void => runtime.onProgress?.({ stage: 'profile', fraction });

  // In a function of its own, so that the pixels do not stay in memory behind it.
  const addInput = async (): Promise<void> => {
    const size = { name: input.name, elementsPerSample: sampleElements(input) };
    planPasses([size], samples.indices.length, runtime.memoryBudgetBytes);
    const features = await samples.dataset.load(samples.indices, runtime.signal);
    const [, ...dims] = inputDims(input, 1);
    await add({ name: input.name, isInput: true, features, dims, labels });
  };
  await addInput();

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
        await add({ name, isInput: false, ...activation, labels });
        report(found.size / (taps.length + 1));
      }
    }
    return { layers: [input.name, ...taps].map((name) => found.get(name)!), device: session.device };
  });
}

async function measure(cutPoint: CutPoint, runtime: Runtime, plan: FilterPlan = { count: 0 }): Promise<Indices> {
  const { name, features, labels } = cutPoint;
  const rows = labels.length;
  const shape = { rows, dims: features.length / rows, threads: runtime.threads, signal: runtime.signal };
  const separation = await separationIndex(features, labels, shape);
  const center = await centerSeparationIndex(features, labels, shape);
  const indices = { name, si: separation.si, csi: center.csi, perClass: [...separation.perClass] };
  const { count: filters, skipped: filtersSkipped } = plan;
  if (filters === 0) return filtersSkipped === undefined ? indices : { ...indices, filtersSkipped };
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
