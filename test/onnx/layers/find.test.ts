import { measureCost } from '../../../src/onnx/cost';
import { removeLayer } from '../../../src/onnx/passes/removeLayer';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import { ModelBuilder } from '../../support/modelBuilder';
import { hasPython, onnxProblems } from '../../support/python';
import * as networks from './networks';
import { headFor, layerById, layersOfModel, proveRemoval } from './support';

interface Family {
  readonly name: Exclude<keyof typeof networks, 'DIMS'>;
  /** Ids of all layers but the tails. */
  readonly ids: readonly string[];
  readonly tails: number;
  readonly refused: Readonly<Record<string, RegExp>>;
}

const CHANGES = /^it changes the shape: \[N, .*\] becomes \[N, .*\]$/;

const FAMILIES: readonly Family[] = [
  {
    name: 'residual',
    ids: [
      ...['residual-block:a_add#0', 'residual-block:b_add#0', 'residual-block:c_add#0', 'residual-block:d_add#0'],
      ...[
        'sequential:a_conv1..a_relu1',
        'sequential:a_conv2..a_conv2_bn',
        'sequential:b_conv1..b_relu1',
        'sequential:b_conv2..b_conv2_bn',
      ],
      ...['sequential:c_conv2..c_conv2_bn', 'sequential:d_conv2..d_conv2_bn'],
    ],
    tails: 4,
    refused: { stem: CHANGES, c_projection: CHANGES, classifier: CHANGES },
  },
  {
    name: 'preActivation',
    ids: [
      ...['residual-block:a_add#1', 'residual-block:b_add#1'],
      ...['sequential:a_conv1..a_bn2_relu', 'sequential:a_conv2', 'sequential:b_conv2'],
    ],
    tails: 2,
    refused: { stem: CHANGES, b_projection: CHANGES, classifier: CHANGES },
  },
  {
    name: 'invertedResidual',
    ids: ['residual-block:a_add#1', 'sequential:a_depthwise..a_silu2', 'sequential:b_depthwise..b_silu2'],
    tails: 5,
    refused: { stem: CHANGES, b_expand: CHANGES, b_reduce: CHANGES, b_raise: CHANGES, b_project: CHANGES },
  },
  {
    name: 'dense',
    ids: ['dense-layer:a', 'dense-layer:b', 'dense-layer:c'],
    tails: 2,
    refused: { stem_relu: /^Conv "a" would have nothing left to read$/, stem: CHANGES, transition: CHANGES },
  },
  {
    name: 'inception',
    ids: [
      ...['branch:a_left_relu', 'branch:a_right_relu', 'branch:a_plain_relu', 'branch:a_inner'],
      ...['branch:b_wide_relu', 'module:a_inner', 'module:a_concat'],
    ],
    tails: 2,
    refused: { b_pool: /would have nothing left to read$/, b_concat: /can not be mapped onto each other$/ },
  },
  {
    name: 'sequential',
    ids: ['sequential:same..same_relu', 'sequential:last..last_relu', 'sequential:full2..full2_relu'],
    tails: 5,
    refused: { stem: CHANGES, wider: CHANGES, full1: CHANGES, full3: CHANGES },
  },
  {
    name: 'convNext',
    ids: ['residual-block:block_add#0', 'sequential:depthwise'],
    tails: 1,
    refused: { stem: CHANGES, classifier: CHANGES },
  },
];

describe.each(FAMILIES)('$name', ({ name, ids, tails, refused }) => {
  const model = networks[name]();
  const { layers, notRemovable } = layersOfModel(model);

  test('its layers are found, and what is none says why', () => {
    expect(layers.filter(({ kind }) => kind !== 'tail').map(({ id }) => id)).toEqual(ids);
    expect(layers.filter(({ kind }) => kind === 'tail')).toHaveLength(tails);
    const reasons = Object.fromEntries(notRemovable.map((entry) => [entry.name, entry.reason]));
    for (const [node, reason] of Object.entries(refused)) expect(reasons[node]).toMatch(reason);
    expect(new Set(layers.map(({ id }) => id)).size).toBe(layers.length);
  });

  test('without any one of them it equals the by-passed original, and is smaller by what was said', async () => {
    const before = measureCost(model, inferShapes(model));
    const files: Record<string, Uint8Array> = {};
    for (const layer of layers) {
      const { removed, difference, effect } = await proveRemoval(model, layer, networks.DIMS);
      expect({ id: layer.id, equal: difference <= 1e-5, acts: effect > 1e-4 }).toEqual({
        id: layer.id,
        equal: true,
        acts: true,
      });
      const kept = new Set(removed.graph.nodes.map(({ key }) => key));
      expect(model.graph.nodes.filter(({ key }) => !kept.has(key)).map(({ key }) => key)).toEqual(layer.nodes);
      const after = measureCost(removed, inferShapes(removed));
      const { head } = layer;
      const added = head === undefined || head.fits ? 0 : head.inputs * head.outputs;
      expect(before.macs - after.macs).toBeCloseTo(layer.macs - added, 6);
      expect(before.parameters - after.parameters).toBe(layer.parameters - (added && added + (head?.outputs ?? 0)));
      const read = new Set(removed.graph.nodes.flatMap(({ inputs }) => inputs));
      expect([...removed.graph.initializers.keys()].filter((constant) => !read.has(constant))).toEqual([]);
      files[`${Object.keys(files).length}.onnx`] = serializeModel(removed);
    }
    if (hasPython('onnx')) expect(onnxProblems(files)).toEqual({});
    else console.info('not checked with onnx: it is not there');
  });
});

