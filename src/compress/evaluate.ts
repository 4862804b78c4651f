import type { Predictions } from '../activations/activations';
import { batchSizeFor, inputDims } from '../activations/batches';
import { randomSamples } from '../activations/feeds';
import type { Session } from '../activations/types';
import { measureLatency, type LatencyMeasurement, type LatencySubject } from '../report/latency';
import { classificationMetrics } from '../report/metrics';
import { predictSamples } from './accuracy';
import type { EvaluatedModel, EvaluatedPair, EvaluateOptions, ModelSource } from './api';
import { deviceMessages, withSession, type Runtime } from './network';
import { openModel, understandClassifier, type Classifier } from './open';
import { readRuntime } from './options';
import { drawSamples, openSamples } from './samples';

const DEFAULT_LATENCY_BATCH = 1;

/**
 * Accuracy, loss, speed and latency of a classifier on labelled images. Speed is that of inference alone, in batches of
 * `batchSize`; latency that of `latencyBatch` samples.
 * Errors: those of reading model and data, ERR_DEVICE, ERR_CANCELLED.
 */
export async function evaluate(source: ModelSource, options: EvaluateOptions): Promise<EvaluatedModel> {
  const [model] = await evaluateAll([source], options);
  return model!.result;
}

/** Two classifiers on the same samples; their speeds are measured in alternation. Errors: as `evaluate`. */
export async function compareModels(
  first: ModelSource,
  second: ModelSource,
  options: EvaluateOptions,
): Promise<EvaluatedPair> {
  const [left, right] = await evaluateAll([first, second], options);
  const same = left!.predictions.filter((prediction, index) => prediction === right!.predictions[index]).length;
  return {
    models: [left!.result, right!.result],
    speedRatio: right!.speedRatio,
    agreement: same / left!.predictions.length,
  };
}

interface Evaluated {
  readonly result: EvaluatedModel;
  readonly predictions: Int32Array;
  readonly speedRatio: number;
}

async function evaluateAll(sources: readonly ModelSource[], options: EvaluateOptions): Promise<Evaluated[]> {
  const runtime = readRuntime(options);
  const classifiers = await Promise.all(
    sources.map(async (source) => understandClassifier(await openModel(source, options.signal))),
  );
  const answers: { predictions: Predictions; classNames: readonly string[] }[] = [];
  for (const [position, classifier] of classifiers.entries()) {
    const dataset = await openSamples(options.data, classifier, runtime, 'data');
    const samples = drawSamples(dataset, options.samples, runtime.seed);
    const share: Runtime = {
      ...runtime,
      onProgress: (event) =>
        runtime.onProgress?.({ stage: 'evaluate', fraction: (position + event.fraction) / classifiers.length }),
    };
    const predictions = await withSession(classifier.model, runtime, async (session) => {
      deviceMessages(session, runtime);
      return predictSamples(session, classifier, samples, share);
    });
    answers.push({ predictions, classNames: dataset.classNames });
  }
  const latencyBatch = options.latencyBatch ?? DEFAULT_LATENCY_BATCH;
  const throughput = await measureSpeed(classifiers, runtime.batchSize, runtime);
  const latency =
    latencyBatch === runtime.batchSize ? throughput : await measureSpeed(classifiers, latencyBatch, runtime);

  return answers.map(({ predictions, classNames }, position) => {
    const { logits, labels, classes } = predictions;
    const metrics = classificationMetrics(logits, labels, classes);
    const speed = throughput.measurements[position]!;
    return {
      predictions: metrics.predictions,
      speedRatio: speed.speedRatio,
      result: {
        samples: metrics.samples,
        top1: metrics.top1,
        top5: metrics.top5,
        loss: metrics.loss,
        perClass: metrics.perClass.map(({ samples, top1 }, id) => ({
          name: classNames[id] ?? String(id),
          samples,
          top1,
        })),
        imagesPerSecond: speed.imagesPerSecond,
        latencyMs: latency.measurements[position]!.latencyMs,
        device: throughput.device,
      },
    };
  });
}

/** Times classifiers against each other on random input, in one run and in alternation. Inference alone is timed. */
export async function measureSpeed(
  classifiers: readonly Classifier[],
  batchSize: number,
  runtime: Runtime,
): Promise<{ measurements: readonly LatencyMeasurement[]; device: string }> {
  return withSessions(classifiers, runtime, async (sessions) => {
    const subjects = classifiers.map((classifier, position) =>
      subject(classifier, sessions[position]!, batchSize, runtime.seed),
    );
    const { signal, onProgress } = runtime;
    const measurements = await measureLatency(subjects, { signal, onProgress });
    return { measurements, device: sessions[0]!.device };
  });
}

function subject({ input }: Classifier, session: Session, wanted: number, seed: number): LatencySubject {
  const batchSize = batchSizeFor(input, wanted);
  const dims = inputDims(input, batchSize);
  const feeds = { [input.name]: { dims, data: randomSamples(input, batchSize, seed) } };
  return {
    name: input.name,
    batchSize,
    run: async () => (await session.measureLatencyMs(feeds, 1))[0]!,
  };
}

async function withSessions<T>(
  classifiers: readonly Classifier[],
  runtime: Runtime,
  use: (sessions: readonly Session[]) => Promise<T>,
  opened: readonly Session[] = [],
): Promise<T> {
  const next = classifiers[opened.length];
  if (next === undefined) return use(opened);
  const open = (session: Session): Promise<T> => withSessions(classifiers, runtime, use, [...opened, session]);
  // Threads that spin while they wait speed up a model that is alone; of two models they slow down the other.
  return withSession(next.model, runtime, open, { spinning: classifiers.length === 1 });
}
