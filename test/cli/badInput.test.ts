import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Model } from '../../src/onnx/ir';
import { serializeModel } from '../../src/onnx/save';
import { float32Tensor, rawTensor } from '../../src/onnx/tensor';
import { jpeg, randomPixels, temporaryFolder, writeTree } from '../activations/support/images';
import { toyNetwork } from '../compress/support/networks';
import { toyImages, writeImageFolder, writeNpz } from '../compress/support/toyData';
import { ModelBuilder } from '../support/modelBuilder';

jest.setTimeout(120_000);

const BINARY = resolve(__dirname, '../../dist/cli.cjs');
/** Runs at once: more would crowd out the tests beside this one. */
const LANES = 2;

interface Finished {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: readonly string[]): Promise<Finished> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [BINARY, ...args], { cwd: tmpdir(), stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', failed);
    child.on('close', (exitCode) => done({ exitCode, stdout, stderr }));
  });
}

/** What a failed run must look like. `message` and `remedy` are parts of those lines; @ in them stands for the folder. */
interface Failure {
  readonly what: string;
  /** Arguments; @ stands for the folder that holds the files. */
  readonly args: string;
  readonly exitCode: number;
  readonly code: string;
  readonly message: readonly string[];
  readonly remedy?: string;
}

const DATA = '--data @/data.npz';
const COMPRESS = 'compress @/good.onnx';
const BUDGET = '--flops 0.7 --criterion l1 --recover none --device cpu --threads 1';

const unreadable = { exitCode: 3, code: 'ERR_MODEL_UNREADABLE' };
const unsupported = { exitCode: 3, code: 'ERR_MODEL_UNSUPPORTED' };
const notFinite = { exitCode: 3, code: 'ERR_NON_FINITE' };
const badData = { exitCode: 3, code: 'ERR_DATA_UNREADABLE' };

