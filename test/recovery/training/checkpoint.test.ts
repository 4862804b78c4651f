import { createHash } from 'node:crypto';
import {
  assertResumable,
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
} from '../../../src/recovery/training/checkpoint';
import { train } from '../../../src/recovery/training/loop';
import { describePlan, type TrainingPlan } from '../../../src/recovery/training/plan';
import { codeOf } from '../../support/errors';
import { logisticHooks, PLAN } from './logistic';

const STATE = { 'conv.weight': Float32Array.of(1, -0, 1e-45, 3.4e38), empty: new Float32Array(0) };
const BEST = { 'conv.weight': Float32Array.of(4, 3, 2, 1), empty: new Float32Array(0) };
const HISTORY = [
  { epoch: 1, loss: 0.1 + 0.2, accuracy: 1 / 3, learningRate: 1e-7, validation: { loss: 0.7, top1: 0.2 } },
  { epoch: 2, loss: 0.2, accuracy: 0.5, learningRate: 1e-8, validation: { loss: 0.8, top1: 0.1 } },
];
const VALIDATED: TrainingPlan = { ...PLAN, keepBest: 'loss' };
const CHECKPOINT: Checkpoint = {
  model: PLAN.model,
  plan: describePlan(VALIDATED),
  history: HISTORY,
  state: STATE,
  best: BEST,
};

/** A file with another header, whose lengths and checksum are right. */
function withHeader(change: (header: Record<string, unknown>) => unknown, source = CHECKPOINT): Uint8Array {
  const bytes = Buffer.from(encodeCheckpoint(source));
  const length = bytes.readUInt32LE(12);
  const header = JSON.parse(bytes.toString('utf8', 16, 16 + length)) as Record<string, unknown>;
  const text = change(header);
  const changed = Buffer.from(typeof text === 'string' ? text : JSON.stringify(text), 'utf8');
  const prefix = Buffer.from(bytes.subarray(0, 16));
  prefix.writeUInt32LE(changed.length, 12);
  const contents = Buffer.concat([prefix, changed, bytes.subarray(16 + length, -32)]);
  return Buffer.concat([contents, createHash('sha256').update(contents).digest()]);
}

test('a checkpoint comes back exactly, from bytes at any offset', () => {
  for (const best of [undefined, STATE, BEST]) {
    const bytes = encodeCheckpoint({ ...CHECKPOINT, best });
    const shifted = new Uint8Array(bytes.length + 9).subarray(3, bytes.length + 3);
    shifted.set(bytes);
    const decoded = decodeCheckpoint(shifted);
    expect(decoded).toEqual({ ...CHECKPOINT, best });
    expect(Object.is(decoded.state['conv.weight']![1], -0)).toBe(true);
    expect(decoded.best === decoded.state).toBe(best === STATE);
  }
  const once = encodeCheckpoint({ ...CHECKPOINT, best: STATE }).length;
  const twice = encodeCheckpoint(CHECKPOINT).length;
  // 'own' is one letter shorter than 'same'.
  expect(twice - once).toBe(4 * 4 - 1);
});

test('names of any kind are kept', () => {
  const state = Object.fromEntries(['__proto__', 'größe/重み', ''].map((name) => [name, Float32Array.of(1)]));
  const decoded = decodeCheckpoint(encodeCheckpoint({ ...CHECKPOINT, state, best: undefined }));
  expect(Object.keys(decoded.state)).toEqual(Object.keys(state));
  expect(Object.getPrototypeOf(decoded.state)).toBe(Object.prototype);
});

test('a best state with other vectors is not written', () => {
  const best = { 'conv.weight': new Float32Array(3), empty: new Float32Array(0) };
  expect(codeOf(() => encodeCheckpoint({ ...CHECKPOINT, best }))).toBe('ERR_SHAPE');
  expect(codeOf(() => encodeCheckpoint({ ...CHECKPOINT, best: { ...BEST, more: new Float32Array(1) } }))).toBe(
    'ERR_SHAPE',
  );
});

test('every truncation, and every changed byte, is found', () => {
  const bytes = encodeCheckpoint(CHECKPOINT);
  const codes = new Set<unknown>();
  for (let length = 0; length < bytes.length; length++) {
    codes.add(codeOf(() => decodeCheckpoint(bytes.subarray(0, length))));
  }
  for (let position = 0; position < bytes.length; position++) {
    const changed = bytes.slice();
    changed[position]! ^= 1 << (position % 8);
    codes.add(codeOf(() => decodeCheckpoint(changed)));
  }
  const longer = new Uint8Array(bytes.length + 1);
  longer.set(bytes);
  codes.add(codeOf(() => decodeCheckpoint(longer)));
  expect([...codes]).toEqual(['ERR_DATA_UNREADABLE']);
});

test('other files and other versions are told apart', () => {
  const bytes = encodeCheckpoint(CHECKPOINT);
  expect(() => decodeCheckpoint(Buffer.from('not a checkpoint at all'))).toThrow(
    'Expected a checkpoint of a training run for the file but received "other data"',
  );
  expect(() => decodeCheckpoint(new Uint8Array(0))).toThrow('a checkpoint of a training run');
  expect(() => decodeCheckpoint(bytes.subarray(0, 20))).toThrow('bytes or more for a checkpoint but received 20');
  const next = bytes.slice();
  next[8] = 2;
  expect(() => decodeCheckpoint(next)).toThrow('Expected version 1 for a checkpoint but received 2');
  const huge = bytes.slice();
  huge.fill(255, 12, 16);
  expect(() => decodeCheckpoint(huge)).toThrow('the header of a checkpoint but received 4294967295');
});

