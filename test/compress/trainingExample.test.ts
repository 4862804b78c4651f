import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { maskFromKeptSlots } from '../../src/compress/channelMasks';
import { writeImages } from '../../src/compress/demoFiles';
import { cutChannels, listChannelGroups } from '../../src/compress/masking';

jest.setTimeout(180_000);

const ROOT = resolve(__dirname, '../..');
const MODEL = join(ROOT, 'src/assets/demo/resnet14_shapes.onnx');
const EXAMPLE = /```js\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'docs/training.md'), 'utf8'))?.[1] ?? '';
const NORMALIZATION = { scale: '1/255', mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] } as const;

interface Answer {
  readonly before: { readonly top1: number; readonly loss: number };
  readonly after: { readonly top1: number; readonly loss: number };
  readonly epoch: number;
  readonly top1: number;
}

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-finetune-'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(ROOT, join(folder, 'node_modules', 'onnx-sieve'), 'junction');
  copyFileSync(MODEL, join(folder, 'model.onnx'));
  for (const [name, split, size] of [
    ['train', 'calibration', 640],
    ['test', 'test', 200],
  ] as const) {
    const files = { images: `${name}.bin`, description: `${name}.json` };
    await writeImages(folder, files, { split, size, seed: 0, normalization: NORMALIZATION });
  }
  // The first three quarters of every group: far from the best choice, so there is something to bring back.
  const groups = (await listChannelGroups(MODEL)).filter(({ prunable }) => prunable);
  const kept = groups.map(({ id, size }) => [id, Array.from({ length: Math.ceil(0.75 * size) }, (_, slot) => slot)]);
  const mask = maskFromKeptSlots(groups, Object.fromEntries(kept) as Record<string, number[]>);
  await cutChannels(MODEL, mask, { output: join(folder, 'smaller.onnx') });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const asCommonJs = `(async () => {\n${EXAMPLE.replace(/^import (\{.*\}) from ('.*');$/m, 'const $1 = require($2);')}\n})();\n`;

test.each([
  ['an ES module', 'use.mjs', EXAMPLE],
  ['a CommonJS module', 'use.cjs', asCommonJs],
])('the example of docs/training.md runs as %s', (_, file, code) => {
  expect(EXAMPLE.split('\n').length).toBeGreaterThan(15);
  expect(existsSync(join(ROOT, 'dist/index.mjs'))).toBe(true);
  rmSync(join(folder, 'trained.onnx'), { force: true });
  writeFileSync(join(folder, file), code);
  const printed = execFileSync(process.execPath, [file], { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
  const { before, after, epoch, top1 } = JSON.parse(printed) as Answer;
  expect(before.top1).toBeLessThan(0.5);
  expect(after.top1).toBeGreaterThan(before.top1 + 0.3);
  expect(after.loss).toBeLessThan(before.loss);
  expect(epoch).toBe(3);
  expect(top1).toBeCloseTo(after.top1, 6);
  expect(existsSync(join(folder, 'trained.onnx'))).toBe(true);
  expect(existsSync(join(folder, 'trained.onnx.checkpoint'))).toBe(false);
});