const FAILURES: readonly Failure[] = [
  { what: 'text as a model', args: 'inspect @/text.onnx', ...unreadable, message: ['@/text.onnx'] },
  { what: 'an image as a model', args: `evaluate @/picture.onnx ${DATA}`, ...unreadable, message: ['@/picture.onnx'] },
  { what: 'an empty file', args: 'inspect @/empty.onnx', ...unreadable, message: ['@/empty.onnx', 'empty'] },
  { what: 'a truncated model', args: `analyze @/truncated.onnx ${DATA}`, ...unreadable, message: ['@/truncated.onnx'] },
  {
    what: 'a truncated model to compress',
    args: `compress @/truncated.onnx ${DATA} ${BUDGET} -o @/out/new.onnx`,
    ...unreadable,
    message: ['@/truncated.onnx'],
  },
  { what: 'no such model', args: 'inspect @/nowhere.onnx', ...unreadable, message: ['@/nowhere.onnx'] },
  { what: 'a folder as a model', args: 'inspect @/out', ...unreadable, message: ['@/out'] },
  {
    what: 'a model without image input',
    args: `evaluate @/vectors.onnx ${DATA}`,
    ...unsupported,
    message: ['one image input', 'input: float32 [N, 12]'],
  },
  {
    what: 'a model that is no classifier',
    args: `compress @/segmentation.onnx ${DATA} ${BUDGET} -o @/out/new.onnx`,
    ...unsupported,
    message: ['[N, classes]', 'map: float32 [N, 4, 8, 8]'],
  },
  {
    what: 'an operator of an unknown domain',
    args: `compress @/custom.onnx ${DATA} ${BUDGET} -o @/out/new.onnx`,
    ...unsupported,
    message: ['Magic of domain "com.example"', '"trick"'],
  },
  {
    what: 'a quantised model',
    args: `compress @/quantized.onnx ${DATA} ${BUDGET} -o @/out/new.onnx`,
    ...unsupported,
    message: ['quantised operator QuantizeLinear', '"quantize"'],
    remedy: 'quantise the result',
  },
  {
    what: 'more class folders than the model has classes',
    args: 'evaluate @/good.onnx --data @/five',
    exitCode: 3,
    code: 'ERR_DATA_MISMATCH',
    message: ['4 classes', '@/five', '5 ('],
  },
  {
    what: 'a label beyond the classes',
    args: 'analyze @/good.onnx --data @/beyond.npz',
    exitCode: 3,
    code: 'ERR_DATA_MISMATCH',
    message: ['@/beyond.npz', '7'],
  },
  { what: 'no such data', args: 'analyze @/good.onnx --data @/nowhere', ...badData, message: ['@/nowhere'] },
  {
    what: 'an empty folder',
    args: `${COMPRESS} --data @/out ${BUDGET} -o @/out/new.onnx`,
    ...badData,
    message: ['@/out', 'no image'],
  },
  {
    what: 'images beside class folders',
    args: 'evaluate @/good.onnx --data @/mixed',
    ...badData,
    message: ['@/mixed', '1 image directly inside', 'stray.png'],
  },
  {
    what: 'a corrupt JPEG',
    args: 'evaluate @/jpeg.onnx --data @/corrupt --device cpu',
    exitCode: 3,
    code: 'ERR_IMAGE_CORRUPT',
    message: ['class1/2.jpg'],
    remedy: '--skip-corrupt',
  },
  {
    what: 'a truncated archive',
    args: 'evaluate @/good.onnx --data @/truncated.npz',
    ...badData,
    message: ['@/truncated.npz'],
  },
  {
    what: 'a description that is no JSON',
    args: 'evaluate @/good.onnx --data @/broken.json',
    ...badData,
    message: ['@/broken.json', 'JSON'],
  },
  {
    what: 'a description with an unknown field',
    args: 'evaluate @/good.onnx --data @/field.json',
    ...badData,
    message: ['@/field.json', '"lables"'],
  },
  {
    what: 'NaN in the network, evaluated',
    args: `evaluate @/nan.onnx ${DATA} --device cpu`,
    ...notFinite,
    message: ['finite classifier outputs', 'sample 0', 'NaN'],
  },
  {
    what: 'NaN in the network, analysed',
    args: `analyze @/nan.onnx ${DATA} --device cpu`,
    ...notFinite,
    message: ['tensor "relu_', 'of sample 0', 'NaN'],
  },
  {
    what: 'NaN in the network, compressed',
    args: `compress @/nan.onnx ${DATA} ${BUDGET} -o @/out/new.onnx`,
    ...notFinite,
    message: ['finite', 'sample', 'NaN'],
  },
  {
    what: 'weights that make infinities',
    args: `analyze @/huge.onnx ${DATA} --device cpu`,
    ...notFinite,
    message: ['tensor "relu_', 'of sample', 'Infinity'],
  },
  {
    what: 'an output in a folder that is not there',
    args: `${COMPRESS} ${DATA} ${BUDGET} -o @/no/such/new.onnx`,
    exitCode: 3,
    code: 'ERR_OUTPUT_UNWRITABLE',
    message: ['@/no/such/new.onnx'],
    remedy: 'Create the folder "@/no/such" first.',
  },
  {
    what: 'an output below a file',
    args: `${COMPRESS} ${DATA} ${BUDGET} -o @/text.onnx/new.onnx`,
    exitCode: 3,
    code: 'ERR_OUTPUT_UNWRITABLE',
    message: ['@/text.onnx/new.onnx'],
  },
  {
    what: 'a folder as output',
    args: `${COMPRESS} ${DATA} ${BUDGET} -o @/out --force`,
    exitCode: 3,
    code: 'ERR_OUTPUT_UNWRITABLE',
    message: ['@/out'],
  },
  {
    what: 'an output that exists',
    args: `${COMPRESS} ${DATA} ${BUDGET} -o @/text.onnx`,
    exitCode: 2,
    code: 'ERR_OUTPUT_EXISTS',
    message: ['@/text.onnx'],
    remedy: '--force',
  },
  {
    what: 'a report that exists',
    args: `${COMPRESS} ${DATA} ${BUDGET} -o @/out/new.onnx --report @/text.onnx`,
    exitCode: 2,
    code: 'ERR_OUTPUT_EXISTS',
    message: ['@/text.onnx'],
    remedy: '--force',
  },
  {
    what: 'no budget',
    args: `${COMPRESS} ${DATA} -o @/out/new.onnx`,
    exitCode: 2,
    code: 'ERR_OPTION',
    message: ['--flops', '--max-drop'],
  },
];

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let before: Readonly<Record<string, string>>;
const finished = new Map<string, Finished>();
const present = existsSync(BINARY);
if (!present) console.warn(`Not run, because ${BINARY} is missing: run "npm run build".`);

