import { stat } from 'node:fs/promises';
import type { CompressOptions, CompressResult } from '../../src/compress/api';
import { compress } from '../../src/compress/compress';
import type { Model } from '../../src/onnx/ir';
import { toModelBytes } from '../../src/onnx/save';
import { ModelBuilder } from '../support/modelBuilder';
import { accuracyOf, expectConsistent } from './support/checks';
import { toyNetwork } from './support/networks';
import { toyWorld, type ToyWorld } from './support/world';

jest.setTimeout(60_000);

let world: ToyWorld;
let original: Model;
beforeAll(async () => {
  world = await toyWorld();
  original = await toyNetwork('folded');
});
afterAll(() => world.remove());

function run(options: Partial<CompressOptions>, model = original): Promise<CompressResult> {
  const { data, validation } = world;
  const fixed = { data, validation, recover: 'none', criterion: 'l1', device: 'cpu', threads: 2 } as const;
  return compress(toModelBytes(model), { ...fixed, ...options });
}

test('parameters', async () => {
  const result = await run({ params: 0.4 });
  expect(result.after.parameters).toBeLessThanOrEqual(0.4 * result.before.parameters);
  expect(result).not.toHaveProperty('unmet');
});

test('bytes, of the file that is written', async () => {
  const bytes = 15_000;
  const output = world.at('bytes.onnx');
  const result = await run({ bytes, output, recover: 'refit' });
  expect(result.before.bytes).toBeGreaterThan(bytes);
  expect(result).not.toHaveProperty('unmet');
  expect((await stat(output)).size).toBeLessThanOrEqual(bytes);
});

test('several at once', async () => {
  const result = await run({ flops: 0.9, params: 0.5, bytes: 1_000_000 });
  expect(result.after.macs).toBeLessThanOrEqual(0.9 * result.before.macs);
  expect(result.after.parameters).toBeLessThanOrEqual(0.5 * result.before.parameters);
});

test('a budget that is met already cuts nothing', async () => {
  const result = await run({ flops: 1 });
  expect(result.removed).toEqual({ layers: [], channels: {} });
  expect(result.after).toMatchObject({
    macs: result.before.macs,
    top1: result.before.top1,
    bytes: result.before.bytes,
  });
  expect(Buffer.from(result.model.bytes).equals(toModelBytes(original).bytes)).toBe(true);
});

test('one that can not be met gives every group its floor, the model, and the reason', async () => {
  const output = world.at('smallest.onnx');
  const result = await run({ flops: 0.001, params: 0.5, output });
  expect(result.unmet).toMatch(
    /every channel group at its floor .* [\d.]+ % of the multiply-accumulates instead of 0\.1 %$/,
  );
  expect(result.groups.map(({ kept }) => kept)).toEqual([2, 3, 3]);
  await expectConsistent(original, result, output, world.validationImages);
});

test('a network that can not be cut comes back whole, with the reason of every layer', async () => {
  const builder = new ModelBuilder();
  const conv = builder.conv(builder.input('input', ['N', 3, 8, 8]), 3, 4, 8);
  builder.output(builder.node('Flatten', [conv], {}, { outputs: ['logits'] }), ['N', 4]);
  const result = await run({ flops: 0.5 }, builder.build());
  expect(result.unmet).toContain('100.0 % of the multiply-accumulates instead of 50.0 %');
  expect(result.notCut).toMatchObject([{ name: 'Conv_0', reason: expect.stringContaining('output') as string }]);
  expect(result.after.macs).toBe(result.before.macs);
});

describe('accuracy that may be lost', () => {
  test('is not exceeded, and used', async () => {
    const output = world.at('drop.onnx');
    const result = await run({ maxDrop: 4, recover: 'refit', output, criterion: 'reconstruction' });
    expect(result).not.toHaveProperty('unmet');
    expect(result.before.top1 - result.after.top1).toBeLessThanOrEqual(0.04 + 1e-9);
    expect(result.after.macs).toBeLessThan(0.8 * result.before.macs);
    const model = await expectConsistent(original, result, output, world.validationImages);
    expect(await accuracyOf(model, world.validationImages)).toBeGreaterThan(result.before.top1 - 0.046);
  });

  test('goes before a size budget, and says how far it came', async () => {
    const result = await run({ maxDrop: 5, flops: 0.05, recover: 'refit' });
    expect(result.unmet).toMatch(
      /^within 5\.00 points of accuracy only [\d.]+ % of the multiply-accumulates were reached$/,
    );
    expect(result.before.top1 - result.after.top1).toBeLessThanOrEqual(0.05 + 1e-9);
  });

  test('leaves a size budget alone that costs less', async () => {
    const result = await run({ maxDrop: 20, flops: 0.8, recover: 'refit' });
    expect(result).not.toHaveProperty('unmet');
    expect(result.after.macs / result.before.macs).toBeLessThanOrEqual(0.8);
    expect(result.after.macs / result.before.macs).toBeGreaterThan(0.6);
  });
});

describe('options that can not be meant', () => {
  test.each<[string, Partial<CompressOptions>]>([
    ['no budget', {}],
    ['nothing to keep', { flops: 0 }],
    ['more than everything', { params: 1.1 }],
    ['no number', { flops: NaN }],
    ['half a byte', { bytes: 0.5 }],
    ['a negative drop', { maxDrop: -1 }],
    ['an unknown criterion', { flops: 0.5, criterion: 'best' as never }],
    ['an unknown recovery', { flops: 0.5, recover: 'hope' as never }],
    ['an unknown allocation', { flops: 0.5, allocation: 'fair' as never }],
    ['no samples', { flops: 0.5, samples: 0 }],
    ['half a batch', { flops: 0.5, batchSize: 1.5 }],
    ['an unknown device', { flops: 0.5, device: 'tpu' as never }],
    ['fewer than no threads', { flops: 0.5, threads: -1 }],
    ['a broken seed', { flops: 0.5, seed: 0.5 }],
  ])('%s', async (_, options) => {
    await expect(run({ ...options, data: world.at('nowhere') })).rejects.toMatchObject({
      name: 'SieveError',
      code: 'ERR_OPTION',
      message: expect.stringMatching(/^Expected .* but received /) as string,
    });
  });
});
