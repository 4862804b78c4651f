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

const ROOT = resolve(__dirname, '../..');
const EXAMPLE = /```js\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, 'docs/masks.md'), 'utf8'))?.[1] ?? '';

interface Answer {
  readonly before: { readonly parameters: number; readonly macs: number; readonly bytes: number };
  readonly after: { readonly parameters: number; readonly macs: number; readonly bytes: number };
  readonly equal: boolean;
  readonly relativeDifference: number;
}

const asCommonJs = `(async () => {\n${EXAMPLE.replace(/^import \* as sieve from ('.*');$/m, 'const sieve = require($1);')}\n})();\n`;

test.each([
  ['an ES module', 'use.mjs', EXAMPLE],
  ['a CommonJS module', 'use.cjs', asCommonJs],
])(
  'the example of docs/masks.md runs as %s',
  (_, file, code) => {
    expect(EXAMPLE.split('\n').length).toBeGreaterThan(15);
    expect(existsSync(join(ROOT, 'dist/index.mjs'))).toBe(true);
    const folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-masks-'));
    try {
      mkdirSync(join(folder, 'node_modules'));
      symlinkSync(ROOT, join(folder, 'node_modules', 'onnx-sieve'), 'junction');
      copyFileSync(join(ROOT, 'src/assets/demo/resnet14_shapes.onnx'), join(folder, 'model.onnx'));
      writeFileSync(join(folder, file), code);
      const printed = execFileSync(process.execPath, [file], { cwd: folder, encoding: 'utf8' });
      const { before, after, equal, relativeDifference } = JSON.parse(printed) as Answer;
      expect(equal).toBe(true);
      expect(relativeDifference).toBeLessThanOrEqual(1e-4);
      expect(before.parameters).toBe(175_258);
      expect(after.parameters).toBeLessThan(0.6 * before.parameters);
      expect(after.macs).toBeLessThan(0.65 * before.macs);
      expect(readFileSync(join(folder, 'smaller.onnx')).length).toBe(after.bytes);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  60_000,
);
