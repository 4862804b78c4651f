// analyze in parts: whatever the cut, the merge is what analyze gives, to the bit; and parts that do not belong together
// are told apart.
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { runCommandLine } from '../../src/cli/run';
import { analyze } from '../../src/compress/analyze';
import { mergeAnalyses } from '../../src/compress/analyzeMerge';
import { rowsOfShard, type AnalyzePart } from '../../src/compress/analyzePart';
import { analyzeShard, type AnalyzeShardOptions } from '../../src/compress/analyzeShard';
import { DEMO_FILES, writeImages } from '../../src/compress/demoFiles';
import { float32Tensor } from '../../src/onnx/tensor';
import { toModelBytes } from '../../src/onnx/save';
import type { ModelBytes } from '../../src/types';
import { fakeWorld } from '../cli/world';
import { toyNetwork } from './support/networks';
import { toyImages, writeNpz } from './support/toyData';
import { toyWorld, type ToyWorld } from './support/world';

jest.setTimeout(120_000);

const DEMO_NETWORK = resolve(__dirname, '../../src/assets/demo/resnet14_shapes.onnx');
const RUN = { device: 'cpu', threads: 2, samples: 90 } as const;

let world: ToyWorld;
let model: ModelBytes;
let other: ModelBytes;
beforeAll(async () => {
  world = await toyWorld(120, 40);
  const network = await toyNetwork('residual');
  model = toModelBytes(network);
  const [name, tensor] = [...network.graph.initializers].find(([, { dims }]) => dims.length === 4)!;
  const zeros = float32Tensor(
    name,
    tensor.dims,
    new Float32Array(tensor.dims.reduce((left, right) => left * right, 1)),
  );
  const initializers = new Map(network.graph.initializers).set(name, zeros);
  other = toModelBytes({ ...network, graph: { ...network.graph, initializers } });
});
afterAll(() => world.remove());

async function allShards(
  count: number,
  options: Omit<AnalyzeShardOptions, 'shard' | 'data'> & { data?: string },
): Promise<AnalyzePart[]> {
  const parts: AnalyzePart[] = [];
  for (let index = 1; index <= count; index++)
    parts.push(await analyzeShard(model, { data: world.data, ...options, shard: { index, count } }));
  return parts;
}

/** As JSON holds it: what goes through a file. */
function copyOf<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

