import type { LayerAnalysis, RemovableLayer } from '../../../src/onnx/layers/types';
import { findRemovableLayers } from '../../../src/onnx/layers/find';
import { elementTypes } from '../../../src/onnx/elementTypes';
import type { Model } from '../../../src/onnx/ir';
import { bypassLayer } from '../../../src/onnx/passes/bypassLayer';
import { compareOutputs } from '../../../src/onnx/passes/checkEquivalence';
import { addOutputs } from '../../../src/onnx/passes/outputs';
import { removeLayer, type RemovalOptions } from '../../../src/onnx/passes/removeLayer';
import { inferShapes } from '../../../src/onnx/shapes';
import { createRandom } from '../../../src/random';
import { analyze, randomInput, runModel } from '../channels/support';

export function layersOfModel(model: Model): LayerAnalysis {
  return findRemovableLayers(model, inferShapes(model), analyze(model));
}

export function layerById(model: Model, id: string): RemovableLayer {
  const { layers } = layersOfModel(model);
  const found = layers.find((layer) => layer.id === id);
  if (found === undefined) throw new Error(`no "${id}" among ${layers.map((layer) => layer.id).join(', ')}`);
  return found;
}

/** A head with small random weights where the old one does not fit, none otherwise. */
export function headFor({ head }: RemovableLayer): RemovalOptions {
  if (head === undefined || head.fits) return {};
  const random = createRandom(5);
  const values = (count: number) => Float32Array.from({ length: count }, () => random.uniform() - 0.5);
  return { head: { weight: values(head.inputs * head.outputs), bias: values(head.outputs) } };
}

export interface Proof {
  readonly removed: Model;
  /**
   * Largest difference between the graph without the layer and the by-passed original, over the scale of the tensor: of
   * the outputs, and of up to 16 inner tensors behind the layer (a deep network with random weights forgets its input, and
   * would show nothing at its end).
   */
  readonly difference: number;
  /** The same between the graph without the layer and the original: how much the layer did. */
  readonly effect: number;
}

export async function proveRemoval(
  model: Model,
  layer: RemovableLayer,
  dims: readonly number[],
  options: RemovalOptions = headFor(layer),
): Promise<Proof> {
  const input = randomInput(dims, createRandom(17));
  const removed = removeLayer(model, layer, options);
  const bypassed = bypassLayer(model, layer, options);
  const compared = tensorsBehind(layer, model, removed);
  const valuesOf = (graph: Model) => runModel(addOutputs(graph, compared, inferShapes(graph)), dims, input);
  const actual = await valuesOf(removed);
  const furthest = (reference: readonly Float32Array[]) =>
    Math.max(
      ...reference.map((values, at) => compareOutputs(values, actual[at] ?? new Float32Array()).relativeDifference),
    );
  return { removed, difference: furthest(await valuesOf(bypassed)), effect: furthest(await valuesOf(model)) };
}

const MOST_COMPARED = 16;

/** Float tensors behind a layer that are there with and without it, in the same shape. */
function tensorsBehind(layer: RemovableLayer, model: Model, removed: Model): readonly string[] {
  const [before, after] = [inferShapes(model), inferShapes(removed)];
  const types = elementTypes(removed.graph);
  const left = new Set(removed.graph.nodes.flatMap(({ outputs }) => outputs));
  const gone = new Set(layer.nodes);
  const first = model.graph.nodes.findIndex(({ key }) => gone.has(key));
  const found = model.graph.nodes
    .slice(first)
    .flatMap(({ outputs }) => outputs)
    .filter((name) => left.has(name) && types.get(name) === 'float32')
    .filter((name) => before.get(name)?.join() === after.get(name)?.join() && (before.get(name)?.length ?? 0) > 1);
  const step = Math.max(1, Math.ceil(found.length / MOST_COMPARED));
  return found.filter((_, index) => index % step === 0);
}
