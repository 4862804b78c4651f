import { createTrainingSession, type TrainingSessionOptions } from '../../src/activations/trainingSession';
import type { TrainingSession } from '../../src/activations/trainingSession';
import { IDENTITY_MODEL } from '../../src/activations/trainingSessionWorker';
import { isSieveError } from '../../src/errors';
import { createSession } from '../../src/activations/session';
import { ModelBuilder } from '../support/modelBuilder';
import { REGRESSION, regressionStep, regressionStepInFloat64, waves } from './support/stepModels';

const { batch, inputs, outputs } = REGRESSION;
const stateLength = inputs * outputs;
const initialState = () => [
  { input: 'weights', output: 'weights_next', initial: waves(stateLength, 1) },
  { input: 'momentum', output: 'momentum_next', initial: new Float32Array(stateLength) },
];

function feedsOf(step: number, rate = 0.05) {
  return {
    images: { dims: [batch, inputs], data: waves(batch * inputs, 2 + step) },
    targets: { dims: [batch, outputs], data: waves(batch * outputs, 100 + step) },
    learning_rate: { dims: [1], data: Float32Array.of(rate) },
    momentum_factor: { dims: [1], data: Float32Array.of(0.9) },
  };
}

async function withTraining<T>(
  bytes: Uint8Array,
  options: Partial<TrainingSessionOptions>,
  use: (session: TrainingSession) => Promise<T>,
): Promise<T> {
  const session = await createTrainingSession(
    { bytes },
    { device: 'cpu', threads: 1, states: initialState(), results: ['loss', 'gradient_norm'], ...options },
  );
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

describe('steps', () => {
  test('are those of float64, and the state is read back', async () => {
    await withTraining(regressionStep().bytes(), {}, async (session) => {
      expect(session.device).toBe('cpu');
      expect(session.feeds.map(({ name }) => name)).toEqual(['images', 'targets', 'learning_rate', 'momentum_factor']);
      const state = { weights: Float64Array.from(waves(stateLength, 1)), momentum: new Float64Array(stateLength) };
      for (let step = 0; step < 20; step++) {
        const feeds = feedsOf(step);
        const { results } = await session.step(feeds);
        const data = { images: feeds.images.data, targets: feeds.targets.data, rate: 0.05, factor: 0.9 };
        const loss = regressionStepInFloat64(REGRESSION, state, data);
        expect(results.get('loss')!.dims).toEqual([]);
        expect(results.get('loss')!.data[0]).toBeCloseTo(loss, 5);
        expect(results.get('gradient_norm')!.data[0]).toBeGreaterThan(0);
      }
      const read = await session.readState();
      expect([...read.keys()]).toEqual(['weights', 'momentum']);
      for (const name of ['weights', 'momentum'] as const) {
        expect(read.get(name)).toHaveLength(stateLength);
        state[name].forEach((value, at) => expect(read.get(name)![at]).toBeCloseTo(value, 5));
      }
    });
  });

  test('asked for at once run one after the other, and what is read lies between them', async () => {
    await withTraining(regressionStep().bytes(), {}, async (session) => {
      const answers = await Promise.all([
        session.step(feedsOf(0)),
        session.readState(),
        session.step(feedsOf(1)),
        session.readState(),
      ]);
      const between = answers[1].get('weights')!;
      const after = answers[3].get('weights')!;
      await withTraining(regressionStep().bytes(), {}, async (again) => {
        await again.step(feedsOf(0));
        expect((await again.readState()).get('weights')).toEqual(between);
        await again.step(feedsOf(1));
        expect((await again.readState()).get('weights')).toEqual(after);
      });
      expect(after).not.toEqual(between);
    });
  });

  test('go on from a state that was written, bit for bit', async () => {
    await withTraining(regressionStep().bytes(), {}, async (session) => {
      await session.step(feedsOf(0));
      const saved = new Map(await session.readState());
      await session.step(feedsOf(1));
      const expectedNext = await session.readState();
      await session.step(feedsOf(2));
      await session.writeState(saved);
      expect(saved.get('weights')).toHaveLength(stateLength);
      expect(await session.readState()).toEqual(saved);
      await session.step(feedsOf(1));
      expect(await session.readState()).toEqual(expectedNext);
    });
  });

  test('leave feeds alone, or take their buffers and give them back', async () => {
    await withTraining(regressionStep().bytes(), {}, async (session) => {
      const kept = feedsOf(0);
      const first = await session.step(kept);
      expect(kept.images.data).toEqual(feedsOf(0).images.data);
      expect(first.feeds.size).toBe(0);
      const given = feedsOf(1);
      const surrounding = new Float32Array(batch * outputs + 2);
      given.targets.data = surrounding.subarray(1, 1 + batch * outputs);
      given.targets.data.set(feedsOf(1).targets.data);
      const buffer = given.images.data.buffer;
      const second = await session.step(given, { transferFeeds: true });
      expect(buffer.byteLength).toBe(0);
      expect(surrounding).toHaveLength(batch * outputs + 2);
      expect([...second.feeds.keys()]).toEqual(['images', 'learning_rate', 'momentum_factor']);
      expect(second.feeds.get('images')).toEqual(feedsOf(1).images.data);
      await withTraining(regressionStep().bytes(), {}, async (again) => {
        await again.step(feedsOf(0));
        expect((await again.step(feedsOf(1))).results).toEqual(second.results);
      });
    });
  });

  test('results are arrays of their own', async () => {
    await withTraining(regressionStep().bytes(), {}, async (session) => {
      const first = (await session.step(feedsOf(0))).results.get('loss')!;
      const before = first.data[0];
      const second = (await session.step(feedsOf(1))).results.get('loss')!;
      expect(first.data[0]).toBe(before);
      expect(second.data[0]).not.toBe(before);
    });
  });
});

describe('what is wrong is said', () => {
  test('about a step, which then changes nothing', async () => {
    await withTraining(regressionStep().bytes(), {}, async (session) => {
      await session.step(feedsOf(0));
      const before = await session.readState();
      const feeds = feedsOf(1);
      const missing = Object.fromEntries(Object.entries(feeds).filter(([name]) => name !== 'images'));
      const wide = { ...feeds, images: { dims: [batch, inputs + 1], data: new Float32Array(batch * (inputs + 1)) } };
      const short = { ...feeds, images: { dims: [batch, inputs], data: new Float32Array(3) } };
      const state = { ...feeds, weights: { dims: [stateLength], data: new Float32Array(stateLength) } };
      for (const [wrong, code] of [
        [missing, 'ERR_USAGE'],
        [wide, 'ERR_SHAPE'],
        [short, 'ERR_SHAPE'],
        [state, 'ERR_USAGE'],
      ] as const)
        await expect(session.step(wrong)).rejects.toMatchObject({ code });
      await expect(session.writeState(new Map([['bias', new Float32Array(1)]]))).rejects.toMatchObject({
        code: 'ERR_USAGE',
      });
      await expect(session.writeState(new Map([['weights', new Float32Array(1)]]))).rejects.toMatchObject({
        code: 'ERR_SHAPE',
      });
      expect(await session.readState()).toEqual(before);
      const next = await session.step(feeds);
      expect(next.results.get('loss')!.data[0]).toBeGreaterThan(0);
    });
  });

  test('about states and results, when the session is opened', async () => {
    const bytes = regressionStep().bytes();
    const [weights, momentum] = initialState();
    const open = (options: Partial<TrainingSessionOptions>) =>
      createTrainingSession({ bytes }, { device: 'cpu', states: initialState(), results: [], ...options });
    for (const [options, code] of [
      [{ results: ['accuracy'] }, 'ERR_USAGE'],
      [{ states: [{ ...weights!, input: 'bias' }] }, 'ERR_USAGE'],
      [{ states: [{ ...weights!, output: 'bias' }] }, 'ERR_USAGE'],
      [{ states: [{ ...weights!, initial: new Float32Array(2) }] }, 'ERR_SHAPE'],
      [{ states: [{ ...weights!, output: 'loss' }] }, 'ERR_SHAPE'],
      [{ states: [{ ...weights!, input: 'images', initial: new Float32Array(batch * inputs) }] }, 'ERR_SHAPE'],
      [{ threads: -1 }, 'ERR_OPTION'],
    ] as const)
      await expect(open(options)).rejects.toMatchObject({ code });
    await expect(
      createTrainingSession({ bytes: bytes.subarray(0, 40) }, { device: 'cpu', states: [momentum!], results: [] }),
    ).rejects.toMatchObject({ code: 'ERR_MODEL_UNREADABLE' });
    expect(weights!.initial).toHaveLength(stateLength);
  });
});

/** States of two million values and a chain of products with a matrix: a good part of a second on one thread. */
function slowStep(): ModelBuilder {
  const step = new ModelBuilder();
  const size = 1448;
  let value = step.node('Reshape', [step.input('weights', [size * size]), step.ints([size, size])]);
  const factor = step.input('factor', [size, size]);
  for (let product = 0; product < 4; product++) value = step.node('MatMul', [value, factor]);
  step.output(step.node('Reshape', [value, step.ints([-1])], {}, { outputs: ['weights_next'] }), [size * size]);
  step.output(step.node('ReduceMean', [value], { keepdims: 0 }, { outputs: ['loss'] }), []);
  return step;
}

describe('ending', () => {
  const size = 1448;
  const options = () => ({
    states: [{ input: 'weights', output: 'weights_next', initial: new Float32Array(size * size) }],
    results: ['loss'],
  });
  const factor = () => ({ factor: { dims: [size, size], data: new Float32Array(size * size) } });

  test('a signal ends a step that runs, and what is asked for afterwards', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    await withTraining(slowStep().bytes(), { ...options(), signal }, async (session) => {
      await session.step(factor());
      const running = session.step(factor());
      const queued = session.readState();
      setTimeout(() => controller.abort(), 20);
      await expect(running).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
      await expect(queued).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
      await expect(session.step(factor())).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
      await session.close();
    });
    await expect(
      createTrainingSession({ bytes: slowStep().bytes() }, { device: 'cpu', ...options(), signal }),
    ).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  });

  test('closing waits for the steps before, then nothing more is taken', async () => {
    const session = await createTrainingSession({ bytes: slowStep().bytes() }, { device: 'cpu', ...options() });
    const running = session.step(factor());
    const closing = session.close();
    expect((await running).results.get('loss')!.data[0]).toBe(0);
    await closing;
    await session.close();
    await expect(session.step(factor())).rejects.toMatchObject({ code: 'ERR_USAGE' });
    await expect(session.readState()).rejects.toMatchObject({ code: 'ERR_USAGE' });
  });

  test('gives its memory back', async () => {
    const bytes = slowStep().bytes();
    const openAndClose = async (): Promise<void> => {
      const session = await createTrainingSession({ bytes }, { device: 'cpu', threads: 1, ...options() });
      await session.readState();
      await session.close();
    };
    for (let time = 0; time < 3; time++) await openAndClose();
    const before = process.memoryUsage().rss;
    for (let time = 0; time < 8; time++) await openAndClose();
    // Each holds two buffers of 8 MiB: 128 MiB if none were freed.
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 2 ** 20);
  });

  test('the event loop goes on while a step runs', async () => {
    await withTraining(slowStep().bytes(), options(), async (session) => {
      let ticks = 0;
      const timer = setInterval(() => ticks++, 5);
      const started = performance.now();
      await session.step(factor());
      clearInterval(timer);
      const elapsedMs = performance.now() - started;
      expect(elapsedMs).toBeGreaterThan(40);
      expect(ticks).toBeGreaterThan(elapsedMs / 5 / 4);
    });
  });
});

