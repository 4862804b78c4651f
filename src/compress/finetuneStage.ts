import type { Model } from '../onnx/ir';
import type { CompressStage } from './api';
import { measureAccuracy } from './accuracy';
import { understandClassifier } from './open';
import type { Compression } from './prepare';
import type { Recipe } from './training/recipe';
import { trainNetwork } from './training/trainNetwork';

/**
 * Trains a cut network on all samples that neither validation nor selection uses, with the original as its teacher. Epochs
 * are judged on the selection samples; nothing is chosen on validation samples.
 */
export async function finetuneStage(
  { original, training, selection, validation, runtime }: Compression,
  model: Model,
  recipe: Recipe,
): Promise<{ readonly model: Model; readonly stage: CompressStage }> {
  const started = performance.now();
  // Logits are what a student learns; a teacher that ends in a Softmax has none to offer.
  const teacher = original.output === original.logits ? original : undefined;
  if (teacher === undefined)
    runtime.onMessage?.('trained on labels alone: the original gives probabilities, not logits');
  const network = understandClassifier(model);
  const trained = await trainNetwork({ network, training, validation: selection, teacher, recipe, runtime });
  const { top1 } = await measureAccuracy(trained.model, original, validation, runtime);
  const stage = { name: 'finetune', top1, seconds: (performance.now() - started) / 1000 };
  return { model: trained.model, stage };
}
