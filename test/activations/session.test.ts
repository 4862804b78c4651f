import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createSession } from '../../src/activations/session';
import type { Session } from '../../src/activations/types';
import { narrowToHalves } from '../../src/activations/float16';
import { float32Tensor } from '../../src/onnx/tensor';
import { ModelBuilder } from '../support/modelBuilder';
import { temporaryFolder } from './support/images';

/** y = relu(x), z = x + 1, both [N, 4]. */
function smallModel(): Uint8Array {
  const model = new ModelBuilder();
  const x = model.input('x', ['N', 4]);
  model.output(model.node('Relu', [x], {}, { outputs: ['y'] }), ['N', 4]);
  const one = model.initializer(float32Tensor('one', [1], Float32Array.of(1)));
  model.output(model.node('Add', [x, one], {}, { outputs: ['z'] }), ['N', 4]);
  return model.bytes();
}

/** A convolution that takes a good part of a second on one thread. */
function slowModel(): Uint8Array {
  const model = new ModelBuilder();
  let x = model.input('x', ['N', 64, 112, 112]);
  for (let layer = 0; layer < 2; layer++) x = model.conv(x, 64, 64, 3, { pads: [1, 1, 1, 1] });
  model.output(model.node('GlobalAveragePool', [x], {}, { outputs: ['y'] }), ['N', 64, 1, 1]);
  return model.bytes();
}

/** Opens on the CPU, whatever the machine has, and closes after `use`. */
async function withSession<T>(bytes: Uint8Array, use: (session: Session) => Promise<T>): Promise<T> {
  const session = await createSession({ bytes }, { device: 'cpu', threads: 1 });
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

const input = (...values: number[]) => ({ x: { dims: [values.length / 4, 4], data: Float32Array.from(values) } });

describe('a session', () => {
  test('returns all outputs, or those that are asked for, and leaves the feeds alone', async () => {
    await withSession(smallModel(), async (session) => {
      expect(session.inputs).toEqual([{ name: 'x', type: 'float32', dims: ['N', 4] }]);
      expect(session.outputNames).toEqual(['y', 'z']);
      const feeds = input(-1, 2, -3, 4);
      const all = await session.run(feeds);
      expect([...all.keys()]).toEqual(['y', 'z']);
      expect([...all.get('y')!.data]).toEqual([0, 2, 0, 4]);
      expect(all.get('y')!.dims).toEqual([1, 4]);
      const one = await session.run(feeds, ['z']);
      expect([...one.keys()]).toEqual(['z']);
      expect([...one.get('z')!.data]).toEqual([0, 3, -2, 5]);
      expect([...feeds.x.data]).toEqual([-1, 2, -3, 4]);
    });
  });

  test('gives feeds away only when told to, and never what surrounds a view', async () => {
    await withSession(smallModel(), async (session) => {
      const given = input(1, 2, 3, 4);
      await session.run(given, ['y'], { transferFeeds: true });
      expect(given.x.data.length).toBe(0);
      const surrounding = Float32Array.of(9, 1, 2, 3, 4, 9);
      const view = { x: { dims: [1, 4], data: surrounding.subarray(1, 5) } };
      const result = await session.run(view, ['y'], { transferFeeds: true });
      expect([...result.get('y')!.data]).toEqual([1, 2, 3, 4]);
      expect([...surrounding]).toEqual([9, 1, 2, 3, 4, 9]);
    });
  });

  test('queues calls and answers each with its own result', async () => {
    await withSession(smallModel(), async (session) => {
      const answers = await Promise.all([1, 2, 3, 4, 5].map((k) => session.run(input(k, k, k, k), ['y'])));
      expect(answers.map((answer) => answer.get('y')!.data[0])).toEqual([1, 2, 3, 4, 5]);
    });
  });

  test('does not block the event loop while the model runs', async () => {
    await withSession(slowModel(), async (session) => {
      let ticks = 0;
      const timer = setInterval(() => ticks++, 5);
      const started = performance.now();
      const data = new Float32Array(4 * 64 * 112 * 112).fill(0.5);
      await session.run({ x: { dims: [4, 64, 112, 112], data } });
      clearInterval(timer);
      const elapsedMs = performance.now() - started;
      expect(elapsedMs).toBeGreaterThan(60);
      expect(ticks).toBeGreaterThan(elapsedMs / 5 / 4);
    });
  });

  test('measures runs inside the worker', async () => {
    await withSession(smallModel(), async (session) => {
      const latencies = await session.measureLatencyMs(input(1, 2, 3, 4), 5);
      expect(latencies).toHaveLength(5);
      expect(latencies.every((ms) => ms > 0 && ms < 1000)).toBe(true);
      await expect(session.measureLatencyMs(input(1, 2, 3, 4), 0)).rejects.toMatchObject({ code: 'ERR_OPTION' });
    });
  });

  test('widens half-precision inputs and outputs, and converts integers', async () => {
    const model = new ModelBuilder();
    const half = model.input('half', [3], 'float16');
    const whole = model.input('whole', [2], 'int64');
    const double = model.input('double', [1], 'float64');
    model.output(model.node('Neg', [half], {}, { outputs: ['h'] }), [3], 'float16');
    model.output(model.node('Neg', [whole], {}, { outputs: ['w'] }), [2], 'int64');
    model.output(model.node('Neg', [double], {}, { outputs: ['d'] }), [1], 'float64');
    await withSession(model.bytes(), async (session) => {
      const result = await session.run({
        half: { dims: [3], data: Float32Array.of(1.5, -2, 65504) },
        whole: { dims: [2], data: Float32Array.of(7, -3) },
        double: { dims: [1], data: Float32Array.of(0.25) },
      });
      expect([...result.get('h')!.data]).toEqual([-1.5, 2, -65504]);
      expect([...result.get('w')!.data]).toEqual([-7, 3]);
      expect([...result.get('d')!.data]).toEqual([-0.25]);
    });
  });

  test('names what is wrong with a run', async () => {
    const session = await createSession({ bytes: smallModel() }, { device: 'cpu' });
    const run = (feeds: Parameters<Session['run']>[0], outputs?: string[]) => session.run(feeds, outputs);
    await expect(run({})).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message: expect.stringContaining('"x"') as string,
    });
    await expect(run({ ...input(1, 2, 3, 4), other: { dims: [1], data: Float32Array.of(1) } })).rejects.toMatchObject({
      code: 'ERR_USAGE',
    });
    await expect(run(input(1, 2, 3, 4), ['nothing'])).rejects.toMatchObject({ code: 'ERR_USAGE' });
    await expect(run({ x: { dims: [1, 5], data: new Float32Array(5) } })).rejects.toMatchObject({ code: 'ERR_SHAPE' });
    await expect(run({ x: { dims: [1, 4], data: new Float32Array(5) } })).rejects.toMatchObject({ code: 'ERR_SHAPE' });
    expect([...(await run(input(1, 2, 3, 4))).keys()]).toEqual(['y', 'z']);
    await session.close();
    await session.close();
    await expect(run(input(1, 2, 3, 4))).rejects.toMatchObject({ code: 'ERR_USAGE' });
  });
});

