import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');
const MINUTE = 60_000;

/** The environment without what npm told the scripts of this checkout; no CUDA binaries are fetched. */
const environment = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.toLowerCase().startsWith('npm_'))),
  ONNXRUNTIME_NODE_INSTALL: 'skip',
};
const onWindows = process.platform === 'win32';

let folder: string;
let consumer: string;
let tarball: string;

function npm(args: readonly string[], cwd: string): string {
  return execFileSync(onWindows ? 'npm.cmd' : 'npm', args, {
    cwd,
    env: environment,
    encoding: 'utf8',
    shell: onWindows,
    stdio: 'pipe',
  });
}

function node(args: readonly string[]): string {
  return execFileSync(process.execPath, args, { cwd: consumer, env: environment, encoding: 'utf8' });
}

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

let packed: Packed;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'onnx-sieve-package-'));
  consumer = join(folder, 'consumer');
  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), '{ "name": "consumer", "version": "1.0.0", "private": true }\n');
  packed = (JSON.parse(npm(['pack', '--json', '--pack-destination', folder], ROOT)) as Packed[])[0]!;
  tarball = join(folder, basename(packed.filename));
  npm(['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], consumer);
}, 10 * MINUTE);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the package holds what an installation needs and nothing else', () => {
  const paths = packed.files.map(({ path }) => path);
  const needed = [
    'LICENSE',
    'README.md',
    'package.json',
    'CMakeLists.txt',
    'binding.gyp',
    'native/sources.json',
    'native/include/sieve/sieve.h',
    'native/cmake/SieveInstall.cmake',
    'native/examples/npy_separation_index.c',
    'scripts/install.mjs',
    'dist/index.cjs',
    'dist/index.mjs',
    'dist/index.d.ts',
    'dist/index.d.mts',
    'dist/cli.cjs',
    'dist/session-worker.cjs',
    'src/assets/bench/peer.py',
    'src/assets/demo/resnet14_shapes.onnx',
  ];
  expect(needed.filter((path) => !paths.includes(path))).toEqual([]);
  const allowed = /^(dist|native|src\/assets|scripts\/native)\/|^[^/]+$|^scripts\/install\.mjs$/;
  expect(paths.filter((path) => !allowed.test(path) || /\.(map|ts\.orig|node|o)$/.test(path))).toEqual([]);
  expect(packed.size).toBeLessThan(2_000_000);
});

test('installing it builds the addon', () => {
  expect(existsSync(join(consumer, 'node_modules', 'onnx-sieve', 'build', 'Release', 'onnx_sieve.node'))).toBe(true);
});

test('a native build of the package needs no Node and finds every file that it installs', () => {
  const build = join(folder, 'native');
  const source = join(consumer, 'node_modules', 'onnx-sieve');
  execFileSync('cmake', ['-S', source, '-B', build, '-DSIEVE_BUILD_EXAMPLES=ON'], { encoding: 'utf8', stdio: 'pipe' });
  const settings = readFileSync(join(build, 'CMakeCache.txt'), 'utf8');
  expect(settings).toMatch(/^SIEVE_BUILD_NODE:BOOL=OFF$/m);
  expect(settings).toMatch(/^SIEVE_INSTALL:BOOL=ON$/m);
  const installed = readFileSync(join(build, 'cmake_install.cmake'), 'utf8');
  const sources = [...installed.matchAll(/"([^"\n]*node_modules\/onnx-sieve\/[^"\n]*)"/g)].map((match) => match[1]!);
  expect(sources.map((file) => basename(file))).toEqual(expect.arrayContaining(['sieve.h', 'LICENSE']));
  expect(sources.filter((file) => !existsSync(file))).toEqual([]);
}, 60_000);

/** 40 images of noise in CIFAR-10's binary form: a label and 3 · 32 · 32 bytes each. */
function writeNoise(file: string): void {
  const records = Array.from({ length: 40 }, (_, index) => {
    const record = new Uint8Array(3073).map((_value, at) => (index * 7919 + at * 104_729) % 251);
    record[0] = index % 10;
    return record;
  });
  writeFileSync(file, Buffer.concat(records));
}

