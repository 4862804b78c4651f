import { predict, type Predictions } from '../activations/activations';
import type { Session } from '../activations/types';
import type { Model } from '../onnx/ir';
import { classificationMetrics, type ClassificationMetrics } from '../report/metrics';
import { withSession, type Runtime, type Samples } from './network';
import type { Classifier } from './open';

/** Answers to the samples of a network in `session` that takes what `classifier` takes and answers as it does. */
export async function predictSamples(
  session: Session,
  { input, output }: Classifier,
  { dataset, indices }: Samples,
  { batchSize, signal, onProgress }: Runtime,
): Promise<Predictions> {
  return predict({ session, input, dataset, indices, logitsName: output, batchSize, signal, onProgress });
}

/** Accuracy and loss of a network that takes what `classifier` takes and answers as it does. Reports no progress. */
export async function measureAccuracy(
  model: Model,
  classifier: Classifier,
  samples: Samples,
  runtime: Runtime,
): Promise<ClassificationMetrics> {
  return withSession(model, runtime, async (session) => {
    const silent = { ...runtime, onProgress: undefined };
    const { logits, labels, classes } = await predictSamples(session, classifier, samples, silent);
    return classificationMetrics(logits, labels, classes);
  });
}
