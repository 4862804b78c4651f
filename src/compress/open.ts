import type { ImageInput } from '../activations/types';
import { findImageInput, findLogits } from '../onnx/inputs';
import type { Model } from '../onnx/ir';
import { parseModel, readModel } from '../onnx/load';
import { inferShapes, type ShapeMap } from '../onnx/shapes';
import { requireSupported } from '../onnx/support';
import type { ModelSource } from './api';

/** A classifier that has been read and understood as far as every verb needs. */
export interface Classifier {
  readonly model: Model;
  readonly shapes: ShapeMap;
  readonly input: ImageInput;
  /** Name of the graph output that holds one score a class: logits, or probabilities where a Softmax ends the graph. */
  readonly output: string;
  /** The scores before a final Softmax; `output` where there is none. */
  readonly logits: string;
  readonly classes: number;
}

/** Reads a model from a file or from memory. Errors: ERR_MODEL_UNREADABLE. */
export async function openModel(source: ModelSource, signal?: AbortSignal): Promise<Model> {
  if (typeof source === 'string') return readModel(source, { signal });
  const external = new Map((source.externalData ?? []).map(({ path, data }) => [path, data]));
  return parseModel(source.bytes, { resolveExternal: (location) => external.get(location) });
}

/**
 * Finds image input, logits and shapes. Errors: ERR_MODEL_UNSUPPORTED where the model is no image classifier, or holds
 * custom or quantised operators.
 */
export function understandClassifier(model: Model): Classifier {
  requireSupported(model);
  const shapes = inferShapes(model);
  const input = findImageInput(model, shapes);
  const { name: output, beforeSoftmax: logits, classes } = findLogits(model, shapes);
  return { model, shapes, input, output, logits, classes };
}
