import { setTimeout as sleep } from 'node:timers/promises';
import { isSieveError } from '../../../src/errors';
import { decodeCheckpoint, encodeCheckpoint } from '../../../src/recovery/training/checkpoint';
import { createAugmentation } from '../../../src/recovery/training/augmentation';
import type { TrainingHooks } from '../../../src/recovery/training/hooks';
import { train, type TrainOptions } from '../../../src/recovery/training/loop';
import type { TrainingPlan } from '../../../src/recovery/training/plan';
import { createSchedule } from '../../../src/recovery/training/schedule';
import { createSampler } from '../../../src/recovery/training/sampler';
import { writeTargets } from '../../../src/recovery/training/targets';
import type { ProgressEvent } from '../../../src/types';
import { logisticHooks, PLAN } from './logistic';

const STEPS_PER_EPOCH = 6;

/** The SieveError that training ends with. */
async function failure(plan: TrainingPlan, hooks: TrainingHooks, options?: TrainOptions) {
  const error: unknown = await train(plan, hooks, options).then(
    () => new Error('training succeeded'),
    (reason: unknown) => reason,
  );
  if (!isSieveError(error)) throw error;
  return error;
}

test('training learns, and reports every epoch', async () => {
  const hooks = logisticHooks();
  const before = await hooks.validate!(undefined);
  const { history, epoch, stoppedEarly } = await train(PLAN, hooks);
  expect({ epoch, stoppedEarly }).toEqual({ epoch: 5, stoppedEarly: false });
  expect(history.map((record) => record.epoch)).toEqual([1, 2, 3, 4, 5]);
  expect(before.top1).toBeLessThan(0.5);
  expect(history.at(-1)!.validation!.top1).toBeGreaterThan(0.75);
  expect(hooks.losses).toHaveLength(5 * STEPS_PER_EPOCH);
  const firstEpoch = hooks.losses.slice(0, STEPS_PER_EPOCH);
  expect(history[0]!.loss).toBeCloseTo(firstEpoch.reduce((sum, loss) => sum + loss, 0) / STEPS_PER_EPOCH, 12);
  expect(history.at(-1)!.learningRate).toBeCloseTo(0.2 / 25 / 1e4, 12);
  expect(hooks.checkpoints).toHaveLength(5);
});

test('a run resumed from the bytes of any checkpoint is the uninterrupted one, bit for bit', async () => {
  for (const plan of [PLAN, { ...PLAN, classBalanced: true, keepBest: 'loss' as const, patience: 2 }]) {
    const whole = logisticHooks();
    const { history } = await train(plan, whole);
    for (const [index, checkpoint] of whole.checkpoints.entries()) {
      const resumed = logisticHooks();
      const result = await train(plan, resumed, { resume: decodeCheckpoint(encodeCheckpoint(checkpoint)) });
      expect(resumed.losses).toEqual(whole.losses.slice((index + 1) * STEPS_PER_EPOCH));
      expect(result.history).toEqual(history);
      expect(await resumed.readState()).toEqual(await whole.readState());
    }
  }
});

test('an aborted run goes on from its last epoch', async () => {
  const whole = logisticHooks();
  await train(PLAN, whole);
  const controller = new AbortController();
  const hooks = logisticHooks();
  const error = await failure(PLAN, hooks, {
    signal: controller.signal,
    onProgress: () => {
      if (hooks.losses.length === 2 * STEPS_PER_EPOCH + 3) controller.abort();
    },
  });
  expect(error.code).toBe('ERR_CANCELLED');
  expect(hooks.losses).toHaveLength(2 * STEPS_PER_EPOCH + 3);
  expect(hooks.checkpoints).toHaveLength(2);
  const resumed = logisticHooks();
  await train(PLAN, resumed, { resume: hooks.checkpoints.at(-1)! });
  expect([...hooks.losses.slice(0, 2 * STEPS_PER_EPOCH), ...resumed.losses]).toEqual(whole.losses);
});

