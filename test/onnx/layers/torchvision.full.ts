import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { measureCost } from '../../../src/onnx/cost';
import { layersOf } from '../../../src/onnx/layers/find';
import type { LayerKind, RemovableLayer } from '../../../src/onnx/layers/types';
import { readModel } from '../../../src/onnx/load';
import type { Model } from '../../../src/onnx/ir';
import { removeLayer } from '../../../src/onnx/passes/removeLayer';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import { createRandom } from '../../../src/random';
import { complaintsOfOnnx, missingPython } from '../channels/support';
import { AUXILIARY } from '../channels/torchvision/architectures';
import { EXPORTER, type ExportRequest } from '../channels/torchvision/exporter';
import { startPython, type PythonService } from '../channels/torchvision/pythonService';
import { headFor, layersOfModel, proveRemoval } from './support';

type Counts = Partial<Record<LayerKind, number>>;

interface Network {
  readonly name: string;
  readonly options?: ExportRequest['options'];
  readonly size: number;
  /** What the export does with batch normalisation. */
  readonly norm: 'kept' | 'folded';
  /** How many layers of each kind there are. */
  readonly layers: Counts;
  /** Layers that are proved one by one: all where it is absent, else a random few of each kind. */
  readonly proved?: number;
}

const NETWORKS: readonly Network[] = [
  { name: 'resnet18', norm: 'kept', size: 64, layers: { 'residual-block': 8, sequential: 13, tail: 9 }, proved: 4 },
  { name: 'resnet50', norm: 'folded', size: 64, layers: { 'residual-block': 16, sequential: 14, tail: 17 }, proved: 2 },
  { name: 'densenet121', norm: 'kept', size: 64, layers: { 'dense-layer': 58, sequential: 2, tail: 14 }, proved: 3 },
  {
    name: 'googlenet',
    options: AUXILIARY,
    norm: 'kept',
    size: 64,
    layers: { branch: 36, module: 3, sequential: 1, tail: 15 },
    proved: 4,
  },
  {
    name: 'inception_v3',
    options: AUXILIARY,
    norm: 'folded',
    size: 96,
    layers: { branch: 44, module: 6, sequential: 31, tail: 15 },
    proved: 2,
  },
  {
    name: 'mobilenet_v2',
    norm: 'kept',
    size: 64,
    layers: { 'residual-block': 10, sequential: 13, tail: 31 },
    proved: 3,
  },
  {
    name: 'mobilenet_v3_small',
    norm: 'folded',
    size: 64,
    layers: { 'residual-block': 6, sequential: 8, tail: 26 },
    proved: 4,
  },
  { name: 'vgg16_bn', norm: 'kept', size: 224, layers: { sequential: 10, tail: 19 }, proved: 1 },
  {
    name: 'efficientnet_b0',
    norm: 'kept',
    size: 64,
    layers: { 'residual-block': 9, sequential: 12, tail: 37 },
    proved: 3,
  },
  {
    name: 'convnext_tiny',
    norm: 'folded',
    size: 64,
    layers: { 'residual-block': 18, sequential: 18, tail: 25 },
    proved: 2,
  },
  { name: 'squeezenet1_1', norm: 'folded', size: 64, layers: { branch: 16, module: 4, tail: 20 } },
  {
    name: 'shufflenet_v2_x1_0',
    norm: 'folded',
    size: 64,
    layers: { branch: 32, module: 13, sequential: 46, tail: 34 },
    proved: 3,
  },
];