const USE = `
const require = createRequire(join(process.cwd(), 'package.json'));
const model = join(dirname(require.resolve('onnx-sieve/package.json')), 'src/assets/demo/resnet14_shapes.onnx');
async function use() {
  const features = Float32Array.of(0, 1, 10, 11, 20, 21);
  const { si } = await separationIndex(features, Int32Array.of(0, 0, 1, 1, 0, 1), { rows: 6, dims: 1, classes: 2 });
  const { parameters } = await inspect(model);
  const { samples } = await evaluate(model, { data: { path: 'noise.bin', kind: 'cifar-binary' }, device: 'cpu' });
  const refused = await inspect('absent.onnx').catch((error) => [error instanceof SieveError, error.code]);
  console.log(JSON.stringify({ si, parameters, samples, refused }));
}
use();
`;
const NAMES = 'SieveError, evaluate, inspect, separationIndex';

test.each([
  [
    'an ES module',
    'use.mjs',
    `import { createRequire } from 'node:module';
     import { dirname, join } from 'node:path';
     import { ${NAMES} } from 'onnx-sieve';`,
  ],
  [
    'a CommonJS module',
    'use.cjs',
    `const { createRequire } = require('node:module');
     const { dirname, join } = require('node:path');
     const { ${NAMES} } = require('onnx-sieve');`,
  ],
])(
  'code that is %s uses the kernels, the ONNX reader and the runtime',
  (_kind, file, imports) => {
    writeNoise(join(consumer, 'noise.bin'));
    const use = file.endsWith('.cjs') ? USE.replace(/^const require = .*$/m, '') : USE;
    writeFileSync(join(consumer, file), `${imports}\n${use}`);
    const answer: unknown = JSON.parse(node([file]));
    expect(answer).toEqual({
      si: 4 / 6,
      parameters: 175_258,
      samples: 40,
      refused: [true, 'ERR_MODEL_UNREADABLE'],
    });
  },
  2 * MINUTE,
);

const TYPED = `
import { compress, inspect, isSieveError, separationIndex } from 'onnx-sieve';
import type { CompressOptions, CompressResult, InspectResult } from 'onnx-sieve';

const options: CompressOptions = { data: 'images', flops: 0.7, criterion: 'si', signal: new AbortController().signal };
export async function use(): Promise<number> {
  const result: CompressResult = await compress('model.onnx', options);
  const inspected: InspectResult = await inspect('model.onnx');
  const { si } = await separationIndex(new Float32Array(4), Int32Array.of(0, 0, 1, 1), { rows: 4, dims: 1, classes: 2 });
  // @ts-expect-error: no such criterion
  const wrong: CompressOptions = { data: 'images', criterion: 'alphabetical' };
  try {
    await compress('model.onnx', wrong);
  } catch (error) {
    if (isSieveError(error)) console.log(error.code.length);
  }
  return si + inspected.parameters + result.after.top1;
}
`;

test.each([
  ['node16', 'node16'],
  ['nodenext', 'nodenext'],
  ['bundler', 'esnext'],
])(
  'TypeScript understands its types under moduleResolution %s',
  (moduleResolution, module) => {
    const files = moduleResolution === 'bundler' ? ['typed.ts'] : ['typed.mts', 'typed.cts'];
    for (const file of files) writeFileSync(join(consumer, file), TYPED);
    const configuration = {
      compilerOptions: {
        moduleResolution,
        module,
        target: 'es2022',
        lib: ['es2022', 'dom'],
        types: [],
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        exactOptionalPropertyTypes: true,
      },
      files,
    };
    writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify(configuration));
    expect(node([join(ROOT, 'node_modules/typescript/bin/tsc'), '--pretty', 'false'])).toBe('');
  },
  2 * MINUTE,
);

test('the command is there', () => {
  const version = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;
  expect(npm(['exec', '--no', '--', 'onnx-sieve', '--version'], consumer).trim()).toBe(version);
  const help = npm(['exec', '--no', '--', 'onnx-sieve', '--help'], consumer);
  for (const verb of ['inspect', 'analyze', 'compress', 'evaluate', 'demo']) expect(help).toContain(verb);
}, 60_000);