test('an aborted signal starts nothing, and a load that ends by it counts as cancelled', async () => {
  const hooks = logisticHooks();
  expect((await failure(PLAN, hooks, { signal: AbortSignal.abort() })).code).toBe('ERR_CANCELLED');
  expect(hooks.losses).toEqual([]);
  const controller = new AbortController();
  const hanging: TrainingHooks = {
    ...hooks,
    loadBatch: (_, signal) => sleep(60_000, new Float32Array(0), { signal }),
  };
  setImmediate(() => controller.abort());
  expect((await failure(PLAN, hanging, { signal: controller.signal })).code).toBe('ERR_CANCELLED');
});

test('the next batch is made while a step runs, from buffers that no step still reads', async () => {
  const log: string[] = [];
  const hooks = logisticHooks();
  let loads = 0;
  let steps = 0;
  const slow: TrainingHooks = {
    ...hooks,
    loadBatch: async (positions, signal, output) => {
      log.push(`load ${++loads}`);
      return hooks.loadBatch(positions, signal, output);
    },
    steps: async (batch, rates) => {
      const kept = [batch.images.slice(), batch.targets.slice()];
      log.push(`begin ${++steps}`);
      await sleep(2);
      log.push(`end ${steps}`);
      expect([batch.images, batch.targets]).toEqual(kept);
      return hooks.steps(batch, rates);
    },
  };
  const plan = { ...PLAN, epochs: 2 };
  await train(plan, slow);
  expect(log).toHaveLength(3 * 12);
  for (let step = 1; step < 12; step++) {
    expect(log.indexOf(`load ${step + 1}`)).toBeGreaterThan(log.indexOf(`begin ${step}`));
    expect(log.indexOf(`load ${step + 1}`)).toBeLessThan(log.indexOf(`end ${step}`));
  }
  const plain = logisticHooks();
  await train(plan, plain);
  expect(hooks.losses).toEqual(plain.losses);
});

test('every step sees the batch of its epoch and step', async () => {
  const hooks = logisticHooks();
  const sampler = createSampler(PLAN);
  const augmentation = createAugmentation(PLAN.augmentation!, PLAN.format, PLAN.normalization, PLAN.seed);
  const { stepsPerEpoch } = sampler;
  await train(
    { ...PLAN, epochs: 3 },
    {
      ...hooks,
      steps: async (batch, rates) => {
        const epoch = Math.floor(hooks.losses.length / stepsPerEpoch);
        const step = hooks.losses.length % stepsPerEpoch;
        const positions = sampler.order(epoch).slice(step * PLAN.batchSize, (step + 1) * PLAN.batchSize);
        const loaded = await hooks.loadBatch(positions, new AbortController().signal, new Float32Array(16 * 48));
        const wanted = { images: new Float32Array(loaded.length), targets: new Float32Array(PLAN.batchSize * 3) };
        writeTargets(PLAN.labels, positions, 3, 0.1, wanted.targets);
        augmentation.apply(loaded, wanted.targets, { epoch, step }, wanted.images);
        expect(batch).toEqual({ ...wanted, teacherLogits: undefined });
        return hooks.steps(batch, rates);
      },
    },
  );
  expect(hooks.losses).toHaveLength(3 * stepsPerEpoch);
});

test('a load that is under way when a step fails is told to end', async () => {
  const hooks = logisticHooks();
  const boom = new Error('no step');
  let loads = 0;
  let told = false;
  const broken: TrainingHooks = {
    ...hooks,
    loadBatch: async (positions, signal, output) => {
      if (++loads === 2) await sleep(50_000, undefined, { signal }).finally(() => (told = signal.aborted));
      return hooks.loadBatch(positions, signal, output);
    },
    steps: () => Promise.reject(boom),
  };
  await expect(train(PLAN, broken)).rejects.toBe(boom);
  expect({ loads, told }).toEqual({ loads: 2, told: true });
}, 20_000);

test('a step may give its arrays away', async () => {
  const hooks = logisticHooks();
  const plain = logisticHooks();
  await train(PLAN, plain);
  await train(PLAN, {
    ...hooks,
    steps: ({ images, targets }, rates) => {
      const moved = structuredClone(
        { images, targets },
        { transfer: [images.buffer as ArrayBuffer, targets.buffer as ArrayBuffer] },
      );
      expect(images).toHaveLength(0);
      return hooks.steps({ ...moved, teacherLogits: undefined }, rates);
    },
  });
  expect(hooks.losses).toEqual(plain.losses);
});