describe('the merge of all parts is what analyze gives', () => {
  test.each([1, 2, 5])('%d shards, every filter, parts in any order', async (count) => {
    const options = { ...RUN, filters: true, epsilon: 0.03 };
    const whole = await analyze(model, { ...options, data: world.data });
    const parts = await allShards(count, options);
    expect(await mergeAnalyses(parts)).toEqual(whole);
    expect(JSON.stringify(await mergeAnalyses(copyOf(parts).reverse()))).toBe(JSON.stringify(whole));
    expect(whole.layers.some(({ filters }) => filters !== undefined)).toBe(true);
  });

  test('with as many shards as samples, and little memory', async () => {
    const options = { ...RUN, samples: 12 };
    const parts = await allShards(12, { ...options, memoryBudgetBytes: 12 * 4 * 16 * 64 });
    expect(await mergeAnalyses(parts)).toEqual(await analyze(model, { ...options, data: world.data }));
  });

  test('with classes that have no samples', async () => {
    const images = toyImages(60, 9);
    const labels = images.labels.map((label) => (label === 1 ? 0 : label));
    const data = await writeNpz(world.at('gaps.npz'), { ...images, labels });
    const options = { ...RUN, samples: 60, data };
    const whole = await analyze(model, options);
    expect(whole.layers[0]!.perClass[1]).toBeNaN();
    expect(await mergeAnalyses(await allShards(4, options))).toEqual(whole);
  });

  test('on the command line, for the network of the demo: the same document, byte for byte', async () => {
    const data = world.at(DEMO_FILES.test);
    await writeImages(
      world.folder,
      { images: DEMO_FILES.testImages, description: DEMO_FILES.test },
      {
        split: 'test',
        size: 100,
        seed: 3,
        normalization: { scale: '1/255', mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
      },
    );
    const args = ['analyze', DEMO_NETWORK, '--data', data, '--device', 'cpu', '--threads', '2'];
    const whole = fakeWorld();
    expect(await runCommandLine([...args, '--json', '-o', world.at('whole.json')], whole)).toBe(0);
    const files: string[] = [];
    for (const shard of ['1/3', '2/3', '3/3']) {
      const file = world.at(`part${shard[0]!}.json`);
      const job = fakeWorld();
      expect(await runCommandLine([...args, '--shard', shard, '-o', file], job)).toBe(0);
      expect(job.stdout.text).toContain(
        `Part ${shard[0]!} of 3: 33 of 100 samples`.replace('33', shard === '3/3' ? '34' : '33'),
      );
      files.push(file);
    }
    const merged = fakeWorld();
    const out = world.at('merged.json');
    expect(await runCommandLine(['analyze', '--merge', ...files, '-o', out, '--json'], merged)).toBe(0);
    expect(merged.stdout.text).toBe(whole.stdout.text);
    expect(await readFile(out, 'utf8')).toBe(whole.stdout.text);
    expect(await readFile(world.at('whole.json'), 'utf8')).toBe(whole.stdout.text);
    const text = fakeWorld();
    expect(await runCommandLine(['analyze', '--merge', ...files], text)).toBe(0);
    expect(text.stdout.text).toContain('100 samples of 10 classes, on cpu');
  });
});

test('shards are ranges that make up all samples, and differ by one at most', () => {
  for (const [samples, count] of [
    [10, 3],
    [7, 7],
    [1000003, 64],
  ] as const) {
    let next = 0;
    for (let index = 1; index <= count; index++) {
      const { first, rows } = rowsOfShard({ index, count }, samples);
      expect(first).toBe(next);
      expect([Math.floor(samples / count), Math.ceil(samples / count)]).toContain(rows);
      next += rows;
    }
    expect(next).toBe(samples);
  }
});

describe('refused', () => {
  let parts: AnalyzePart[];
  beforeAll(async () => {
    parts = await allShards(3, RUN);
  });

  async function refusal(some: readonly (string | AnalyzePart)[]): Promise<unknown> {
    return mergeAnalyses(some).then(
      () => 'merged',
      (error: unknown) => error,
    );
  }

  test('a missing part, a part twice, no part', async () => {
    const [first, second, third] = parts;
    expect(await refusal([first!, third!])).toMatchObject({
      code: 'ERR_USAGE',
      message: 'Expected all 3 parts for the merge but received 2: without 2',
    });
    expect(await refusal([first!, second!, third!, second!])).toMatchObject({
      code: 'ERR_USAGE',
      message: expect.stringContaining('part 2 of 3 twice: parts[1] and parts[3]') as string,
    });
    expect(await refusal([])).toMatchObject({ code: 'ERR_USAGE' });
  });

  test.each([
    ['model', () => analyzeShard(other, { ...RUN, data: world.data, shard: { index: 2, count: 3 } })],
    ['samples', () => analyzeShard(model, { ...RUN, seed: 1, data: world.data, shard: { index: 2, count: 3 } })],
    [
      'samples',
      () => analyzeShard(model, { ...RUN, data: { path: world.data, scale: 2 }, shard: { index: 2, count: 3 } }),
    ],
    [
      '--filters',
      () => analyzeShard(model, { ...RUN, filters: true, data: world.data, shard: { index: 2, count: 3 } }),
    ],
    ['--epsilon', () => analyzeShard(model, { ...RUN, epsilon: 0.5, data: world.data, shard: { index: 2, count: 3 } })],
  ])('parts of another %s', async (what, make) => {
    const error = await refusal([parts[0]!, await make(), parts[2]!]);
    expect(error).toMatchObject({
      code: 'ERR_DATA_MISMATCH',
      message: `Expected parts of one run for the merge but received parts[0] and parts[1], which differ in the ${what}`,
    });
  });

  test('parts of a machine that computes otherwise, of another version, of another cut', async () => {
    const changed = (change: (part: AnalyzePart & { run: { version: string } }) => void): AnalyzePart => {
      const part = copyOf(parts[1]!) as AnalyzePart & { run: { version: string } };
      change(part);
      return part;
    };
    const elsewhere = changed(({ run }) => {
      (run.layers[1] as { activations: string }).activations = 'f'.repeat(64);
    });
    expect(await refusal([parts[0]!, elsewhere, parts[2]!])).toMatchObject({
      code: 'ERR_DATA_MISMATCH',
      remedy: expect.stringContaining('one kind of machine') as string,
    });
    const older = changed(({ run }) => (run.version = '0.0.0'));
    expect(await refusal([parts[0]!, older, parts[2]!])).toMatchObject({ code: 'ERR_DATA_MISMATCH' });
    const halves = await allShards(2, RUN);
    expect(await refusal([parts[0]!, halves[1]!])).toMatchObject({
      code: 'ERR_DATA_MISMATCH',
      message: expect.stringMatching(/of 3 shards and parts\[1\] of 2$/) as string,
    });
  });

  test.each<[string, (part: Record<string, unknown>) => unknown]>([
    ['null', () => null],
    ['a list', () => []],
    ['another document', () => ({ samples: 3, layers: [] })],
    ['another format', (part) => ({ ...part, format: 'onnx-sieve analyze part 99' })],
    ['a shard past the last', (part) => ({ ...part, shard: { index: 4, count: 3 } })],
    ['no run', (part) => ({ ...part, run: undefined })],
    ['a run without layers', (part) => ({ ...part, run: { ...(part.run as object), layers: 'all' } })],
    ['counts of other samples', (part) => ({ ...part, classSamples: [1, 1, 1, 1] })],
    ['a layer missing', (part) => ({ ...part, layers: (part.layers as unknown[]).slice(1) })],
    [
      'negative counts',
      (part) => ({ ...part, layers: (part.layers as object[]).map((layer) => ({ ...layer, csi: -1 })) }),
    ],
    [
      'more hits than samples',
      (part) => ({ ...part, layers: (part.layers as object[]).map((layer) => ({ ...layer, csi: 31 })) }),
    ],
    [
      'more hits than a class has',
      (part) => ({ ...part, layers: (part.layers as object[]).map((layer) => ({ ...layer, si: [30, 0, 0, 0] })) }),
    ],
    [
      'filters that nobody asked for',
      (part) => ({ ...part, layers: (part.layers as object[]).map((layer) => ({ ...layer, filters: {} })) }),
    ],
  ])('what is no part: %s', async (_, make) => {
    const wrong = make(copyOf(parts[1]!) as unknown as Record<string, unknown>);
    expect(await refusal([parts[0]!, wrong as AnalyzePart, parts[2]!])).toMatchObject({
      code: 'ERR_DATA_UNREADABLE',
      message: expect.stringMatching(/^Expected a part of analyze --shard for parts\[1\] but received /) as string,
    });
  });

  test('more shards than samples, and numbers that are no shard', async () => {
    const call = (index: number, count: number): Promise<unknown> =>
      analyzeShard(model, { ...RUN, samples: 8, data: world.data, shard: { index, count } });
    await expect(call(1, 9)).rejects.toMatchObject({
      code: 'ERR_OPTION',
      message: expect.stringContaining('at most 8') as string,
    });
    await expect(call(0, 2)).rejects.toMatchObject({ code: 'ERR_OPTION' });
    await expect(call(3, 2)).rejects.toMatchObject({ code: 'ERR_OPTION' });
    await expect(call(1, 1.5)).rejects.toMatchObject({ code: 'ERR_OPTION' });
  });

  test('an abort ends a shard', async () => {
    const controller = new AbortController();
    const call = analyzeShard(model, {
      ...RUN,
      data: world.data,
      shard: { index: 1, count: 2 },
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(call).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  });

  describe('on the command line, in one line and with its exit code', () => {
    let files: string[];
    beforeAll(async () => {
      files = parts.map((_, i) => world.at(`good${i + 1}.json`));
      for (const [i, part] of parts.entries()) await writeFile(files[i]!, JSON.stringify(part));
      const text = await readFile(files[1]!, 'utf8');
      await writeFile(world.at('truncated.json'), text.slice(0, text.length / 2));
      await writeFile(world.at('empty.json'), '');
      await writeFile(world.at('other.json'), '{"samples":3}');
    });

    test.each<[what: string, merged: string[], exitCode: number, message: RegExp]>([
      ['a part missing', ['good1', 'good3'], 2, /^Expected all 3 parts .* without 2$/],
      ['a part twice', ['good1', 'good2', 'good2', 'good3'], 2, /part 2 of 3 twice/],
      ['a truncated file', ['good1', 'truncated', 'good3'], 3, /truncated\.json" but received text that is no JSON/],
      ['an empty file', ['good1', 'empty', 'good3'], 3, /empty\.json" but received an empty file/],
      ['another document', ['good1', 'other', 'good3'], 3, /other\.json" but received format nothing/],
      ['no such file', ['good1', 'nowhere', 'good3'], 3, /nowhere\.json/],
      ['something that is no part', ['good1', 'data.npz', 'good3'], 3, /data\.npz/],
    ])('%s', async (_, merged, exitCode, message) => {
      const out = world.at('never.json');
      const paths = merged.map((name) => world.at(name.includes('.') ? name : `${name}.json`));
      const run = fakeWorld();
      expect(await runCommandLine(['analyze', '--merge', ...paths, '-o', out], run)).toBe(exitCode);
      expect(run.stdout.text).toBe('');
      const [line, remedy, ...more] = run.stderr.text.trimEnd().split('\n');
      expect(line).toMatch(/^Expected /);
      expect(line).toMatch(message);
      expect(remedy).toMatch(/\.$/);
      expect(more).toEqual([]);
      await expect(readFile(out)).rejects.toMatchObject({ code: 'ENOENT' });
    });

    test('an output that exists is left alone without --force, before any work', async () => {
      const out = world.at('precious.json');
      await writeFile(out, 'precious');
      const args = ['analyze', '--merge', ...files, '-o', out];
      const run = fakeWorld();
      expect(await runCommandLine(args, run)).toBe(2);
      expect(await readFile(out, 'utf8')).toBe('precious');
      expect(await runCommandLine([...args, '--force'], fakeWorld())).toBe(0);
      expect(JSON.parse(await readFile(out, 'utf8'))).toMatchObject({ samples: 90, device: 'cpu' });
    });
  });
});
