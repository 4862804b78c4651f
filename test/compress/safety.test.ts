import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import type { CompressOptions } from '../../src/compress/api';
import { compress } from '../../src/compress/compress';
import { readModel } from '../../src/onnx/load';
import { toModelBytes } from '../../src/onnx/save';
import type { ModelBytes, ProgressEvent } from '../../src/types';
import { toyNetwork } from './support/networks';
import { toyWorld, type ToyWorld } from './support/world';

jest.setTimeout(60_000);

let world: ToyWorld;
let original: ModelBytes;
let options: CompressOptions;
let outputs: string;
beforeAll(async () => {
  world = await toyWorld(120, 60);
  original = toModelBytes(await toyNetwork('concat'));
  const { data, validation } = world;
  options = { data, validation, flops: 0.7, criterion: 'reconstruction', device: 'cpu', threads: 2 };
});
afterAll(() => world.remove());
beforeEach(async () => {
  outputs = world.at(`outputs-${Math.random()}`);
  await mkdir(outputs);
});

const inOutputs = (name: string): string => `${outputs}/${name}`;

describe('a file that exists', () => {
  test.each(['output', 'report'] as const)('is refused as %s before any work', async (role) => {
    const path = inOutputs('precious');
    await writeFile(path, 'precious');
    const events: unknown[] = [];
    const refused = compress(original, {
      ...options,
      data: world.at('nowhere'),
      [role]: path,
      onProgress: (event) => events.push(event),
      onMessage: (text) => events.push(text),
    });
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_OUTPUT_EXISTS',
      remedy: expect.stringContaining('--force') as string,
    });
    expect(events).toEqual([]);
    expect(await readdir(outputs)).toEqual(['precious']);
    expect(await readFile(path, 'utf8')).toBe('precious');
  });

  test('is replaced where that is asked for', async () => {
    for (const name of ['model.onnx', 'report.html']) await writeFile(inOutputs(name), 'old');
    const result = await compress(original, {
      ...options,
      recover: 'none',
      output: inOutputs('model.onnx'),
      report: inOutputs('report.html'),
      command: 'onnx-sieve compress <model>',
      force: true,
    });
    expect((await readdir(outputs)).sort()).toEqual(['model.onnx', 'report.html']);
    expect((await readFile(inOutputs('model.onnx'))).equals(result.model.bytes)).toBe(true);
    const report = await readFile(inOutputs('report.html'), 'utf8');
    expect(report).toContain('onnx-sieve compress &lt;model&gt;');
    expect(report).toContain('<svg');
  });

  test('may be the model itself', async () => {
    const path = inOutputs('model.onnx');
    await writeFile(path, original.bytes);
    const result = await compress(path, { ...options, recover: 'none', output: path, force: true });
    expect(result.after.macs).toBeLessThan(result.before.macs);
    expect((await readModel(path)).graph.nodes.length).toBeGreaterThan(0);
    expect((await readFile(path)).length).toBe(result.after.bytes);
  });
});

test('a folder that is not there is refused before any work', async () => {
  const refused = compress(original, { ...options, data: world.at('nowhere'), output: inOutputs('no/where.onnx') });
  await expect(refused).rejects.toMatchObject({ code: 'ERR_OUTPUT_UNWRITABLE' });
});

test('too few samples are named', async () => {
  await expect(compress(original, { ...options, samples: 2 })).rejects.toMatchObject({
    code: 'ERR_DATA_MISMATCH',
    message: expect.stringContaining('120 samples for 4 classes') as string,
  });
});

describe('an abort leaves nothing behind', () => {
  const firstOf =
    (stage: string) =>
    (event: ProgressEvent): boolean =>
      event.stage === stage;
  test.each<[string, (event: ProgressEvent) => boolean]>([
    ['in the profile', firstOf('profile')],
    ['in the ranking', firstOf('rank')],
    ['in the sweep', firstOf('cut and re-fit')],
    ['while speed is measured', firstOf('latency')],
    ['at the last moment', ({ stage, fraction }) => stage === 'latency' && fraction === 1],
  ])('%s', async (_, when) => {
    const controller = new AbortController();
    let abortedAt = Infinity;
    const running = compress(original, {
      ...options,
      output: inOutputs('model.onnx'),
      report: inOutputs('report.html'),
      signal: controller.signal,
      onProgress: (event) => {
        if (controller.signal.aborted || !when(event)) return;
        abortedAt = performance.now();
        controller.abort();
      },
    });
    await expect(running).rejects.toMatchObject({ name: 'SieveError', code: 'ERR_CANCELLED' });
    expect(performance.now() - abortedAt).toBeLessThan(5000);
    expect(await readdir(outputs)).toEqual([]);
  });

  test('before it begins', async () => {
    const signal = AbortSignal.abort();
    const running = compress(original, { ...options, signal, output: inOutputs('model.onnx') });
    await expect(running).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    expect(await readdir(outputs)).toEqual([]);
  });
});