test('500 steps take no more memory than 100', async () => {
  const wide = { batch: 256, inputs: 1024, outputs: 256 }; // 1 MiB of images and of each state
  const length = wide.inputs * wide.outputs;
  const options = {
    states: [
      { input: 'weights', output: 'weights_next', initial: new Float32Array(length) },
      { input: 'momentum', output: 'momentum_next', initial: new Float32Array(length) },
    ],
  };
  await withTraining(regressionStep(wide).bytes(), options, async (session) => {
    const images = waves(wide.batch * wide.inputs, 1);
    const targets = waves(wide.batch * wide.outputs, 2);
    const take = async (steps: number): Promise<void> => {
      for (let step = 0; step < steps; step++)
        await session.step({
          ...feedsOf(0, 1e-6),
          images: { dims: [wide.batch, wide.inputs], data: images },
          targets: { dims: [wide.batch, wide.outputs], data: targets },
        });
    };
    await take(100);
    const before = process.memoryUsage().rss;
    await take(400);
    // A copy of the feeds or the state for every step would be 500 MiB and more.
    expect(process.memoryUsage().rss - before).toBeLessThan(80 * 2 ** 20);
  });
});

test('webgpu keeps the state on the device and computes the same', async () => {
  const train = (device: 'cpu' | 'webgpu') =>
    withTraining(regressionStep().bytes(), { device }, async (session) => {
      for (let step = 0; step < 4; step++) await session.step(feedsOf(step));
      await session.writeState(new Map(await session.readState()));
      for (let step = 4; step < 8; step++) await session.step(feedsOf(step));
      return session.readState();
    });
  const onCpu = await train('cpu');
  const onDevice = await train('webgpu').catch((error: unknown) => {
    if (!isSieveError(error) || error.code !== 'ERR_DEVICE') throw error;
    console.log(`skipped: ${error.message}`);
    return undefined;
  });
  if (onDevice === undefined) return;
  for (const [name, values] of onCpu)
    values.forEach((value, at) => expect(onDevice.get(name)![at]).toBeCloseTo(value, 5));
});

