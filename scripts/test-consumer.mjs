// Installs the native library, moves what was installed, and builds and runs against it what test/native/consumer and
// native/examples hold: with CMake from C and C++, with pkg-config, embedded, and with every compiler that is there.
// Builds are kept in build-consumer/; everything else is in a temporary folder. For Unix.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './native/stamp.mjs';
import { compareExports } from './exports.mjs';

const PYTHON = process.env.SIEVE_TEST_PYTHON ?? '/usr/bin/python3';
const THREADS = String(os.availableParallelism());
const LIBRARY = process.platform === 'darwin' ? 'libsieve.dylib' : 'libsieve.so';
const LIBRARY_PATH = process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH';
const STRICT = ['-pedantic', '-Wall', '-Wextra', '-Werror'];
const C99 = ['-std=c99', '-Wstrict-prototypes', ...STRICT];
const CXX17 = ['-std=c++17', ...STRICT];
const COMPILERS = [
  { name: 'default', cc: process.env.CC ?? 'cc', cxx: process.env.CXX ?? 'c++' },
  { name: 'gcc', cc: 'gcc', cxx: 'g++' },
  { name: 'clang', cc: 'clang', cxx: 'clang++' },
];

class Failure extends Error {}

const kept = path.join(root, 'build-consumer');
const source = path.join(root, 'test', 'native', 'consumer');
const examples = ['npy_separation_index.c', 'npy.c'].map((name) => path.join(root, 'native', 'examples', name));
const folder = mkdtempSync(path.join(os.tmpdir(), 'onnx-sieve-consumer-'));
const prefix = path.join(folder, 'moved');

/** Runs a command, whose output is shown only where it fails, and returns its stdout without the last line's end. */
function run(command, args, { env = {}, cwd = folder } = {}) {
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, ...env },
  });
  if (error !== undefined) throw new Failure(`${command}: ${error.message}`);
  if (status !== 0)
    throw new Failure(
      `${stdout}${stderr}\n${[command, ...args].join(' ')} ended with ${signal ?? `exit code ${status}`}`,
    );
  return stdout.trimEnd();
}