describe('opening', () => {
  test('auto says which devices were considered and ends with one that works', async () => {
    const session = await createSession({ bytes: smallModel() }, { device: 'auto' });
    await session.close();
    const taken = session.attempts.filter((attempt) => attempt.taken);
    expect(taken.map(({ device }) => device)).toEqual([session.device]);
    expect(session.attempts.map(({ device }) => device)).toEqual(
      ['cuda', 'webgpu', 'cpu'].slice(0, session.attempts.length),
    );
    expect(session.attempts.every(({ reason }) => reason !== '' && !reason.includes('\n'))).toBe(true);
  });

  test('a device that is asked for by name and missing is an error with the reason', async () => {
    const automatic = await createSession({ bytes: smallModel() });
    await automatic.close();
    const missing = automatic.attempts.filter(({ taken }) => !taken);
    if (missing.length === 0) console.log('skipped: every device works on this machine');
    for (const { device, reason } of missing) {
      await expect(createSession({ bytes: smallModel() }, { device })).rejects.toMatchObject({
        code: 'ERR_DEVICE',
        message: expect.stringContaining(reason) as string,
        remedy: expect.stringContaining('cpu') as string,
      });
    }
  });

  test('bytes stay valid, also those of a view', async () => {
    const bytes = smallModel();
    const larger = new Uint8Array(bytes.length + 20);
    larger.set(bytes, 10);
    await withSession(larger.subarray(10, 10 + bytes.length), (session) => session.run(input(1, 2, 3, 4)));
    expect([...larger.subarray(10, 10 + bytes.length)]).toEqual([...bytes]);
  });

  test('refuses what is no model, what is cut off, and operators that do not exist', async () => {
    const bytes = smallModel();
    const unknown = new ModelBuilder();
    unknown.domain('my.domain');
    const x = unknown.input('x', [1]);
    unknown.output(unknown.node('Strange', [x], {}, { domain: 'my.domain' }), [1]);
    const device = 'cpu';
    for (const broken of [new Uint8Array(0), Uint8Array.of(1, 2, 3), bytes.subarray(0, bytes.length - 20)]) {
      await expect(createSession({ bytes: broken }, { device })).rejects.toMatchObject({
        code: 'ERR_MODEL_UNREADABLE',
      });
    }
    await expect(createSession({ bytes: unknown.bytes() }, { device })).rejects.toMatchObject({
      code: 'ERR_MODEL_UNSUPPORTED',
      message: expect.stringMatching(/^[^\n]*Strange[^\n]*$/) as string,
    });
    await expect(createSession({ path: '/no/such/model.onnx' }, { device })).rejects.toMatchObject({
      code: 'ERR_MODEL_UNREADABLE',
      message: expect.stringContaining('/no/such/model.onnx') as string,
    });
  });

  test('reads external data beside a file and given with the bytes', async () => {
    const folder = await temporaryFolder();
    try {
      const weights = Float32Array.of(10, 20, 30, 40);
      const bytes = externalModel('weights.bin', weights.byteLength);
      const data = new Uint8Array(weights.buffer);
      writeFileSync(join(folder.path, 'model.onnx'), bytes);
      writeFileSync(join(folder.path, 'weights.bin'), data);
      const sources = [
        { path: join(folder.path, 'model.onnx') },
        { bytes, externalData: [{ path: 'weights.bin', data }] },
      ];
      for (const source of sources) {
        const session = await createSession(source, { device: 'cpu' });
        const result = await session.run({ x: { dims: [4], data: Float32Array.of(1, 2, 3, 4) } });
        expect([...result.get('y')!.data]).toEqual([11, 22, 33, 44]);
        await session.close();
      }
    } finally {
      await folder.remove();
    }
  });

  test('stops when it is aborted, before and during', async () => {
    const bytes = slowModel();
    await expect(createSession({ bytes }, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ERR_CANCELLED',
    });
    const controller = new AbortController();
    const opening = createSession({ bytes }, { device: 'cpu', signal: controller.signal });
    setTimeout(() => controller.abort(), 10);
    await expect(opening).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  });

  test('aborted inside ONNX Runtime, it leaves the process alive', async () => {
    const model = new ModelBuilder();
    const size = 1024;
    const constant = model.node('ConstantOfShape', [model.ints([size, size])]);
    let product = constant;
    for (let layer = 0; layer < 16; layer++) product = model.node('MatMul', [product, constant]);
    model.output(model.node('Add', [model.input('x', [size, size]), product]), [size, size]);
    const controller = new AbortController();
    // Folding the constants takes most of a second.
    const opening = createSession({ bytes: model.bytes() }, { device: 'cpu', threads: 1, signal: controller.signal });
    setTimeout(() => controller.abort(), 200);
    await expect(opening).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    await new Promise((resolve) => setTimeout(resolve, 1500));
  });

  test('checks its options', async () => {
    const bytes = smallModel();
    await expect(createSession({ bytes }, { threads: -1 })).rejects.toMatchObject({ code: 'ERR_OPTION' });
    await expect(createSession({ bytes }, { device: 'tpu' as never })).rejects.toMatchObject({ code: 'ERR_OPTION' });
  });
});