const MODELS = resolve(__dirname, '../../../../shared/models');
const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-layers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function countsOf(layers: readonly RemovableLayer[]): Counts {
  const counts: Counts = {};
  for (const { kind } of layers) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** All of them, or `count` of each kind drawn at random. */
function drawn(layers: readonly RemovableLayer[], count: number | undefined): readonly RemovableLayer[] {
  if (count === undefined) return layers;
  const kinds = new Set(layers.map(({ kind }) => kind));
  const random = createRandom(23);
  return [...kinds].flatMap((kind) => random.shuffle(layers.filter((layer) => layer.kind === kind)).slice(0, count));
}

async function prove(model: Model, size: number, count: number | undefined): Promise<string[]> {
  const { layers } = layersOfModel(model);
  const shapes = inferShapes(model);
  const before = measureCost(model, shapes);
  const files: string[] = [];
  for (const layer of drawn(layers, count)) {
    const { removed, difference, effect } = await proveRemoval(model, layer, [2, 3, size, size]);
    expect([layer.id, difference <= 1e-4, difference]).toEqual([layer.id, true, difference]);
    expect([layer.id, effect > 1e-3, effect]).toEqual([layer.id, true, effect]);
    if (layer.head?.fits !== false) {
      const after = measureCost(removed, inferShapes(removed));
      expect({ id: layer.id, parameters: before.parameters - after.parameters }).toEqual({
        id: layer.id,
        parameters: layer.parameters,
      });
      expect(Math.abs(before.macs - after.macs - layer.macs)).toBeLessThanOrEqual(1e-9 * before.macs);
    }
    const path = join(folder, `${files.length}.onnx`);
    writeFileSync(path, serializeModel(removed));
    files.push(path);
  }
  return files;
}

/** Removes layers of all kinds one after the other, by the ids they had at first, and proves the last step. */
async function proveTogether(model: Model, size: number): Promise<string> {
  const random = createRandom(29);
  const { layers } = layersOfModel(model);
  let current = model;
  let steps = 0;
  for (const layer of random.shuffle([...layers]).filter(({ kind }) => kind !== 'tail')) {
    const here = layersOf(current).layers.find(({ id }) => id === layer.id);
    if (here === undefined || steps >= 12) continue;
    steps += 1;
    if (steps % 4 === 0) {
      const { removed, difference } = await proveRemoval(current, here, [2, 3, size, size]);
      expect([layer.id, difference <= 1e-4, difference]).toEqual([layer.id, true, difference]);
      current = removed;
    } else current = removeLayer(current, here, headFor(here));
  }
  expect(steps).toBeGreaterThan(3);
  const path = join(folder, 'several.onnx');
  writeFileSync(path, serializeModel(current));
  return path;
}

const missing = missingPython('torch, torchvision, onnx');
if (missing !== undefined)
  test('torchvision networks are not checked', () => {
    console.info(`not checked with torchvision: ${missing}`);
    expect(missing).not.toBe('');
  });
else
  describe('torchvision', () => {
    let exporter: PythonService<ExportRequest, { readonly path: string }>;
    beforeAll(() => {
      exporter = startPython(EXPORTER);
    });
    // Where a test took too long, its export may still be under way.
    afterAll(() => exporter.close(), 120_000);

    test.each(NETWORKS)(
      '$name, batch normalisation $norm',
      async ({ name, options = {}, size, norm, layers, proved }) => {
        const path = join(folder, `${name}.onnx`);
        await exporter.ask({ name, options, size, batch: 'N', folded: norm === 'folded', opset: 13, path });
        const model = await readModel(path);
        expect(countsOf(layersOfModel(model).layers)).toEqual(layers);
        const files = await prove(model, size, proved);
        files.push(await proveTogether(model, size));
        expect(complaintsOfOnnx(files)).toBe('');
        for (const file of files) rmSync(file);
        rmSync(path);
      },
      600_000,
    );
  });

if (!existsSync(MODELS)) test(`not run: ${MODELS} is not there`, () => expect(existsSync(MODELS)).toBe(false));
else
  test.each([
    ['resnet20', { 'residual-block': 9, sequential: 16, tail: 9 }],
    ['resnet56', { 'residual-block': 27, sequential: 52, tail: 27 }],
    ['vgg16', { sequential: 10, tail: 17 }],
  ])(
    '%s',
    async (name, layers: Counts) => {
      const model = await readModel(join(MODELS, `${name}.onnx`));
      expect(countsOf(layersOfModel(model).layers)).toEqual(layers);
      const files = await prove(model, 32, name === 'resnet20' ? undefined : 4);
      files.push(await proveTogether(model, 32));
      if (missing === undefined) expect(complaintsOfOnnx(files)).toBe('');
      for (const file of files) rmSync(file);
    },
    600_000,
  );
