import { accumulate, createMoments } from '../../src/recovery/moments';
import { refit } from '../../src/recovery/leastSquares';
import { hasPython, runPython } from '../support/python';
import { apply, normals, outputDims, randomLayer, seeded } from './layers';

// torch unfolds the patches and solves the tall system by QR, in float64: nothing of the normal equations in it. The
// penalty enters as further rows, sqrt(λ)·I with targets sqrt(λ)·prior.
const SCRIPT = `
import json, sys, numpy as np, torch
folder = sys.argv[1]
spec = json.load(open(folder + '/spec.json'))
read = lambda name, shape: torch.from_numpy(np.fromfile(folder + '/' + name, '<f4').astype(np.float64)).reshape(shape)
x, y, prior = read('x', spec['inputDims']), read('y', spec['outputDims']), read('w', [spec['outputs'], -1])
groups, (pt, pl, pb, pr) = spec['groups'], spec['pads']
x = torch.nn.functional.pad(x, (pl, pr, pt, pb))
weights, constants = [], []
for xg, yg, wg in zip(x.chunk(groups, 1), y.chunk(groups, 1), prior.chunk(groups, 0)):
    patches = torch.nn.functional.unfold(xg, spec['kernel'], spec['dilations'], 0, spec['strides'])
    a = patches.transpose(1, 2).reshape(-1, patches.shape[1])
    b = yg.flatten(2).transpose(1, 2).reshape(-1, yg.shape[1])
    root = (spec['ridge'] * a.square().sum(0).mean()).sqrt()
    d = a.shape[1]
    a = torch.cat([torch.cat([a, root * torch.eye(d, dtype=a.dtype)]), torch.cat([torch.ones(len(a), 1), torch.zeros(d, 1)]).double()], 1)
    b = torch.cat([b, root * wg.T])
    solution = torch.linalg.lstsq(a, b).solution
    weights += solution[:d].T.reshape(-1).tolist()
    constants += solution[d].tolist()
print(json.dumps({'weight': weights, 'constant': constants}))
`;

test('a re-fit equals torch.linalg.lstsq on unfolded patches', async () => {
  if (!hasPython('torch', 'numpy')) return;
  const random = seeded(31);
  const shape = {
    outputs: 8,
    inputsPerGroup: 10,
    groups: 2,
    kernel: [3, 3],
    strides: [2, 1],
    dilations: [1, 2],
    pads: [1, 2, 0, 1],
    bias: true,
  } as const;
  const layer = randomLayer(shape, random);
  const truth = randomLayer(shape, random);
  const inputDims = [12, 20, 11, 9];
  const input = normals(12 * 20 * 99, random, 0.5).map((value) => Math.max(0, value));
  const target = Float32Array.from(
    apply(layer, truth.weight, truth.bias, input, inputDims),
    (value) => value + random.normal(),
  );
  const dims = outputDims(layer, inputDims);
  for (const ridge of [0, 1e-2]) {
    const moments = createMoments(layer);
    await accumulate(moments, input, inputDims, target, dims);
    const { edit } = await refit(layer, moments, { ridge });
    const { pads, kernel, strides, dilations, groups, outputs } = layer;
    const spec = { inputDims, outputDims: dims, pads, kernel, strides, dilations, groups, outputs, ridge };
    const bytes = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer);
    const files = { 'spec.json': JSON.stringify(spec), x: bytes(input), y: bytes(target), w: bytes(layer.weight) };
    const wanted = runPython(SCRIPT, files) as { weight: number[]; constant: number[] };
    // Both are float64 solutions; the layer's are rounded to float32 (half a unit in the last place below 8).
    for (const [i, value] of wanted.weight.entries()) expect(Math.abs(edit.weight[i]! - value)).toBeLessThan(2 ** -22);
    for (const [i, value] of wanted.constant.entries()) expect(Math.abs(edit.bias![i]! - value)).toBeLessThan(2 ** -22);
  }
}, 60_000);