function isInstalled(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

function expect(condition, message) {
  if (!condition) throw new Failure(message);
}

function cmake(from, build, settings) {
  run('cmake', ['-S', from, '-B', build, '-DCMAKE_BUILD_TYPE=Release', ...settings]);
  run('cmake', ['--build', build, '--parallel', THREADS]);
}

// ---- What is installed ---------------------------------------------------------------------------------

function install() {
  const build = path.join(kept, 'library');
  cmake(root, build, ['-DSIEVE_WARNINGS_AS_ERRORS=ON', '-DBUILD_SHARED_LIBS=OFF']);
  const first = path.join(folder, 'first');
  run('cmake', ['--install', build, '--prefix', first]);
  renameSync(first, prefix);
  const stage = path.join(folder, 'stage');
  run('cmake', ['--install', build], { env: { DESTDIR: stage } });

  const files = (place) =>
    readdirSync(place, { recursive: true, withFileTypes: true }).filter((file) => !file.isDirectory());
  expect(files(stage).length === files(prefix).length, 'Expected the same files below DESTDIR as below a prefix');
  for (const file of files(prefix).filter(({ name }) => /\.(cmake|pc)$/.test(name))) {
    const text = readFileSync(path.join(file.parentPath ?? file.path, file.name), 'utf8');
    for (const place of [root, folder])
      expect(!text.includes(place), `Expected no path into ${place} in ${file.name}, or it can not be moved`);
  }
}

function checkSharedLibrary() {
  const library = path.join(prefix, 'lib', LIBRARY);
  const { undeclared, missing, declared } = compareExports(
    readFileSync(path.join(prefix, 'include', 'sieve', 'sieve.h'), 'utf8'),
    exportedNames(library),
  );
  expect(undeclared.length === 0, `Expected only what sieve.h declares to be exported but received ${undeclared}`);
  expect(missing.length === 0, `Expected all that sieve.h declares to be exported but ${missing} is not`);
  console.log(`${declared.length} functions declared, the same exported`);
  if (process.platform !== 'linux') return;
  const [major, minor] = version.split('.');
  const expected = `libsieve.so.${major === '0' ? `${major}.${minor}` : major}`;
  expect(run('readelf', ['-d', library]).includes(`[${expected}]`), `Expected ${expected} for the SONAME`);
}

/** The names that a shared library offers to others, as C spells them. */
function exportedNames(library) {
  const mac = process.platform === 'darwin';
  const lines = run('nm', mac ? ['-gU', library] : ['-D', '--defined-only', library]).split('\n');
  return lines.map((line) =>
    line
      .trim()
      .split(/\s+/)
      .at(-1)
      .replace(mac ? /^_/ : /^$/, ''),
  );
}

// ---- Consumers -----------------------------------------------------------------------------------------

/** A build folder that does not remember what an earlier run found. */
const fresh = (name) => path.join(folder, name);

function cmakeConsumers({ name, cc, cxx }) {
  const common = [`-DCMAKE_PREFIX_PATH=${prefix}`, `-DCMAKE_C_COMPILER=${cc}`, `-DEXPECTED_VERSION=${version}`];
  for (const [label, type, settings] of [
    ['by default', 'STATIC_LIBRARY', []],
    ['BUILD_SHARED_LIBS', 'SHARED_LIBRARY', ['-DBUILD_SHARED_LIBS=ON']],
    ['COMPONENTS static', 'STATIC_LIBRARY', ['-DSIEVE_COMPONENT=static', '-DBUILD_SHARED_LIBS=ON']],
    ['COMPONENTS shared', 'SHARED_LIBRARY', ['-DSIEVE_COMPONENT=shared']],
    ['COMPONENTS static shared', 'STATIC_LIBRARY', ['-DSIEVE_COMPONENT=static;shared']],
  ]) {
    const build = fresh(`find_package-${name}-${label.replaceAll(' ', '-')}`);
    cmake(path.join(source, 'find_package'), build, [...common, `-DEXPECTED_TYPE=${type}`, ...settings]);
    for (const program of ['check', 'check_static', 'check_shared']) run(path.join(build, program), []);
    const plugin = readdirSync(build).find((file) => /^libplugin\.(so|dylib)$/.test(file));
    const leaked = exportedNames(path.join(build, plugin)).filter((symbol) => symbol.startsWith('sieve_'));
    expect(leaked.length === 0, `Expected a library that holds the static one to export none of it but saw ${leaked}`);
    console.log(`${name}: C, find_package ${label}: passed`);
  }
  const build = fresh(`cxx-${name}`);
  cmake(path.join(source, 'cxx'), build, [`-DCMAKE_PREFIX_PATH=${prefix}`, `-DCMAKE_CXX_COMPILER=${cxx}`]);
  for (const program of ['check_static', 'check_shared']) run(path.join(build, program), []);
  console.log(`${name}: C++, find_package: passed`);
}

function embeddedConsumers({ name, cc, cxx }, kinds) {
  for (const shared of kinds) {
    const build = path.join(kept, `embed-${name}-${shared}`);
    const compilers = [`-DCMAKE_C_COMPILER=${cc}`, `-DCMAKE_CXX_COMPILER=${cxx}`];
    const settings = [`-DSIEVE_SOURCE=${root}`, `-DEXPECTED_VERSION=${version}`, `-DBUILD_SHARED_LIBS=${shared}`];
    cmake(path.join(source, 'embed'), build, [...compilers, ...settings]);
    for (const program of ['check_c', 'check_cc']) run(path.join(build, program), []);
    console.log(`${name}: embedded, BUILD_SHARED_LIBS=${shared}: passed`);
  }
}

function pkgConfig(...args) {
  const env = { PKG_CONFIG_PATH: path.join(prefix, 'lib', 'pkgconfig') };
  return run('pkg-config', [...args, 'sieve'], { env })
    .split(/\s+/)
    .filter((word) => word !== '');
}

function pkgConfigConsumers({ name, cc, cxx }) {
  const environment = { env: { [LIBRARY_PATH]: path.join(prefix, 'lib') } };
  const expected = (isStatic) => [`-DEXPECTED_VERSION="${version}"`, `-DEXPECTED_STATIC=${isStatic}`];
  for (const [compiler, flags, file] of [
    [cc, C99, 'check.c'],
    [cxx, CXX17, 'check.cc'],
  ]) {
    const program = fresh(`pkg-config-${name}-${file}`);
    const compile = [...flags, ...expected(0), path.join(source, file), '-o', program];
    run(compiler, [...compile, ...pkgConfig('--cflags', '--libs')]);
    run(program, [], environment);
  }
  // macOS has no program without shared libraries.
  if (process.platform === 'linux') {
    const program = fresh(`pkg-config-static-${name}`);
    const compile = ['-static', ...C99, ...expected(1), path.join(source, 'check.c'), '-o', program];
    run(cc, [...compile, ...pkgConfig('--static', '--cflags', '--libs')]);
    run(program, []);
  }
  console.log(`${name}: C and C++, pkg-config: passed`);
}

// ---- The example ---------------------------------------------------------------------------------------

function canSanitize(cc) {
  const program = fresh('smallest');
  const flags = ['-fsanitize=address,undefined', '-x', 'c', '-', '-o', program];
  const compiled = spawnSync(cc, flags, {
    input: 'int main(void) { return 0; }\n',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  return compiled.status === 0 && spawnSync(program, []).status === 0;
}

function example({ name, cc }) {
  const build = fresh('examples');
  cmake(path.join(root, 'native', 'examples'), build, [`-DCMAKE_PREFIX_PATH=${prefix}`, `-DCMAKE_C_COMPILER=${cc}`]);
  const programs = [path.join(build, 'npy_separation_index')];
  if (canSanitize(cc)) {
    const sanitized = fresh('npy_separation_index-sanitized');
    const flags = ['-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
    const library = [`-I${prefix}/include`, path.join(prefix, 'lib', LIBRARY), `-Wl,-rpath,${prefix}/lib`];
    run(cc, [...C99, ...flags, ...examples, ...library, '-o', sanitized]);
    programs.push(sanitized);
  } else {
    console.log(`not run: the example with sanitizers (${cc} can not link or run them)`);
  }
  if (spawnSync(PYTHON, ['-c', 'import numpy, sklearn'], { stdio: 'ignore' }).status !== 0) {
    console.log(`not run: the example beside scikit-learn (${PYTHON} lacks numpy or sklearn)`);
    return;
  }
  for (const program of programs) run(PYTHON, [path.join(source, 'check_example.py'), program]);
  console.log(
    `${name}: npy_separation_index, ${programs.length > 1 ? 'with and without' : 'without'} sanitizers: passed`,
  );
}

/** The program that docs/embedding.md shows prints what it says. */
function documentedProgram({ cc }) {
  const text = readFileSync(path.join(root, 'docs', 'embedding.md'), 'utf8');
  const file = fresh('documented.c');
  writeFileSync(file, /^```c\n([^]*?)^```$/m.exec(text)[1]);
  const program = fresh('documented');
  const library = [`-I${prefix}/include`, path.join(prefix, 'lib', LIBRARY), `-Wl,-rpath,${prefix}/lib`];
  run(cc, ['-std=c99', file, ...library, '-o', program]);
  const printed = run(program, []);
  expect(printed === 'SI 0.80, class 1 0.67', `Expected the documented line but the program printed "${printed}"`);
  console.log('the program of docs/embedding.md: passed');
}

// ---- All of it -----------------------------------------------------------------------------------------

const version = /^project\(sieve VERSION (\S+)/m.exec(readFileSync(path.join(root, 'CMakeLists.txt'), 'utf8'))[1];

/** The compilers that are there, each once. */
function compilers() {
  const seen = new Set();
  return COMPILERS.filter(({ cc, cxx }) => {
    if (!isInstalled(cc) || !isInstalled(cxx)) {
      console.log(`not run: ${cc} and ${cxx} (not installed)`);
      return false;
    }
    const text = run(cc, ['--version']).replace(/^\S+/, '');
    return seen.size < seen.add(text).size;
  });
}

try {
  mkdirSync(kept, { recursive: true });
  install();
  checkSharedLibrary();
  const found = compilers();
  const hasPkgConfig = isInstalled('pkg-config');
  if (!hasPkgConfig) console.log('not run: pkg-config (not installed)');
  for (const compiler of found) {
    cmakeConsumers(compiler);
    // Each is a build of the whole library: both kinds with the first compiler only.
    embeddedConsumers(compiler, compiler === found[0] ? ['OFF', 'ON'] : ['OFF']);
    if (hasPkgConfig) pkgConfigConsumers(compiler);
  }
  example(found[0]);
  documentedProgram(found[0]);
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