describe('several steps in a run', () => {
  test.each([2, 4, 6, 50])('of at most %i are those of single ones, also after a resume', async (stepsPerRun) => {
    const plan: TrainingPlan = { ...PLAN, epochs: 3, classBalanced: true };
    const single = logisticHooks();
    const whole = await train(plan, single);
    const hooks = logisticHooks();
    const counts: number[] = [];
    const several: TrainingHooks = {
      ...hooks,
      stepsPerRun,
      steps: (batches, rates) => {
        counts.push(rates.length);
        expect(batches.images).toHaveLength(rates.length * 16 * 48);
        return hooks.steps(batches, rates);
      },
    };
    expect(await train(plan, several)).toEqual(whole);
    const ofEpoch = { 2: [2, 2, 2], 4: [4, 2], 6: [6], 50: [6] }[stepsPerRun]!;
    expect(counts).toEqual([...ofEpoch, ...ofEpoch, ...ofEpoch]);
    expect(hooks.losses).toEqual(single.losses);
    expect(await hooks.readState()).toEqual(await single.readState());

    const resumed = { ...logisticHooks(), stepsPerRun };
    await train(plan, resumed, { resume: single.checkpoints[0]! });
    expect(await resumed.readState()).toEqual(await single.readState());
  });

  test('load their batches while those before run, and get teacher, rates and progress one by one', async () => {
    const log: string[] = [];
    const hooks = logisticHooks();
    const events: ProgressEvent[] = [];
    let nowMs = 0;
    let loads = 0;
    const rates: number[] = [];
    await train(
      { ...PLAN, epochs: 2 },
      {
        ...hooks,
        stepsPerRun: 4,
        loadBatch: (positions, signal, output) => {
          log.push(`load ${++loads}`);
          return hooks.loadBatch(positions, signal, output);
        },
        teacherLogits: (images) => Promise.resolve(new Float32Array(16 * 3).fill(images[0]!)),
        steps: async (batches, ratesOfSteps) => {
          rates.push(...ratesOfSteps.map(({ learningRate }) => learningRate));
          for (let step = 0; step < ratesOfSteps.length; step++) {
            const ofStep = batches.teacherLogits!.subarray(step * 48, (step + 1) * 48);
            expect(ofStep).toEqual(new Float32Array(48).fill(batches.images[step * 16 * 48]!));
          }
          log.push('begin');
          await sleep(20);
          log.push('end');
          nowMs += 100 * ratesOfSteps.length;
          return hooks.steps(batches, ratesOfSteps);
        },
      },
      { onProgress: (event) => events.push(event), now: () => nowMs },
    );
    const loaded = (from: number, to: number): string[] =>
      Array.from({ length: to - from + 1 }, (_, index) => `load ${from + index}`);
    expect(log).toEqual([
      ...[...loaded(1, 4), 'begin', ...loaded(5, 6), 'end'],
      ...['begin', ...loaded(7, 10), 'end'],
      ...['begin', ...loaded(11, 12), 'end'],
      ...['begin', 'end'],
    ]);
    const schedule = createSchedule(PLAN.schedule, { epochs: 2, stepsPerEpoch: 6 });
    expect(rates).toEqual(Array.from({ length: 12 }, (_, step) => schedule(step).learningRate));
    expect(events).toHaveLength(13);
    for (const [index, event] of events.slice(0, 12).entries()) {
      expect(event.fraction).toBeCloseTo((index + 1) / 12, 12);
      expect(event.imagesPerSecond).toBeCloseTo(160, 6);
      expect(event.secondsLeft).toBeCloseTo((11 - index) / 10, 6);
      expect(event.message).toMatch(index < 6 ? /^epoch 1\/2/ : /^epoch 2\/2/);
    }
  });

  test('stop where one of them has no loss, by its own number; an abort stops after them', async () => {
    const hooks = logisticHooks();
    const events: ProgressEvent[] = [];
    const several: TrainingHooks = {
      ...hooks,
      stepsPerRun: 4,
      steps: async (batches, rates) => {
        const { steps } = await hooks.steps(batches, rates);
        const broken =
          hooks.losses.length === 10 ? [steps[0]!, steps[1]!, { ...steps[2]!, loss: NaN }, steps[3]!] : steps;
        return { steps: broken };
      },
    };
    const schedule = createSchedule(PLAN.schedule, { epochs: 5, stepsPerEpoch: 6 });
    const error = await failure(PLAN, several, { onProgress: (event) => events.push(event) });
    expect(error.message).toBe(
      'Expected a finite loss for training at step 3 of 6 in epoch 2 of 5 ' +
        `(learning rate ${schedule(8).learningRate}) but received NaN`,
    );
    expect(events).toHaveLength(8);
    expect(hooks.checkpoints).toHaveLength(1);

    const controller = new AbortController();
    const stopped = logisticHooks();
    const options = { signal: controller.signal, onProgress: () => controller.abort() };
    expect((await failure(PLAN, { ...stopped, stepsPerRun: 4 }, options)).code).toBe('ERR_CANCELLED');
    expect(stopped.losses).toHaveLength(4);
    expect((await failure(PLAN, { ...stopped, stepsPerRun: 0 })).code).toBe('ERR_OPTION');
  });
});

