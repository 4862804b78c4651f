import { collectColumns, measureTaps, type MeasuredTap } from '../activations/activations';
import { columnsWithin, takePass, tooLarge } from '../activations/passes';
import { findCutPoints } from '../onnx/cutPoints';
import { keepOnlyOutputs } from '../onnx/passes/outputs';
import { centerSeparationIndex, filterSeparation, separationIndex } from '../separation';
import type { AnalyzedLayer } from './api';
import { filterPlanner, type FilterPlan } from './filterPlan';
import { namingNonFinite } from './nonFinite';
import { labelsOf, withSession, type Runtime, type Samples } from './network';
import type { Classifier } from './open';
import { MOST_STREAMED_ROWS, StreamedIndices, type FoundIndices, type WantedColumns } from './streamedIndices';

export interface CutPointShape {
  readonly name: string;
  /** The model's input itself, which comes before all others. */
  readonly isInput: boolean;
  /** Of one sample: [channels, ...] for most layers. */
  readonly dims: readonly number[];
}

/** Activations of one cut point over all samples. */
export interface CutPoint extends CutPointShape {
  /** Row-major [rows, elements]. */
  readonly features: Float32Array;
  /** [rows] */
  readonly labels: Int32Array;
}

export type Indices = Omit<AnalyzedLayer, 'effective'>;

/** What is to be found at a cut point. */
export interface Measurement<Found> {
  /** From all of its activations. */
  whole(cutPoint: CutPoint): Promise<Found>;
  /** From some columns at a time, where the activations exceed the budget. Absent: that is an error. */
  readonly streamed?: {
    /** Single filters that are measured. */
    filtersOf(shape: CutPointShape): number;
    complete(shape: CutPointShape, indices: FoundIndices): Found;
  };
}

/**
 * SI and CSI at every cut point, the input first. Cut points whose activations exceed the budget are read in columns: the
 * result is the same.
 */
export async function profileCutPoints(
  classifier: Classifier,
  samples: Samples,
  runtime: Runtime,
  withFilters: boolean,
): Promise<{ layers: Indices[]; device: string }> {
  const planner = withFilters ? filterPlanner(classifier) : undefined;
  const planOf = (shape: CutPointShape): FilterPlan => planner?.(shape) ?? { count: 0 };
  return measureCutPoints<Indices>(classifier, samples, runtime, {
    whole: (cutPoint) => measure(cutPoint, runtime, planOf(cutPoint)),
    streamed: {
      filtersOf: (shape) => planOf(shape).count,
      complete: (shape, indices) => {
        const { skipped: filtersSkipped } = planOf(shape);
        const layer = { name: shape.name, ...indices };
        return filtersSkipped === undefined ? layer : { ...layer, filtersSkipped };
      },
    },
  });
}

/**
 * Measures every cut point, the input first, and gives what was found in topological order. The data is passed over as
 * often as the memory budget asks for, each time for as many activations as it holds.
 *
 * Errors: as collectColumns; ERR_OUT_OF_MEMORY where a cut point exceeds the budget and can not be streamed.
 */
export async function measureCutPoints<Found>(
  classifier: Classifier,
  samples: Samples,
  runtime: Runtime,
  measurement: Measurement<Found>,
): Promise<{ layers: Found[]; device: string }> {
  const { model, shapes, input } = classifier;
  const { dataset, indices } = samples;
  const { batchSize, memoryBudgetBytes, signal } = runtime;
  const [, ...taps] = findCutPoints(model.graph, input.name, classifier.logits);
  const names = [input.name, ...taps];

  return withSession(keepOnlyOutputs(model, taps, shapes), runtime, async (session) => {
    const run = { session, input, dataset, indices, batchSize, memoryBudgetBytes, signal };
    const columnsAtOnce = columnsWithin(memoryBudgetBytes, indices.length);
    const measured = await measureTaps(session, input, names, signal);
    const { found, whole, streams } = planCutPoints(measured, samples, runtime, measurement);
    const queues = streams.map(({ wanted }) => wanted);
    const nextPass = (): WantedColumns[] => takePass(whole, queues, columnsAtOnce);
    try {
      for (let pass = nextPass(); pass.length > 0; pass = nextPass()) {
        const collected = await collectColumns(run, pass);
        for (const piece of pass) {
          const features = collected.shift()!; // so that it is free as soon as it was taken
          await namingNonFinite({ tensor: piece.tap.name, features, indices }, () => piece.take(features), {
            ...run,
            taps: names,
          });
          const begun = streams.reduce((sum, stream) => sum + (found.has(stream.name) ? 0 : stream.progress()), 0);
          runtime.onProgress?.({ stage: 'profile', fraction: (found.size + begun) / names.length });
        }
      }
    } finally {
      for (const stream of streams) stream.release();
    }
    return { layers: names.map((name) => found.get(name)!), device: session.device };
  });
}

const NOT_IN_SHARDS = ` (--memory); without --shard, any layer of at most ${MOST_STREAMED_ROWS} samples can be read in parts`;
const BEYOND_STREAMS = ` (--memory); of at most ${MOST_STREAMED_ROWS} samples (--samples, --limit) any layer can be read in parts`;

/** What has to be read for each cut point; `found` fills as it is. */
function planCutPoints<Found>(
  taps: readonly MeasuredTap[],
  samples: Samples,
  { memoryBudgetBytes, threads, signal }: Runtime,
  measurement: Measurement<Found>,
): { found: Map<string, Found>; whole: WantedColumns[]; streams: StreamedIndices[] } {
  const labels = labelsOf(samples);
  const rows = labels.length;
  const columnsAtOnce = columnsWithin(memoryBudgetBytes, rows);
  const found = new Map<string, Found>();
  const whole: WantedColumns[] = [];
  const streams: StreamedIndices[] = [];
  for (const [position, tap] of taps.entries()) {
    const { name, dims, elementsPerSample } = tap;
    const shape = { name, dims, isInput: position === 0 };
    if (elementsPerSample <= columnsAtOnce) {
      const take = async (features: Float32Array): Promise<void> => {
        found.set(name, await measurement.whole({ ...shape, features, labels }));
      };
      whole.push({ tap, first: 0, columns: elementsPerSample, take });
      continue;
    }
    const { streamed } = measurement;
    if (columnsAtOnce === 0) throw tooLarge(tap, rows, memoryBudgetBytes);
    if (streamed === undefined) throw tooLarge(tap, rows, memoryBudgetBytes, NOT_IN_SHARDS);
    if (rows > MOST_STREAMED_ROWS) throw tooLarge(tap, rows, memoryBudgetBytes, BEYOND_STREAMS);
    const filters = streamed.filtersOf(shape);
    const layer = { tap, labels, filters, columnsAtOnce, control: { threads, signal } };
    streams.push(new StreamedIndices(layer, (indices) => found.set(name, streamed.complete(shape, indices))));
  }
  return { found, whole, streams };
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
