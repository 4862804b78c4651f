import { mkdir, readdir } from 'node:fs/promises';
import type { CompressOptions } from '../../src/compress/api';
import { compress } from '../../src/compress/compress';
import type { Model, Tensor } from '../../src/onnx/ir';
import { float32Tensor, tensorToFloat32 } from '../../src/onnx/tensor';
import { toModelBytes } from '../../src/onnx/save';
import type { ModelBytes } from '../../src/types';
import { toyNetwork } from './support/networks';
import { toyWorld, type ToyWorld } from './support/world';

jest.setTimeout(60_000);

/** What the passes do to the graph they give, beside their work; set by each test. */
let afterCut: (model: Model) => Model = (model) => model;
let afterEdit: (model: Model) => Model = (model) => model;

jest.mock('../../src/onnx/passes/cutChannels', () => {
  const real = jest.requireActual<typeof import('../../src/onnx/passes/cutChannels')>(
    '../../src/onnx/passes/cutChannels',
  );
  return { cutChannels: (...args: Parameters<typeof real.cutChannels>) => afterCut(real.cutChannels(...args)) };
});
jest.mock('../../src/onnx/passes/applyLinearEdits', () => {
  const real = jest.requireActual<typeof import('../../src/onnx/passes/applyLinearEdits')>(
    '../../src/onnx/passes/applyLinearEdits',
  );
  return {
    applyLinearEdits: (...args: Parameters<typeof real.applyLinearEdits>) => afterEdit(real.applyLinearEdits(...args)),
  };
});

let world: ToyWorld;
let original: ModelBytes;
let options: CompressOptions;
beforeAll(async () => {
  world = await toyWorld(120, 60);
  original = toModelBytes(await toyNetwork('concat'));
  await mkdir(world.at('outputs'));
  const { data, validation, at } = world;
  options = {
    data,
    validation,
    flops: 0.7,
    criterion: 'l1',
    device: 'cpu',
    threads: 2,
    output: at('outputs', 'model.onnx'),
    report: at('outputs', 'report.html'),
  };
});
afterAll(() => world.remove());
beforeEach(() => {
  afterCut = (model) => model;
  afterEdit = (model) => model;
});

function replaceTensor(model: Model, name: string, change: (tensor: Tensor) => Tensor): Model {
  const initializers = new Map(model.graph.initializers);
  initializers.set(name, change(initializers.get(name)!));
  return { ...model, graph: { ...model.graph, initializers } };
}

function replaceNode(model: Model, opType: string, change: Partial<Model['graph']['nodes'][number]>): Model {
  const found = model.graph.nodes.find((node) => node.opType === opType)!;
  const nodes = model.graph.nodes.map((node) => (node === found ? { ...node, ...change } : node));
  return { ...model, graph: { ...model.graph, nodes } };
}

async function expectRefused(message: RegExp): Promise<void> {
  await expect(compress(original, options)).rejects.toMatchObject({
    name: 'SieveError',
    code: 'ERR_VERIFICATION',
    message: expect.stringMatching(message) as string,
    remedy: expect.stringContaining('Nothing was written') as string,
  });
  expect(await readdir(world.at('outputs'))).toEqual([]);
}

test('a cut that changes some weights a little is found', async () => {
  const weight = 'weight_1';
  afterCut = (model) =>
    replaceTensor(model, weight, (tensor) => {
      const values = tensorToFloat32(tensor).map((value, index) => (index < 40 ? value * 1.01 : value));
      return float32Tensor(weight, tensor.dims, values);
    });
  await expectRefused(/^Expected the cut graph to equal the masked original within 0\.0001 .* difference of \d/);
});

test('a cut that changes an operator is found', async () => {
  afterCut = (model) => replaceNode(model, 'Relu', { opType: 'Abs' });
  await expectRefused(/^Expected the cut graph to equal the masked original/);
});

test('a recovery that changes more than values is found', async () => {
  afterEdit = (model) => replaceNode(model, 'Relu', { opType: 'Elu' });
  await expectRefused(/^Expected recovery to change values only but received another graph at Relu "/);
});

test('without these faults the same call writes', async () => {
  await compress(original, options);
  expect((await readdir(world.at('outputs'))).sort()).toEqual(['model.onnx', 'report.html']);
});