describe('the arrays of batches', () => {
  /** Hooks that transfer what they are given, and how many of the arrays of images had been given back before. */
  function givingHooks(stepsPerRun: number, returns: boolean) {
    const hooks = logisticHooks();
    const returnedBuffers = new Set<ArrayBufferLike>();
    const counts = { runs: 0, reused: 0 };
    const giving: TrainingHooks = {
      ...hooks,
      stepsPerRun,
      teacherLogits: () => Promise.resolve(new Float32Array(48)),
      steps: async (batches, rates) => {
        counts.runs++;
        if (returnedBuffers.has(batches.images.buffer)) counts.reused++;
        const given = [batches.images, batches.targets, batches.teacherLogits!];
        const transfer = given.map(({ buffer }) => buffer as ArrayBuffer);
        const [images, targets, teacherLogits] = structuredClone(given, { transfer });
        const returned = { images: images!, targets: targets!, teacherLogits };
        const { steps } = await hooks.steps(returned, rates);
        returnedBuffers.add(images!.buffer);
        return { steps, ...(returns ? { returned } : {}) };
      },
    };
    return { hooks, giving, counts };
  }

  test.each([1, 4])('come back from the steps and are filled again (%i steps a run)', async (stepsPerRun) => {
    for (const augmentation of [PLAN.augmentation, undefined]) {
      const plan = { ...PLAN, epochs: 4, augmentation };
      const plain = logisticHooks();
      await train(plan, plain);
      for (const returns of [true, false]) {
        const { hooks, giving, counts } = givingHooks(stepsPerRun, returns);
        await train(plan, giving);
        expect(hooks.losses).toEqual(plain.losses);
        expect(counts.runs).toBe(4 * Math.ceil(STEPS_PER_EPOCH / stepsPerRun));
        // New ones: of two runs that are under way at once, and one for images as stored.
        if (returns) expect(counts.runs - counts.reused).toBeLessThanOrEqual(3);
        else expect(counts.reused).toBe(0);
      }
    }
  });

  test('may be those of a hook that loads into its own', async () => {
    const plain = logisticHooks();
    await train(PLAN, plain);
    const hooks = logisticHooks();
    await train(PLAN, {
      ...hooks,
      loadBatch: async (positions, signal, output) => (await hooks.loadBatch(positions, signal, output)).slice(),
    });
    expect(hooks.losses).toEqual(plain.losses);
  });
});