const at = (name: string): string => join(folder.path, name);
const inFolder = (text: string): string => text.replaceAll('@', folder.path);

beforeAll(async () => {
  folder = await temporaryFolder();
  if (!present) return;
  await writeInputs();
  before = await contentsOf(folder.path);
  const waiting = [...FAILURES];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      finished.set(next.what, await run([...inFolder(next.args).split(' '), '--json', '--quiet']));
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
});
afterAll(() => folder.remove());

async function writeInputs(): Promise<void> {
  const good = await toyNetwork('vgg');
  const bytes = serializeModel(good);
  const images = toyImages(120, 2);
  await mkdir(at('out'));
  await writeNpz(at('data.npz'), images);
  await writeNpz(at('beyond.npz'), {
    ...images,
    labels: images.labels.map((label, index) => (index === 50 ? 7 : label)),
  });
  await writeImageFolder(at('five'), { ...toyImages(10, 1), labels: Int32Array.from({ length: 10 }, (_, n) => n % 5) });
  await writeImageFolder(at('mixed'), toyImages(8, 1));
  await cp(at('mixed/class0/0000.png'), at('mixed/stray.png'));
  await writeFile(at('picture.onnx'), await readFile(at('mixed/stray.png')));
  await writeFile(at('truncated.npz'), (await readFile(at('data.npz'))).subarray(0, 5000));
  const picture = await jpeg(randomPixels(1, 8 * 8 * 3), 8, 8);
  const corrupt: Record<string, Buffer | string> = {};
  for (let label = 0; label < 4; label++) {
    for (const name of ['1.jpg', '2.jpg', '3.jpg']) corrupt[`class${label}/${name}`] = picture;
  }
  corrupt['class1/2.jpg'] = picture.subarray(0, picture.length - 60);
  await writeTree(at('corrupt'), corrupt);
  await writeTree(folder.path, {
    'good.onnx': bytes,
    'jpeg.onnx': bytes,
    'text.onnx': 'this is no model, but somebody needs it',
    'empty.onnx': '',
    'truncated.onnx': bytes.subarray(0, bytes.length / 2),
    'broken.json': '{"kind": "npz", "path": ',
    'field.json': JSON.stringify({ kind: 'npz', path: 'data.npz', lables: 'labels' }),
    'vectors.onnx': vectorNetwork(),
    'segmentation.onnx': segmentationNetwork(),
    'custom.onnx': customNetwork(),
    'quantized.onnx': quantizedNetwork(),
    'nan.onnx': serializeModel(withFirstWeights(good, NaN)),
    'huge.onnx': serializeModel(withFirstWeights(good, 3e38)),
  });
}

function vectorNetwork(): Uint8Array {
  const b = new ModelBuilder();
  b.output(b.gemm(b.input('input', ['N', 12]), 12, 4, { outputs: ['logits'] }), ['N', 4]);
  return b.bytes();
}

function segmentationNetwork(): Uint8Array {
  const b = new ModelBuilder();
  b.output(b.conv(b.input('input', ['N', 3, 8, 8]), 3, 4, 1, {}, { outputs: ['map'] }), ['N', 4, 8, 8]);
  return b.bytes();
}

function customNetwork(): Uint8Array {
  const b = new ModelBuilder();
  b.domain('com.example');
  const x = b.node('Magic', [b.input('input', ['N', 3, 8, 8])], {}, { name: 'trick', domain: 'com.example' });
  b.output(b.gemm(b.node('Flatten', [x]), 192, 4), ['N', 4]);
  return b.bytes();
}

function quantizedNetwork(): Uint8Array {
  const b = new ModelBuilder();
  const scale = b.initializer(float32Tensor('scale', [], [0.1]));
  const zero = b.initializer(rawTensor('zero', [], 'uint8', Uint8Array.of(128)));
  const quantized = b.node('QuantizeLinear', [b.input('input', ['N', 3, 8, 8]), scale, zero], {}, { name: 'quantize' });
  const x = b.node('DequantizeLinear', [quantized, scale, zero]);
  b.output(b.gemm(b.node('Flatten', [x]), 192, 4), ['N', 4]);
  return b.bytes();
}