test('a block that goes takes its second ReLU along, and a projection stays', () => {
  const model = networks.residual();
  expect(layerById(model, 'residual-block:a_add#0').nodes).toEqual([
    ...['a_conv1', 'a_conv1_bn', 'a_relu1', 'a_conv2', 'a_conv2_bn', 'a_add', 'a_relu'],
  ]);
  const projected = layerById(model, 'residual-block:c_add#0');
  expect(projected.remark).toBe('its shortcut is a projection, which stays: only the residual branch goes');
  expect(projected.nodes).not.toContain('c_projection');
  expect(projected.nodes).not.toContain('c_relu');
  expect(layerById(model, 'residual-block:d_add#0').remark).toMatch(/^its shortcut changes the tensor without weights/);
});

test('a dense layer goes from every later Concat, and a Concat of one is left out', () => {
  const removed = removeLayer(networks.dense(), { id: 'dense-layer:a' });
  const byName = new Map(removed.graph.nodes.map((node) => [node.name, node]));
  expect(byName.has('b_concat')).toBe(false);
  expect(byName.get('b_bn')?.inputs[0]).toBe('stem_relu:0');
  expect(byName.get('c_concat')?.inputs).toEqual(['stem_relu:0', 'b:0']);
  expect(byName.get('transition_concat')?.inputs).toEqual(['stem_relu:0', 'b:0', 'c:0']);
  expect(inferShapes(removed).get('transition_bn:0')?.[1]).toBe(16);
});

test('a tensor that is an output of the graph keeps its name', async () => {
  const built = networks.sequential();
  const outputs = [
    ...built.graph.outputs,
    { name: 'same_relu:0', dataType: 'float32' as const, shape: ['N', 8, 8, 8] },
  ];
  const model = { ...built, graph: { ...built.graph, outputs } };
  const layer = layerById(model, 'sequential:same..same_relu');
  const { removed, difference } = await proveRemoval(model, layer, networks.DIMS);
  expect(difference).toBeLessThanOrEqual(1e-5);
  expect(layer.nodes).toEqual(['same', 'same_bn', 'same_relu']);
  expect(removed.graph.outputs.map(({ name }) => name)).toEqual(['logits', 'same_relu:0']);
});

test('operands of a sum that are no shortcut, and constants, are no blocks', () => {
  const model = new ModelBuilder();
  const input = model.input('input', ['N', 3, 4, 4]);
  const left = model.conv(input, 3, 4, 1, {}, { name: 'left' });
  const right = model.conv(input, 3, 4, 1, {}, { name: 'right' });
  const sum = model.node('Add', [left, right], {}, { name: 'sum' });
  const shifted = model.node('Add', [sum, model.weights([4, 1, 1])], {}, { name: 'shift' });
  const twice = model.node('Add', [shifted, shifted], {}, { name: 'twice' });
  model.output(model.gemm(model.node('Flatten', [twice]), 64, 5), ['N', 5]);
  const { layers, notRemovable } = layersOfModel(model.build());
  expect(layers.filter(({ kind }) => kind !== 'tail')).toEqual([]);
  expect(notRemovable.map(({ name }) => name)).toEqual(expect.arrayContaining(['sum', 'left', 'right']));
  expect(notRemovable.find(({ name }) => name === 'sum')?.reason).toMatch(/neither is a shortcut$/);
});

test('a head is refused where it does not belong or has another size, and asked for where the old one does not fit', () => {
  const model = networks.residual();
  const head = { weight: new Float32Array(40) };
  const tail = layersOfModel(model).layers.find(({ head: own }) => own?.inputs === 8);
  if (tail === undefined) throw new Error('no tail');
  expect(() => removeLayer(model, { id: 'residual-block:a_add#0' }, { head })).toThrow(/a head only where a tail/);
  expect(() => removeLayer(model, tail)).toThrow(/Expected a new head for "tail:/);
  expect(() => removeLayer(model, tail, { head: { weight: new Float32Array(7) } })).toThrow(/40 weights \[5, 8\]/);
  expect(() => removeLayer(model, tail, { head: { ...head, bias: new Float32Array(4) } })).toThrow(/5 biases/);
  expect(removeLayer(model, tail, { head }).graph.outputs).toEqual(model.graph.outputs);
  expect(headFor(tail).head?.weight).toHaveLength(40);
});

test.each([
  ['sequential', networks.sequential(8), ['sequential:same..same_relu', 'sequential:full2..full2_relu']],
  ['inception', networks.inception(8), ['branch:a_inner', 'branch:b_wide_relu', 'module:a_concat']],
])('%s: the by-passed original also works before Where took numbers of any kind', async (_, model, ids) => {
  for (const id of ids) {
    const { difference, effect } = await proveRemoval(model, layerById(model, id), networks.DIMS);
    expect([id, difference <= 1e-5, effect > 1e-4]).toEqual([id, true, true]);
  }
});