test('a teacher sees the images as augmented, and must have as many logits', async () => {
  const hooks = logisticHooks();
  const seen: Float32Array[] = [];
  const taught: TrainingHooks = {
    ...hooks,
    teacherLogits: (images) => {
      seen.push(images.slice());
      return Promise.resolve(new Float32Array(16 * 3).fill(seen.length));
    },
    steps: (batch, rates) => {
      expect(batch.images).toEqual(seen[hooks.losses.length]);
      expect(batch.teacherLogits).toEqual(new Float32Array(16 * 3).fill(hooks.losses.length + 1));
      return hooks.steps(batch, rates);
    },
  };
  await train({ ...PLAN, epochs: 1 }, taught);
  expect(seen).toHaveLength(STEPS_PER_EPOCH);

  const wrong = { ...logisticHooks(), teacherLogits: () => Promise.resolve(new Float32Array(16 * 4)) };
  const error = await failure(PLAN, wrong);
  expect(error).toMatchObject({
    code: 'ERR_SHAPE',
    message: "Expected 48 values for the teacher's logits but received 64",
    remedy: 'Choose a teacher with the same classes.',
  });
  const short = { ...logisticHooks(), loadBatch: () => Promise.resolve(new Float32Array(5)) };
  expect((await failure(PLAN, short)).message).toBe('Expected 768 values for a batch of images but received 5');
});

test('a loss that is no number stops with its place and a hint; the last checkpoint is good', async () => {
  for (const [field, value, what] of [
    ['loss', NaN, 'a finite loss'],
    ['loss', Infinity, 'a finite loss'],
    ['gradientNorm', NaN, 'a finite gradient'],
  ] as const) {
    const hooks = logisticHooks();
    const plan: TrainingPlan = { ...PLAN, schedule: { kind: 'constant', learningRate: 0.25 } };
    const error = await failure(plan, {
      ...hooks,
      steps: async (batch, rates) => {
        const { steps } = await hooks.steps(batch, rates);
        return { steps: hooks.losses.length === STEPS_PER_EPOCH + 2 ? [{ ...steps[0]!, [field]: value }] : steps };
      },
    });
    expect(error.code).toBe('ERR_NON_FINITE');
    expect(error.message).toBe(
      `Expected ${what} for training at step 2 of 6 in epoch 2 of 5 (learning rate 0.25) but received ${value}`,
    );
    expect(error.remedy).toMatch(/^Lower the learning rate, clip .* The checkpoint after epoch 1 is good/);
    expect(hooks.checkpoints).toHaveLength(1);
    expect(Object.values(hooks.checkpoints[0]!.state).every((values) => values.every(Number.isFinite))).toBe(true);
  }
});

test('weights and validation losses that are no numbers make no checkpoint', async () => {
  const hooks = logisticHooks();
  const brokenState = { momentum: new Float32Array(3), weight: Float32Array.of(1, -Infinity) };
  const byState = await failure(PLAN, { ...hooks, readState: () => Promise.resolve(brokenState) });
  expect(byState.code).toBe('ERR_NON_FINITE');
  expect(byState.message).toMatch(/finite values of "weight" for training at step 6 of 6 in epoch 1 of 5/);
  expect(byState.remedy).not.toMatch(/checkpoint/);
  const byLoss = await failure(PLAN, { ...hooks, validate: () => Promise.resolve({ loss: NaN, top1: 0.1 }) });
  expect(byLoss).toMatchObject({ code: 'ERR_NON_FINITE' });
  expect(hooks.checkpoints).toEqual([]);
});

/** Validation results that are given instead of computed. */
function scripted(results: readonly (readonly [loss: number, top1: number])[]) {
  const hooks = logisticHooks();
  let epoch = 0;
  return {
    ...hooks,
    validate: () => {
      const [loss, top1] = results[epoch++]!;
      return Promise.resolve({ loss, top1 });
    },
  };
}

test('patience ends the run, and the best epoch comes back', async () => {
  const results = [
    [0.9, 0.5],
    [0.7, 0.5],
    [0.8, 0.6],
    [0.7, 0.6],
    [0.1, 0.9],
  ] as const;
  for (const [keepBest, best] of [
    ['loss', 2],
    ['top1', 3],
    [undefined, 4],
  ] as const) {
    const hooks = scripted(results);
    const { history, epoch, stoppedEarly } = await train({ ...PLAN, patience: 2, keepBest }, hooks);
    expect({ epoch, stoppedEarly, epochs: history.length }).toEqual({ epoch: best, stoppedEarly: true, epochs: 4 });
    expect(await hooks.readState()).toEqual(hooks.checkpoints[best - 1]!.state);
    expect(hooks.checkpoints.at(-1)!.best).toEqual(keepBest && hooks.checkpoints[best - 1]!.state);

    // Resumed after its end, it does nothing and holds the same.
    const again = scripted([]);
    const resumed = await train({ ...PLAN, patience: 2, keepBest }, again, { resume: hooks.checkpoints.at(-1)! });
    expect(resumed).toEqual({ history, epoch, stoppedEarly });
    expect(again.losses).toEqual([]);
    expect(await again.readState()).toEqual(await hooks.readState());
  }
});

