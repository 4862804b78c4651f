import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runDemo } from '../../src/compress/demo';
import { DEMO_FILES, writeImages } from '../../src/compress/demoFiles';
import { evaluate } from '../../src/compress/evaluate';
import { inspect } from '../../src/compress/inspect';
import { parseModel } from '../../src/onnx/load';

// Sessions start, and machines are shared.
jest.setTimeout(120_000);

const NETWORK = resolve(__dirname, '../../src/assets/demo/resnet14_shapes.onnx');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onnx-sieve-demo-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('the shipped network', () => {
  test('is small, and keeps its batch normalisations', async () => {
    const bytes = await readFile(NETWORK);
    expect(bytes.length).toBeLessThan(1e6);
    const model = parseModel(bytes);
    const operators = model.graph.nodes.map(({ opType }) => opType);
    expect(operators.filter((operator) => operator === 'BatchNormalization')).toHaveLength(15);
    expect(operators.filter((operator) => operator === 'Add')).toHaveLength(6);

    const { parameters, macs, input, groups } = await inspect(NETWORK);
    expect(parameters).toBe(175_258);
    expect(macs / 26.8e6).toBeCloseTo(1, 2);
    expect(input).toEqual({ name: 'input', shape: ['batch', 3, 32, 32] });
    expect(groups.filter(({ prunable }) => prunable)).toHaveLength(9);
  });

  test('tells the rendered classes apart as docs/demo.md says, and not perfectly', async () => {
    const data = await writeImages(
      folder,
      { images: DEMO_FILES.testImages, description: DEMO_FILES.test },
      {
        split: 'test',
        size: 600,
        seed: 20,
        normalization: { scale: '1/255', mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
      },
    );
    const { top1, perClass } = await evaluate(NETWORK, { data, device: 'cpu', threads: 2 });
    expect(top1).toBeGreaterThan(0.91);
    expect(top1).toBeLessThan(0.975);
    for (const { samples } of perClass) expect(samples).toBe(60);
  });
});

describe('runDemo', () => {
  test('refuses before any work a folder where it would replace a file of others', async () => {
    await writeFile(join(folder, DEMO_FILES.report), 'precious');
    const messages: string[] = [];
    const running = runDemo({ outputDirectory: folder, onMessage: (text) => messages.push(text) });
    await expect(running).rejects.toMatchObject({ code: 'ERR_OUTPUT_EXISTS' });
    expect(messages).toEqual([]);
    expect(await readdir(folder)).toEqual([DEMO_FILES.report]);
  });

  test('stops when it is told to, and a later run takes the folder again', async () => {
    const controller = new AbortController();
    const output = join(folder, 'out');
    const cancelled = runDemo({
      outputDirectory: output,
      signal: controller.signal,
      onProgress: ({ stage }) => {
        if (stage === 'render calibration images') controller.abort();
      },
    });
    await expect(cancelled).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
    const left = await readdir(output);
    expect(left).not.toContain(DEMO_FILES.compressed);
    expect(left.filter((name) => name.endsWith('.tmp'))).toEqual([]);

    const again = new AbortController();
    const second = runDemo({ outputDirectory: output, signal: again.signal, onMessage: () => again.abort() });
    await expect(second).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  });
});
