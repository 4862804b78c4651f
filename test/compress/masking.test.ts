import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  checkEquivalence,
  cutChannels,
  inspect,
  listChannelGroups,
  listLinearLayers,
  maskChannels,
  maskFromKeptSlots,
  maskFromScores,
  type ChannelGroup,
  type ModelBytes,
} from '../../src/index';
import { parseModel } from '../../src/onnx/load';
import { toModelBytes } from '../../src/onnx/save';
import { createRandom } from '../../src/random';
import { codeOf } from '../support/errors';
import { ModelBuilder } from '../support/modelBuilder';
import { largestDifference, runModel, sampleInput } from '../support/runtime';
import * as networks from '../onnx/layers/networks';

jest.setTimeout(60_000);

const model: ModelBytes = toModelBytes(networks.residual());
const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-masking-'));
const path = join(folder, 'model.onnx');
writeFileSync(path, model.bytes);
let groups: readonly ChannelGroup[];
beforeAll(async () => {
  groups = await listChannelGroups(model);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const prunable = (): ChannelGroup[] => groups.filter((group) => group.prunable);
const randomScores = (): Record<string, Float64Array> => {
  const random = createRandom(3);
  return Object.fromEntries(
    prunable().map(({ id, size }) => [id, Float64Array.from({ length: size }, random.uniform)]),
  );
};

test('groups are plain values, the same from a file and from bytes, and those of inspect', async () => {
  expect(JSON.parse(JSON.stringify(groups))).toEqual(groups);
  expect(await listChannelGroups(path)).toEqual(groups);
  const { groups: inspected } = await inspect(model);
  expect(inspected.map(({ id, size }) => [id, size])).toEqual(groups.map(({ id, size }) => [id, size]));
  const layers = await listLinearLayers(path);
  const known = new Set(layers.map(({ node }) => node));
  expect(
    prunable()
      .flatMap(({ producers, consumers }) => [...producers, ...consumers])
      .every((node) => known.has(node)),
  ).toBe(true);
  for (const { id, size, members } of groups) {
    const own = members.find(({ tensor }) => tensor === id);
    expect(own?.slots.every((slot) => slot >= -1 && slot < size)).toBe(true);
  }
});

test('a mask from scores keeps the best of every group; the cut graph computes what the masked one does', async () => {
  const scores = randomScores();
  const mask = maskFromScores(groups, scores, 0.6);
  const cut = await cutChannels(model, mask);
  for (const { id, size } of prunable()) {
    const ranked = Array.from({ length: size }, (_, slot) => slot).sort(
      (left, right) => (scores[id]?.[right] ?? 0) - (scores[id]?.[left] ?? 0),
    );
    expect(cut.removed[id]).toEqual(ranked.slice(Math.ceil(0.6 * size)).sort((left, right) => left - right));
  }
  expect(cut.after.parameters).toBeLessThan(0.6 * cut.before.parameters);
  expect(cut.before).toMatchObject({ bytes: model.bytes.length });
  expect(cut.after).toMatchObject({ bytes: cut.model.bytes.length });

  const masked = await maskChannels(path, mask);
  const feeds = { input: sampleInput([3, 3, 8, 8]) };
  const [wanted, given] = await Promise.all([masked, cut].map((side) => runModel(parseModel(side.model.bytes), feeds)));
  expect(largestDifference(wanted?.get('logits')?.data ?? [], given?.get('logits')?.data ?? [0])).toBeLessThan(1e-5);
  const checked = await checkEquivalence(masked.model, cut.model, { samples: 3, seed: 5 });
  expect(checked).toMatchObject({ equal: true });
  expect(checked.relativeDifference).toBeLessThan(1e-5);
  const original = await checkEquivalence(model, cut.model);
  expect(original.equal).toBe(false);
  expect(original.relativeDifference).toBeGreaterThan(1e-2);
});

test('kept slots mean the same as the positions of a tensor that go', async () => {
  const [group] = prunable();
  if (group === undefined) throw new Error('no group');
  const stays = Array.from({ length: group.size - 2 }, (_, index) => index + 2);
  const bySlots = await cutChannels(model, maskFromKeptSlots(groups, { [group.id]: stays }));
  expect(bySlots.removed).toEqual({ [group.id]: [0, 1] });
  const own = group.members.find(({ slots }) => slots[0] === 0 && slots[1] === 1);
  const byTensor = await cutChannels(model, { [own?.tensor ?? '']: [0, 1] });
  expect(Buffer.compare(byTensor.model.bytes, bySlots.model.bytes)).toBe(0);
  const whole = await cutChannels(model, maskFromKeptSlots(groups, {}));
  expect([whole.removed, Buffer.compare(whole.model.bytes, model.bytes)]).toEqual([{}, 0]);
});

test('a number to keep may depend on the group, and equal scores go to the lower slot', () => {
  const scores = Object.fromEntries(prunable().map(({ id, size }) => [id, new Array<number>(size).fill(1)]));
  const [group] = prunable();
  const mask = maskFromScores(groups, { [group!.id]: scores[group!.id]! }, ({ size }) => size - 1);
  expect(Object.values(mask)).toEqual([[group!.size - 1]]);
});

test('models are written where it is said, and nothing is replaced without force', async () => {
  const mask = maskFromScores(groups, randomScores(), 0.5);
  const output = join(folder, 'cut.onnx');
  const cut = await cutChannels(path, mask, { output });
  expect(cut.output).toBe(output);
  expect(Buffer.compare(readFileSync(output), cut.model.bytes)).toBe(0);
  await expect(maskChannels(path, mask, { output })).rejects.toMatchObject({ code: 'ERR_OUTPUT_EXISTS' });
  expect((await maskChannels(path, mask, { output, force: true })).output).toBe(output);
  expect(await checkEquivalence(output, cut.model)).toMatchObject({ equal: true });
});

test('masks that make no sense are refused', async () => {
  const [group] = prunable();
  const frozen = groups.find((candidate) => !candidate.prunable);
  const id = group!.id;
  const slots = (length: number): number[] => Array.from({ length }, (_, slot) => slot);
  const refused = (make: () => unknown, message: RegExp): void => {
    expect(make).toThrow(message);
    expect(codeOf(make)).toBe('ERR_OPTION');
  };
  refused(() => maskFromKeptSlots(groups, { nowhere: [0] }), /the id of a channel group .* received "nowhere"/);
  refused(() => maskFromKeptSlots(groups, { [frozen!.id]: [0] }), /a channel group that can be cut/);
  refused(() => maskFromKeptSlots(groups, { [id]: [] }), /at least one slot to stay/);
  for (const slot of [-1, 0.5, group!.size]) refused(() => maskFromKeptSlots(groups, { [id]: [slot] }), /each once/);
  refused(() => maskFromKeptSlots(groups, { [id]: [1, 1] }), /each once/);
  refused(() => maskFromScores(groups, { [id]: [1] }, 0.5), /\d+ finite scores/);
  refused(() => maskFromScores(groups, { [id]: slots(group!.size).fill(NaN) }, 0.5), /\d+ finite scores/);
  for (const keep of [0, 1.5, NaN]) refused(() => maskFromScores(groups, {}, keep), /a fraction above 0/);
  refused(() => maskFromScores(groups, { [id]: slots(group!.size) }, () => 0), /a whole number from 1/);

  const all = { [id]: slots(group!.members.find(({ tensor }) => tensor === id)?.slots.length ?? 0) };
  const rejected = { code: 'ERR_OPTION' };
  await expect(cutChannels(model, all)).rejects.toMatchObject(rejected);
  await expect(maskChannels(model, { nowhere: [0] })).rejects.toMatchObject(rejected);
  await expect(cutChannels(model, { logits: [0] })).rejects.toMatchObject(rejected);
  await expect(cutChannels('nowhere.onnx', {})).rejects.toMatchObject({ code: 'ERR_MODEL_UNREADABLE' });
});

describe('checkEquivalence', () => {
  const linear = (size: number, options: { seed?: number; width?: number | string } = {}): ModelBytes => {
    const builder = new ModelBuilder({ seed: options.seed });
    const input = builder.input('input', ['N', 1, 1, options.width ?? 3]);
    builder.output(
      builder.node(
        'Reshape',
        [builder.node('MatMul', [input, builder.weights([3, size])]), builder.ints([-1, size])],
        {},
        { outputs: ['scores'] },
      ),
      ['N', size],
    );
    return { bytes: builder.bytes() };
  };

  test('takes values of its own for the input', async () => {
    const input = Float32Array.of(1, 0, 0, 0, 2, 0);
    expect(await checkEquivalence(linear(4), linear(4), { input })).toMatchObject({
      maxAbsoluteDifference: 0,
      equal: true,
    });
    expect((await checkEquivalence(linear(4), linear(4, { seed: 9 }), { input })).equal).toBe(false);
    const loose = await checkEquivalence(linear(4), linear(4, { seed: 9 }), { input, tolerance: 100 });
    expect(loose.equal).toBe(true);
  });

  test('says what does not fit', async () => {
    const refusal = (code: string) => expect.objectContaining({ code }) as Error;
    await expect(checkEquivalence(linear(4), linear(4), { input: new Float32Array(4) })).rejects.toThrow(
      refusal('ERR_SHAPE'),
    );
    await expect(checkEquivalence(linear(4), linear(5))).rejects.toThrow(refusal('ERR_SHAPE'));
    await expect(checkEquivalence(linear(4), model)).rejects.toThrow(refusal('ERR_MODEL_UNSUPPORTED'));
    await expect(checkEquivalence(linear(4, { width: 'W' }), linear(4))).rejects.toThrow(
      refusal('ERR_MODEL_UNSUPPORTED'),
    );
    await expect(checkEquivalence(linear(4), linear(4), { samples: 0 })).rejects.toThrow(refusal('ERR_OPTION'));
    await expect(checkEquivalence(linear(4), linear(4), { tolerance: -1 })).rejects.toThrow(refusal('ERR_OPTION'));
  });
});