test('failures of hooks come out as they are, and nothing runs afterwards', async () => {
  for (const name of ['loadBatch', 'steps', 'validate', 'readState', 'saveCheckpoint'] as const) {
    let running = 0;
    const hooks = logisticHooks();
    const boom = new Error(`no ${name}`);
    const slowLoad: TrainingHooks = {
      ...hooks,
      loadBatch: async (positions, signal, output) => {
        running++;
        await sleep(1);
        running--;
        if (name === 'loadBatch' && hooks.losses.length === 2) throw boom;
        return hooks.loadBatch(positions, signal, output);
      },
    };
    const broken = name === 'loadBatch' ? slowLoad : { ...slowLoad, [name]: () => Promise.reject(boom) };
    await expect(train(PLAN, broken)).rejects.toBe(boom);
    expect(running).toBe(0);
  }
});

test('progress carries smoothed measures and the time left', async () => {
  const events: ProgressEvent[] = [];
  let nowMs = 0;
  const hooks = logisticHooks();
  await train(
    { ...PLAN, epochs: 2 },
    {
      ...hooks,
      steps: (batch, rates) => {
        nowMs += 100;
        return hooks.steps(batch, rates);
      },
    },
    { onProgress: (event) => events.push(event), now: () => nowMs },
  );
  expect(events).toHaveLength(13);
  expect(events[0]).toEqual({
    stage: 'train',
    fraction: 1 / 12,
    message: expect.stringMatching(/^epoch 1\/2, loss \d\.\d{3}, .* % right, 160 images\/s, 2 s left$/) as string,
    loss: expect.closeTo(hooks.losses[0]!, 12) as number,
    accuracy: expect.any(Number) as number,
    imagesPerSecond: expect.closeTo(160, 6) as number,
    secondsLeft: expect.closeTo(1.1, 6) as number,
  });
  expect(events[11]).toMatchObject({ fraction: 1, secondsLeft: 0 });
  const seen = hooks.losses.slice(0, 12);
  expect(events[11]!.loss).toBeGreaterThan(Math.min(...seen));
  expect(events[11]!.loss).toBeLessThan(Math.max(...seen));
  expect(events[12]).toEqual({ stage: 'train', fraction: 1 });
});

test('what can not be trained is refused before the first batch', async () => {
  const hooks = logisticHooks();
  const refused: readonly [Partial<TrainingPlan>, string][] = [
    [{ epochs: 0 }, 'ERR_OPTION'],
    [{ batchSize: 101 }, 'ERR_DATA_MISMATCH'],
    [{ classes: 2 }, 'ERR_LABELS'],
    [{ classes: 0 }, 'ERR_OPTION'],
    [{ labelSmoothing: 1 }, 'ERR_OPTION'],
    [{ patience: 0 }, 'ERR_OPTION'],
    [{ keepBest: 'top5' as 'top1' }, 'ERR_OPTION'],
    [{ seed: NaN }, 'ERR_OPTION'],
    [{ schedule: { kind: 'constant', learningRate: -1 } }, 'ERR_OPTION'],
    [{ augmentation: { flip: 2 } }, 'ERR_OPTION'],
    [{ normalization: { scale: 0, mean: [0, 0, 0], std: [1, 1, 1] } }, 'ERR_OPTION'],
  ];
  for (const [change, code] of refused) {
    expect([change, (await failure({ ...PLAN, ...change }, hooks)).code]).toEqual([change, code]);
  }
  const blind: TrainingHooks = { ...hooks, validate: undefined };
  for (const change of [{ patience: 1 }, { keepBest: 'loss' as const }]) {
    expect((await failure({ ...PLAN, ...change }, blind)).code).toBe('ERR_OPTION');
  }
  expect(hooks.losses).toEqual([]);
});
