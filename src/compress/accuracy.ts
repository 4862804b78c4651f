import { predict } from '../activations/activations';
import type { Model } from '../onnx/ir';
import { classificationMetrics, type ClassificationMetrics } from '../report/metrics';
import { withSession, type Runtime, type Samples } from './network';
import type { Classifier } from './open';

/** Accuracy and loss of a network that takes what `classifier` takes and answers as it does. */
export async function measureAccuracy(
  model: Model,
  classifier: Classifier,
  samples: Samples,
  runtime: Runtime,
): Promise<ClassificationMetrics> {
  return withSession(model, runtime, async (session) => {
    const { logits, labels, classes } = await predict({
      session,
      input: classifier.input,
      dataset: samples.dataset,
      indices: samples.indices,
      logitsName: classifier.output,
      batchSize: runtime.batchSize,
      signal: runtime.signal,
    });
    return classificationMetrics(logits, labels, classes);
  });
}