test('headers that lie are refused, whatever their checksum', () => {
  const vectors = [
    { name: 'conv.weight', length: 4 },
    { name: 'empty', length: 0 },
  ];
  const changes: readonly ((header: Record<string, unknown>) => unknown)[] = [
    () => '{"model":',
    () => '"text"',
    () => '[]',
    () => 'null',
    (header) => ({ ...header, model: 3 }),
    (header) => ({ ...header, plan: null }),
    (header) => ({ ...header, plan: { epochs: 5 } }),
    (header) => ({ ...header, history: {} }),
    (header) => ({ ...header, history: [] }),
    (header) => ({ ...header, history: [{ ...HISTORY[0], loss: null }] }),
    (header) => ({ ...header, history: [{ ...HISTORY[0], validation: 1 }] }),
    (header) => ({ ...header, best: 'maybe' }),
    (header) => ({ ...header, best: 'same' }),
    (header) => ({ ...header, vectors: [vectors[0], { name: 'conv.weight', length: 0 }] }),
    (header) => ({ ...header, vectors: [{ name: 'conv.weight', length: 3 }, vectors[1]] }),
    (header) => ({ ...header, vectors: [{ name: 'conv.weight', length: 2 ** 52 }, vectors[1]] }),
    (header) => ({ ...header, vectors: [{ name: 'conv.weight', length: -4 }, vectors[1]] }),
    (header) => ({ ...header, vectors: [{ name: 'conv.weight', length: 0.5 }, vectors[1]] }),
    (header) => ({ ...header, vectors: [null] }),
  ];
  expect(codeOf(() => decodeCheckpoint(withHeader((header) => header)))).toBe('no error');
  changes.forEach((change, position) => {
    expect([position, codeOf(() => decodeCheckpoint(withHeader(change)))]).toEqual([position, 'ERR_DATA_UNREADABLE']);
  });
});

test('another model, another plan and another history are refused, and the difference is named', () => {
  expect(codeOf(() => assertResumable(CHECKPOINT, VALIDATED))).toBe('no error');
  expect(() => assertResumable({ ...CHECKPOINT, model: 'other' }, VALIDATED)).toThrow(
    expect.objectContaining({
      code: 'ERR_DATA_MISMATCH',
      message: 'Expected a checkpoint of model logistic for resuming but received "other"',
    }) as Error,
  );
  expect(() => assertResumable(CHECKPOINT, { ...VALIDATED, batchSize: 8, seed: 12 })).toThrow(
    expect.objectContaining({
      code: 'ERR_DATA_MISMATCH',
      message:
        'Expected a checkpoint of the same plan (batch size 8, seed 12) for resuming but received one of batch size 16, seed 11',
    }) as Error,
  );
  const changes: readonly Partial<TrainingPlan>[] = [
    { recipe: { optimizer: 'sgd', weightDecay: 1e-4 } },
    { epochs: 6 },
    { labels: PLAN.labels.map((label) => 2 - label) },
    { classes: 4 },
    { format: { ...PLAN.format, layout: 'NHWC' } },
    { normalization: { ...PLAN.normalization, scale: 1 } },
    { schedule: { kind: 'constant', learningRate: 0.2 } },
    { labelSmoothing: 0 },
    { augmentation: undefined },
    { classBalanced: true },
    { patience: 3 },
    { keepBest: 'top1' },
  ];
  for (const change of changes) {
    const code = codeOf(() => assertResumable(CHECKPOINT, { ...VALIDATED, ...change }));
    expect([change, code]).toEqual([change, 'ERR_DATA_MISMATCH']);
  }
  // The order in which options are written is no difference.
  const reordered = { ...VALIDATED, recipe: { weightDecay: 0, optimizer: 'sgd' } };
  expect(codeOf(() => assertResumable(CHECKPOINT, reordered))).toBe('no error');
  const histories: readonly Partial<Checkpoint>[] = [
    { history: [HISTORY[1]!] },
    { history: HISTORY.map((record) => ({ ...record, validation: undefined })) },
    { history: Array.from({ length: 6 }, (_, index) => ({ ...HISTORY[0]!, epoch: index + 1 })) },
    { best: undefined },
  ];
  for (const change of histories) {
    expect(codeOf(() => assertResumable({ ...CHECKPOINT, ...change }, VALIDATED))).toBe('ERR_DATA_UNREADABLE');
  }
});

test('a state that is not the session’s is refused before anything is written', async () => {
  const hooks = logisticHooks();
  await train({ ...PLAN, epochs: 1 }, hooks);
  const good = { ...hooks.checkpoints[0]!, plan: describePlan(PLAN) };
  const before = await hooks.readState();
  const { weight } = good.state as { weight: Float32Array };
  const cases = [
    [{ weight }, 'ERR_DATA_MISMATCH'],
    [{ ...good.state, weight: weight.subarray(1) }, 'ERR_DATA_MISMATCH'],
    [{ ...good.state, more: weight }, 'ERR_DATA_MISMATCH'],
    [{ ...good.state, weight: weight.map(() => NaN) }, 'ERR_NON_FINITE'],
  ] as const;
  for (const [state, code] of cases) {
    const resume: Checkpoint = { ...good, state };
    await expect(train(PLAN, hooks, { resume })).rejects.toMatchObject({ code });
  }
  const keeping: TrainingPlan = { ...PLAN, keepBest: 'loss' };
  for (const [best, code] of cases) {
    const resume: Checkpoint = { ...good, plan: describePlan(keeping), best };
    await expect(train(keeping, hooks, { resume })).rejects.toMatchObject({ code });
    const other: Checkpoint = { ...resume, state: best, best: good.state };
    await expect(train(keeping, hooks, { resume: other })).rejects.toMatchObject({ code });
  }
  expect(await hooks.readState()).toEqual(before);
  expect(hooks.losses).toHaveLength(6);
});
