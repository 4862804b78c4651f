import type { LayerCost, ModelCost } from '../types';
import type { Model, Node } from './ir';
import { macsOfNode } from './macs';
import { parametersOf, type Parameter } from './parameterRoles';
import { externalReferences } from './proto/external';
import { serializedLength } from './proto/serialize';
import { inferShapes, type ShapeMap } from './shapes';

/**
 * What a network costs.
 *
 * `parameters` counts learned values as PyTorch's `parameters()` does: weights, biases, and the scale and shift of
 * normalisations. Running means and variances are `runningStatistics`. A tensor that several nodes read counts once, for
 * the first of them. Not counted: shapes, scalars, constants that normalise the input. `macs` are multiply-accumulates
 * for ONE sample (a fixed batch is divided out); NaN where the input's height or width is not known.
 * `bytes` is the size of the model written to disk, external data included.
 * `layers` holds the nodes that have parameters or arithmetic, in topological order.
 */
export function measureCost(model: Model, shapes: ShapeMap): ModelCost {
  const { layers, runningStatistics } = measureLayers(model, shapes);
  const total = (value: (layer: LayerCost) => number) => layers.reduce((sum, layer) => sum + value(layer), 0);
  return {
    parameters: total((layer) => layer.parameters),
    runningStatistics,
    macs: total((layer) => layer.macs),
    bytes: modelBytes(model),
    layers,
  };
}

export interface LayerCosts extends Pick<ModelCost, 'layers' | 'runningStatistics'> {
  /** Learned values by node, those included that an earlier node shares and that count for it. */
  readonly learned: ReadonlyMap<string, readonly Parameter[]>;
}

/** The same layer by layer, without the size in bytes. */
export function measureLayers(model: Model, shapes: ShapeMap): LayerCosts {
  const { shapes: counted, batch } = shapesForOneBatch(model, shapes);
  const seen = new Set<string>();
  const behindLayer = new Set<string>();
  const producers = new Map<string, Node>();
  const stored = { initializers: model.graph.initializers, producers };
  const layers: LayerCost[] = [];
  const learned = new Map<string, readonly Parameter[]>();
  let runningStatistics = 0;
  for (const node of model.graph.nodes) {
    for (const output of node.outputs) producers.set(output, node);
    const found = parametersOf(stored, node, (tensor) => behindLayer.has(tensor));
    const own = found.filter(({ kind }) => kind === 'learned');
    if (own.length > 0) learned.set(node.key, own);
    const fresh = found.filter(({ name }) => !seen.has(name) && seen.add(name));
    const sum = (kind: 'learned' | 'statistic') =>
      fresh.reduce((total, parameter) => total + (parameter.kind === kind ? parameter.count : 0), 0);
    if (found.length > 0 || node.inputs.some((input) => behindLayer.has(input)))
      for (const output of node.outputs) behindLayer.add(output);
    runningStatistics += sum('statistic');
    const macs = macsOfNode(node, counted) / batch;
    if (found.length === 0 && macs === 0) continue;
    layers.push({
      name: node.key,
      op: node.opType,
      outputShape: (shapes.get(node.outputs[0] ?? '') ?? []).map((dimension) => dimension ?? '?'),
      parameters: sum('learned'),
      macs,
    });
  }
  return { layers, runningStatistics, learned };
}

/**
 * Shapes with a known batch size: 1 where the model leaves it open, else the model's own. Sizes that exporters multiply
 * with the batch (a Reshape to [N·H·W, C]) so come out right in both cases.
 */
function shapesForOneBatch(model: Model, shapes: ShapeMap): { shapes: ShapeMap; batch: number } {
  const overrides: Record<string, readonly number[]> = {};
  let batch: number | undefined;
  for (const input of model.graph.inputs) {
    const [first, ...rest] = shapes.get(input.name) ?? [];
    if (!rest.every((size) => typeof size === 'number')) continue;
    const size = typeof first === 'number' ? first : 1;
    overrides[input.name] = shapes.get(input.name)?.length === 0 ? [] : [size, ...rest];
    if (rest.length > 0) batch ??= Math.max(1, size);
  }
  const stated = Object.entries(overrides).filter(([name]) => shapes.get(name) !== undefined);
  return { shapes: inferShapes(model, { overrides: Object.fromEntries(stated) }), batch: batch ?? 1 };
}

function modelBytes(model: Model): number {
  const files = new Map<string, number>();
  for (const { reference } of externalReferences(model)) {
    const end = reference.offset + reference.length;
    files.set(reference.location, Math.max(files.get(reference.location) ?? 0, end));
  }
  return [...files.values()].reduce((sum, size) => sum + size, serializedLength(model));
}