test('the built worker lies where sessions look for it, and is no program of its own', () => {
  const worker = resolve(__dirname, '../../dist/session-worker.cjs');
  const { status, stderr } = spawnSync(process.execPath, [worker], { encoding: 'utf8' });
  expect(status).not.toBe(0);
  expect(stderr).toContain('createSession');
});

/** y = x + w with w in an external file: protobuf by hand, because builders inline their weights. */
function externalModel(location: string, length: number): Uint8Array {
  const field = (number: number, ...parts: (Buffer | string | number)[]): Buffer => {
    const body = Buffer.concat(
      parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part))),
    );
    return Buffer.concat([Buffer.from([(number << 3) | 2, body.length]), body]);
  };
  const integer = (number: number, value: number): Buffer => Buffer.from([number << 3, value]);
  const entry = (key: string, value: string): Buffer => field(13, field(1, key), field(2, value));
  const weight = field(
    5,
    ...[integer(1, 4), integer(2, 1), field(8, 'w'), entry('location', location), entry('offset', '0')],
    ...[entry('length', `${length}`), integer(14, 1)],
  );
  const value = (number: number, name: string): Buffer =>
    field(number, field(1, name), field(2, field(1, integer(1, 1), field(2, field(1, integer(1, 4))))));
  const node = field(1, field(1, 'x'), field(1, 'w'), field(2, 'y'), field(4, 'Add'));
  const graph = field(7, node, field(2, 'g'), weight, value(11, 'x'), value(12, 'y'));
  return Buffer.concat([integer(1, 8), graph, field(8, field(1, ''), integer(2, 13))]);
}

test('halves round to nearest, ties to even, and keep infinities and NaN', () => {
  const values = Float32Array.of(
    0,
    -0,
    1,
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
    65519,
    65520,
    2 ** -24,
    2 ** -25,
    Infinity,
    NaN,
  );
  expect([...narrowToHalves(values)]).toEqual([
    0, 0x8000, 0x3c00, 0x3c00, 0x3c02, 0x7bff, 0x7c00, 1, 0, 0x7c00, 0x7e00,
  ]);
});
