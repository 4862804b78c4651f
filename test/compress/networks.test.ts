import type { CompressOptions } from '../../src/compress/api';
import { compress } from '../../src/compress/compress';
import type { Model } from '../../src/onnx/ir';
import { toModelBytes } from '../../src/onnx/save';
import { hasPython, onnxProblems } from '../support/python';
import { expectConsistent } from './support/checks';
import { channelsLast, halfPrecision, toyNetwork } from './support/networks';
import { PIXEL_FLAGS, toyImages, writeImageFolder } from './support/toyData';
import { toyWorld, type ToyWorld } from './support/world';

jest.setTimeout(60_000);

let world: ToyWorld;
const written: Record<string, Uint8Array> = {};

beforeAll(async () => {
  world = await toyWorld(400, 300);
});
afterAll(() => world.remove());

interface Case {
  readonly name: string;
  readonly network: () => Promise<Model>;
  readonly options: Pick<CompressOptions, 'criterion' | 'allocation'>;
  /** What may be lost, as a fraction, with a re-fit at this budget. */
  readonly drop: number;
}

const CASES: readonly Case[] = [
  { name: 'residual', network: () => toyNetwork('residual'), options: { criterion: 'reconstruction' }, drop: 0.1 },
  { name: 'folded', network: () => toyNetwork('folded'), options: { criterion: 'l1' }, drop: 0.1 },
  { name: 'vgg', network: () => toyNetwork('vgg'), options: { criterion: 'reconstruction' }, drop: 0.1 },
  { name: 'concat', network: () => toyNetwork('concat'), options: { criterion: 'reconstruction' }, drop: 0.1 },
  { name: 'depthwise', network: () => toyNetwork('depthwise'), options: { criterion: 'si-rank' }, drop: 0.1 },
  { name: 'fixed batch', network: () => toyNetwork('vgg', { batch: 16 }), options: { criterion: 'si' }, drop: 0.3 },
  {
    name: 'half precision',
    network: async () => halfPrecision(await toyNetwork('residual')),
    options: { criterion: 'l1' },
    drop: 0.15,
  },
  {
    name: 'channels last',
    network: async () => channelsLast(await toyNetwork('folded', { opset: 13 })),
    options: { criterion: 'csi', allocation: 'uniform' },
    drop: 0.2,
  },
];

test.each(CASES)('compresses the $name network to what it says', async ({ name, network, options, drop }) => {
  const asked = { criterion: options.criterion };
  const original = await network();
  const output = world.at(`${name}.onnx`);
  const result = await compress(toModelBytes(original), {
    ...options,
    data: world.data,
    validation: world.validation,
    output,
    flops: 0.6,
    samples: 300,
    device: 'cpu',
    threads: 2,
  });
  expect(result).toMatchObject({ ...asked, output, calibrationSamples: 300, device: 'cpu' });
  expect(result).not.toHaveProperty('unmet');
  expect(result.after.macs).toBeLessThanOrEqual(0.6 * result.before.macs);
  expect(result.before.top1).toBeGreaterThan(0.6);
  expect(result.after.top1).toBeGreaterThan(result.before.top1 - drop);
  await expectConsistent(original, result, output, world.validationImages);
  written[`${name}.onnx`] = result.model.bytes;
});

test('takes a folder of images, and sets samples apart by itself', async () => {
  const path = await writeImageFolder(world.at('images'), toyImages(200, 4));
  const original = toModelBytes(await toyNetwork('folded'));
  const messages: string[] = [];
  const result = await compress(original, {
    data: { path, ...PIXEL_FLAGS },
    flops: 0.7,
    criterion: 'l1',
    device: 'cpu',
    onMessage: (text) => messages.push(text),
  });
  expect(result).toMatchObject({ validationSamples: 20, calibrationSamples: 180 });
  expect(result.before.top1).toBeGreaterThan(0.7);
  expect(messages.some((text) => text.includes('200 samples of 4 classes'))).toBe(true);
  expect(result).not.toHaveProperty('output');
});

test('what was written passes the ONNX checker', () => {
  if (!hasPython('onnx')) return;
  expect(Object.keys(written)).toHaveLength(CASES.length);
  expect(onnxProblems(written)).toEqual({});
});
