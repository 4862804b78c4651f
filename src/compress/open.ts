import type { ImageInput } from '../activations/types';
import { findImageInput, findLogits } from '../onnx/inputs';
import type { Model } from '../onnx/ir';
import { parseModel, readModel } from '../onnx/load';
import { inferShapes, type ShapeMap } from '../onnx/shapes';
import type { ModelSource } from './api';

/** A classifier that has been read and understood as far as every verb needs. */
export interface Classifier {
  readonly model: Model;
  readonly shapes: ShapeMap;
  readonly input: ImageInput;
  /** Name of the output that holds one score a class. */
  readonly logits: string;
  readonly classes: number;
}

/** Reads a model from a file or from memory. Errors: ERR_MODEL_UNREADABLE. */
export async function openModel(source: ModelSource, signal?: AbortSignal): Promise<Model> {
  if (typeof source === 'string') return readModel(source, { signal });
  const external = new Map((source.externalData ?? []).map(({ path, data }) => [path, data]));
  return parseModel(source.bytes, { resolveExternal: (location) => external.get(location) });
}

/** Finds image input, logits and shapes. Errors: ERR_MODEL_UNSUPPORTED where the model is no image classifier. */
export function understandClassifier(model: Model): Classifier {
  const shapes = inferShapes(model);
  const input = findImageInput(model, shapes);
  const logits = findLogits(model, shapes);
  return { model, shapes, input, logits: logits.name, classes: logits.classes };
}
