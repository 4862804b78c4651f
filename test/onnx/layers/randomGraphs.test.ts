import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { measureCost, measureLayers } from '../../../src/onnx/cost';
import type { LayerKind, RemovableLayer } from '../../../src/onnx/layers/types';
import type { Model } from '../../../src/onnx/ir';
import { removeLayer } from '../../../src/onnx/passes/removeLayer';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import { createRandom } from '../../../src/random';
import { randomGraph } from '../channels/randomGraph';
import { canonicalGraph, complaintsOfOnnx, missingPython, NEWEST_CHECKED_OPSET } from '../channels/support';
import { headFor, layersOfModel, proveRemoval } from './support';

const SEEDS = 60;
/** Layers that are taken out of each graph. */
const PROVED = 4;

describe(`${SEEDS} random CNN graphs`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-layers-'));
  const files: string[] = [];
  const proved = new Map<LayerKind, number>();
  let counted = 0;
  let pairs = 0;
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(Array.from({ length: SEEDS }, (_, seed) => seed))('seed %i', async (seed) => {
    const { model, inputDims } = randomGraph(seed);
    const { layers } = layersOfModel(model);
    const before = measureCost(model, inferShapes(model));
    for (const layer of createRandom(seed)
      .shuffle([...layers])
      .slice(0, PROVED)) {
      const { removed, difference } = await proveRemoval(model, layer, inputDims);
      expect([layer.id, difference <= 1e-4, difference]).toEqual([layer.id, true, difference]);
      if (layer.head?.fits !== false && countTheSameRoles(model, removed)) {
        const after = measureCost(removed, inferShapes(removed));
        expect([layer.id, before.parameters - after.parameters]).toEqual([layer.id, layer.parameters]);
        counted += 1;
      }
      proved.set(layer.kind, (proved.get(layer.kind) ?? 0) + 1);
      if ((model.opsets.get('') ?? 0) > NEWEST_CHECKED_OPSET) continue;
      const path = join(folder, `${files.length}.onnx`);
      writeFileSync(path, serializeModel(removed));
      files.push(path);
    }
    pairs += compareOrders(model, layers, seed);
  });

  test('all kinds came up, also in pairs, and the graphs are valid', () => {
    // A module that keeps its shape is rare; the hand-made networks have some.
    expect([...proved.keys()]).toEqual(
      expect.arrayContaining(['branch', 'dense-layer', 'residual-block', 'sequential', 'tail']),
    );
    expect(counted).toBeGreaterThan(SEEDS / 2);
    expect(pairs).toBeGreaterThan(SEEDS / 4);
    const missing = missingPython('onnx');
    if (missing !== undefined) return console.info(`not checked with onnx: ${missing}`);
    expect(complaintsOfOnnx(files)).toBe('');
  });
});

/** A constant that is added before the first layer is no parameter: without the first layer, that is said of others. */
function countTheSameRoles(model: Model, removed: Model): boolean {
  const [before, after] = [model, removed].map((side) => measureLayers(side, inferShapes(side)).learned);
  return removed.graph.nodes.every(({ key }) => before?.get(key)?.length === after?.get(key)?.length);
}

/** Two layers in both orders give the same graph, unless one of them is refused. How many pairs gave one. */
function compareOrders(model: Model, layers: readonly RemovableLayer[], seed: number): number {
  const drawn = createRandom(seed + 1)
    .shuffle(layers.filter(({ kind }) => kind !== 'tail'))
    .slice(0, PROVED);
  let compared = 0;
  for (const [index, first] of drawn.entries())
    for (const second of drawn.slice(index + 1)) {
      const [one, other] = [removeBoth(model, first, second), removeBoth(model, second, first)];
      if (one === undefined || other === undefined) continue;
      expect(canonicalGraph(one)).toBe(canonicalGraph(other));
      compared += 1;
    }
  return compared;
}

/** undefined where the second is refused once the first is gone. */
function removeBoth(model: Model, first: RemovableLayer, second: RemovableLayer): Model | undefined {
  const once = removeLayer(model, first, headFor(first));
  if (!layersOfModel(once).layers.some(({ id }) => id === second.id)) return undefined;
  return removeLayer(once, second, headFor(second));
}