test('the model that reads from a device gives what it is given', async () => {
  const session = await createSession({ bytes: Uint8Array.from(IDENTITY_MODEL) }, { device: 'cpu' });
  const x = { dims: [2, 2], data: Float32Array.of(1, -2, 3.5, 0) };
  expect((await session.run({ x })).get('y')).toEqual(x);
  await session.close();
});

describe('denormal numbers', () => {
  /** weights' = weights / 2: a number that no gradient holds up. */
  function decayStep(length: number): Uint8Array {
    const step = new ModelBuilder();
    const half = step.weights([1], [0.5]);
    const next = step.node('Mul', [step.input('weights', [length]), half], {}, { outputs: ['weights_next'] });
    step.output(next, [length]);
    return step.bytes();
  }

  test.each([1, 2, 4])(
    'become zero on all of %d threads, also when another session was there before',
    async (threads) => {
      const length = 1 << 18;
      const first = new ModelBuilder();
      first.output(first.node('Neg', [first.input('x', [1])]), [1]);
      await (await createSession({ bytes: first.bytes() }, { device: 'cpu' })).close();
      const states = [{ input: 'weights', output: 'weights_next', initial: new Float32Array(length).fill(2 ** -120) }];
      await withTraining(decayStep(length), { threads, states, results: [] }, async (session) => {
        for (let step = 0; step < 6; step++) await session.step({});
        expect(new Set((await session.readState()).get('weights'))).toEqual(new Set([Math.fround(2 ** -126)]));
        await session.step({});
        expect(new Set((await session.readState()).get('weights'))).toEqual(new Set([0]));
      });
      // This thread, and later sessions, keep them.
      expect(Math.fround(2 ** -126 * (0.5 + 0 * threads))).toBeGreaterThan(0);
      const later = new ModelBuilder();
      later.output(later.node('Mul', [later.input('x', [1]), later.weights([1], [0.5])], {}, { outputs: ['y'] }), [1]);
      const session = await createSession({ bytes: later.bytes() }, { device: 'cpu', threads: 1 });
      const { data } = (await session.run({ x: { dims: [1], data: Float32Array.of(2 ** -130) } })).get('y')!;
      await session.close();
      expect(data[0]).toBe(2 ** -131);
    },
  );
});
