import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type * as Load from '../../src/binding/load';
import { addonFile } from './addonFile';

const ADDON = 'ONNX_SIEVE_ADDON';
const before = process.env[ADDON];
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'onnx-sieve-load-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  if (before === undefined) delete process.env[ADDON];
  else process.env[ADDON] = before;
});

/** The loader as in a fresh process, with ONNX_SIEVE_ADDON set. */
function freshLoader(addon: string): typeof Load {
  process.env[ADDON] = addon;
  let loader: typeof Load | undefined;
  jest.isolateModules(() => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    loader = require('../../src/binding/load') as typeof Load;
  });
  return loader!;
}

function failureOf(loader: typeof Load): { code: string; message: string; remedy: string; cause: AggregateError } {
  try {
    loader.loadAddon();
  } catch (error) {
    return error as ReturnType<typeof failureOf>;
  }
  throw new Error('Expected no addon but one was loaded');
}

test('takes the file that ONNX_SIEVE_ADDON names, once', () => {
  const loader = freshLoader(addonFile());
  expect(loader.loadAddon().version).toMatch(/^\d/);
  expect(loader.loadAddon()).toBe(loader.loadAddon());
});

test('a file that is not there: which, and what to do', () => {
  const missing = path.join(folder, 'missing.node');
  const failure = failureOf(freshLoader(missing));
  expect(failure.code).toBe('ERR_NATIVE_MISSING');
  expect(failure.message).toContain(`${missing}: there is no such file`);
  for (const remedy of ['npm rebuild onnx-sieve', 'npm approve-scripts', 'CMake', 'C++17 compiler'])
    expect(failure.remedy).toContain(remedy);
});

test('a file that does not load keeps its cause', () => {
  const broken = path.join(folder, 'broken.node');
  writeFileSync(broken, 'not a library');
  const failure = failureOf(freshLoader(broken));
  expect(failure.message).toContain(broken);
  expect(failure.cause.errors).toHaveLength(1);
  expect((failure.cause.errors as Error[])[0]!.message).toContain('broken.node');
});