function withFirstWeights(model: Model, value: number): Model {
  const weight = model.graph.nodes.find(({ opType }) => opType === 'Conv')!.inputs[1]!;
  const { dims } = model.graph.initializers.get(weight)!;
  const values = new Float32Array(dims.reduce((product, dim) => product * dim, 1)).fill(value);
  const initializers = new Map([...model.graph.initializers, [weight, float32Tensor(weight, dims, values)] as const]);
  return { ...model, graph: { ...model.graph, initializers } };
}

/** Every file below a folder with a hash of its contents. */
async function contentsOf(path: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of await readdir(path, { recursive: true })) {
    const file = join(path, name);
    const isFolder = (await stat(file)).isDirectory();
    found[name] = isFolder
      ? 'folder'
      : createHash('sha256')
          .update(await readFile(file))
          .digest('hex');
  }
  return found;
}

describe('one line, a remedy and the exit code', () => {
  test.each(FAILURES)('$what', ({ what, exitCode, code, message, remedy }) => {
    if (!present) return;
    const { stdout, stderr, exitCode: received } = finished.get(what)!;
    expect({ received, stderr }).toMatchObject({ received: exitCode });
    const document = JSON.parse(stdout) as {
      error: { code: string; message: string; remedy: string; exitCode: number };
    };
    expect(document).toEqual({ error: expect.objectContaining({ code, exitCode }) as unknown });
    expect(document.error.message).toMatch(/^Expected .* but received .+$/);
    expect(document.error.remedy).toMatch(/^[A-Z].*[.?]$/);
    expect(stderr).toBe(`${document.error.message}\n${document.error.remedy}\n`);
    for (const part of message) expect(stderr.split('\n')[0]).toContain(inFolder(part));
    expect(stderr.split('\n')[1]).toContain(inFolder(remedy ?? ''));
  });

  test('and nothing was written, changed or taken away', async () => {
    if (!present) return;
    expect(await contentsOf(folder.path)).toEqual(before);
  });
});

test('without --json stdout stays empty, and only --debug shows a stack', async () => {
  if (!present) return;
  const args = ['inspect', at('truncated.onnx')];
  const [plain, debug] = await Promise.all([run(args), run([...args, '--debug'])]);
  expect(plain).toMatchObject({ exitCode: 3, stdout: '' });
  expect(plain.stderr).toMatch(/^Expected [^\n]+ but received [^\n]+\n[A-Z][^\n]+\n$/);
  expect(debug).toMatchObject({ exitCode: 3, stdout: '' });
  expect(debug.stderr.startsWith(plain.stderr)).toBe(true);
  expect(debug.stderr).toMatch(/\n {4}at /);
});

test('corrupt images are left out and counted where that is asked for', async () => {
  if (!present) return;
  const args = ['evaluate', at('jpeg.onnx'), '--data', at('corrupt'), '--device', 'cpu', '--skip-corrupt', '--json'];
  const { exitCode, stdout, stderr } = await run(args);
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ samples: 11 });
  expect(stderr).toMatch(/1 corrupt images? left out .*class1\/2\.jpg/);
});

describe('a budget that can not be met', () => {
  test('ends with 1; the nearest network and the reason are written', async () => {
    if (!present) return;
    const output = at('smallest.onnx');
    const rest = ['--criterion', 'l1', '--recover', 'none', '--device', 'cpu', '--threads', '1', '-o', output];
    const args = ['compress', at('good.onnx'), '--data', at('data.npz'), '--flops', '0.001', ...rest];
    const first = await run([...args, '--json']);
    expect(first.exitCode).toBe(1);
    const document = JSON.parse(first.stdout) as { unmet: string; after: { bytes: number } };
    expect(document.unmet).toContain('instead of 0.1 %');
    expect((await stat(output)).size).toBe(document.after.bytes);
    expect((await run(['inspect', output])).exitCode).toBe(0);

    const second = await run([...args, '--force']);
    expect(second.exitCode).toBe(1);
    expect(second.stdout).toContain(`Budget not met: ${document.unmet}`);
  });
});
