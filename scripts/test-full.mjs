// The checks that take minutes, one after the other, with a summary: `npm run test:full`. Names of steps as arguments
// run these steps only. Builds go to build-<step>/ and are kept, so that a second run compiles only what changed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { root } from './native/stamp.mjs';

const THREADS = String(os.availableParallelism());
// Long tests of values, whose calls run in threads in others as well.
const SAME_THREADS = ['center_test', 'separation_test', 'order_test', 'element_types_test'];
const FORMATTED = ['native', 'test/native', 'test/bench'];

/** Why a step can not run on this machine. Anything else that goes wrong is a failure. */
class NotRun extends Error {}
class Failed extends Error {}

function run(command, args, { env = {} } = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  if (error !== undefined) throw new Failed(`${command}: ${error.message}`);
  if (status !== 0) throw new Failed(`${command} ${args[0]} ended with ${signal ?? `exit code ${status}`}`);
}

function isInstalled(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

const resolve = createRequire(import.meta.url).resolve;

function jestFull() {
  run(process.execPath, [resolve('jest/bin/jest'), '--selectProjects', 'full', '--ci']);
}

function gyp() {
  run(process.execPath, [path.join(root, 'scripts', 'test-gyp.mjs')]);
}

function valgrind() {
  if (process.platform !== 'linux') throw new NotRun('valgrind is used on Linux only');
  if (!isInstalled('valgrind')) throw new NotRun('valgrind is not installed');
  run(process.execPath, [path.join(root, 'scripts', 'test-valgrind.mjs')]);
}

function consumer() {
  if (process.platform === 'win32') throw new NotRun('it uses nm and pkg-config');
  run(process.execPath, [path.join(root, 'scripts', 'test-consumer.mjs')]);
}

/** Configures and builds the native tests in a folder of their own. */
function buildNativeTests(name, { buildType, settings = [], compiler }) {
  const folder = path.join(root, `build-${name}`);
  const configure = [
    ...['-S', root, '-B', folder, `-DCMAKE_BUILD_TYPE=${buildType}`],
    ...['-DSIEVE_BUILD_TESTS=ON', '-DSIEVE_BUILD_EXAMPLES=ON', '-DSIEVE_INSTALL=OFF'],
    ...['-DSIEVE_WARNINGS_AS_ERRORS=ON', ...settings],
  ];
  run('cmake', configure, { env: compiler });
  run('cmake', ['--build', folder, '--config', buildType, '--parallel', THREADS]);
}

/** Runs native tests that are built. They are threaded themselves: one after the other, unless options say more. */
function runNativeTests(name, { buildType, env, launcher = [], options = [] }) {
  const folder = path.join(root, `build-${name}`);
  const ctest = ['ctest', '--test-dir', folder, '-C', buildType, '--output-on-failure', '--timeout', '1200'];
  const [command, ...args] = [...launcher, ...ctest, ...options];
  run(command, args, { env });
}

function nativeTests(name, { buildType, settings, compiler, env, launcher, options }) {
  buildNativeTests(name, { buildType, settings, compiler });
  runNativeTests(name, { buildType, env, launcher, options });
}

function clang() {
  if (!isInstalled('clang++') || !isInstalled('clang')) throw new NotRun('clang is not installed');
  nativeTests('clang', { buildType: 'Release', compiler: { CC: 'clang', CXX: 'clang++' } });
}

/**
 * The AMX kernels on plain code (the ordinary `native` step runs the instructions where the CPU has them), and whether
 * what the compiler made of them are those instructions, with the operands that the kernels rely on.
 */
function amx() {
  if (process.arch !== 'x64') throw new NotRun('AMX is of x64');
  const buildType = 'Release';
  buildNativeTests('amx', { buildType, settings: ['-DSIEVE_EMULATE_AMX=ON'] });
  const emulated = availableBackends('amx');
  if (!emulated.includes('amx-fp16')) throw new NotRun('the AMX kernels need AVX-512, which this CPU does not have');
  console.log('SIEVE_TEST_TRIMMED=1: the largest shapes are smaller under emulation');
  runNativeTests('amx', { buildType, env: { SIEVE_TEST_TRIMMED: '1' }, options: ['--parallel', THREADS] });

  buildNativeTests('native', { buildType });
  const real = availableBackends('native').filter((name) => name.startsWith('amx'));
  console.log(
    real.length > 0
      ? `AMX in hardware: ${real.join(', ')}; the step "native" tests it`
      : 'AMX in hardware: none here; the emulation alone ran',
  );
  checkAmxInstructions(path.join(root, 'build-native', 'libsieve.a'));
}

/** What the build in build-<name> can run here, as a test's output says. */
function availableBackends(name) {
  const program = path.join(root, `build-${name}`, 'abi_c_test');
  const { status, stdout } = spawnSync(program, { encoding: 'utf8' });
  if (status !== 0) throw new Failed(`${program} ended with exit code ${status}`);
  return [...stdout.matchAll(/^available: (.*)$/gm)].map(([, backend]) => backend);
}

/** Sums in tmm0-3 of left tiles in tmm4-5 and right ones in tmm6-7: each product once. */
const TILE_PRODUCTS = ['6,%tmm4,%tmm0', '7,%tmm4,%tmm1', '6,%tmm5,%tmm2', '7,%tmm5,%tmm3'];

function checkAmxInstructions(library) {
  const listing = spawnSync('objdump', ['--disassemble', '--no-show-raw-insn', library], {
    encoding: 'utf8',
    maxBuffer: 2 ** 30,
  });
  if (listing.status !== 0) {
    console.log('AMX instructions: not checked, objdump is not installed');
    return;
  }
  const members = new Map(
    listing.stdout.split(/^(?=\S+:\s+file format)/m).map((text) => [text.slice(0, text.indexOf(':')), text]),
  );
  for (const [kernel, multiply] of [
    ['rounded_amx_bf16', 'tdpbf16ps'],
    ['rounded_amx_fp16', 'tdpfp16ps'],
  ]) {
    const code = [...members].find(([name]) => name.startsWith(kernel))?.[1];
    if (code === undefined) throw new Failed(`${library} has no member ${kernel}`);
    if (!code.includes('ldtilecfg')) {
      console.log(`AMX instructions of ${kernel}: not checked, this compiler or this objdump does not know AMX`);
      continue;
    }
    for (const instruction of ['tileloadd', 'tilestored', 'tilerelease'])
      if (!code.includes(instruction)) throw new Failed(`${kernel} has no ${instruction}`);
    if (multiply === 'tdpfp16ps' && code.includes('(bad)') && !code.includes(multiply)) {
      console.log(`AMX instructions of ${kernel}: not checked, this objdump does not know ${multiply}`);
      continue;
    }
    const products = [...code.matchAll(new RegExp(`${multiply} %tmm(.*)`, 'g'))].map(([, operands]) => operands.trim());
    const unexpected = products.filter((operands) => !TILE_PRODUCTS.includes(operands));
    const missing = TILE_PRODUCTS.filter((operands) => !products.includes(operands));
    if (unexpected.length + missing.length > 0)
      throw new Failed(`Expected ${multiply} of ${TILE_PRODUCTS.join('; ')} but received ${products.join('; ')}`);
    console.log(`AMX instructions of ${kernel}: as expected, ${products.length} of ${multiply}`);
  }
}

/** The NEON kernels, cross-compiled and emulated. Slow, so the largest shapes shrink and tests run side by side. */
function arm64() {
  if (!isInstalled('aarch64-linux-gnu-g++')) throw new NotRun('g++-aarch64-linux-gnu is not installed');
  if (!isInstalled('qemu-aarch64') && !isInstalled('qemu-aarch64-static'))
    throw new NotRun('qemu-user is not installed');
  const buildType = 'Release';
  const toolchain = path.join(root, 'test', 'native', 'aarch64_linux_toolchain.cmake');
  buildNativeTests('arm64', { buildType, settings: [`-DCMAKE_TOOLCHAIN_FILE=${toolchain}`] });
  const env = { SIEVE_TEST_TRIMMED: '1', SIEVE_TEST_MAX_THREADS: '1' };
  console.log('SIEVE_TEST_TRIMMED=1: the largest shapes are smaller under emulation');
  console.log('SIEVE_TEST_MAX_THREADS=1: tests that are not about threads use one, the emulator keeps memory for each');
  runNativeTests('arm64', { buildType, env, options: ['--parallel', THREADS] });
  // Once more where tests leave the backend to the library, with the name that a user would give.
  const options = ['--tests-regex', 'abi_c|elimination|moments|ridge|run', '--parallel', THREADS];
  runNativeTests('arm64', { buildType, env: { ...env, SIEVE_BACKEND: 'neon' }, options });
}

function sanitized(name, sanitizers, env, { more = [], without = [] } = {}) {
  const launcher = sanitizerLauncher(sanitizers);
  const settings = [`-DSIEVE_SANITIZE=${sanitizers}`, ...more];
  console.log('SIEVE_TEST_TRIMMED=1: the largest shapes are smaller under sanitizers');
  const trimmed = { ...env, SIEVE_TEST_TRIMMED: '1' };
  if (without.length > 0) console.log(`without ${without.join(', ')}: the fuzz covers the same threads in less time`);
  const options = without.length > 0 ? ['--exclude-regex', without.join('|')] : [];
  nativeTests(name, { buildType: 'RelWithDebInfo', settings, env: trimmed, launcher, options });
}

/** What has to stand before a program with these sanitizers, found by building and running the smallest one. */
function sanitizerLauncher(sanitizers) {
  if (process.platform === 'win32') throw new NotRun('sanitizers are used with GCC and Clang only');
  const folder = mkdtempSync(path.join(os.tmpdir(), 'onnx-sieve-sanitizer-'));
  try {
    const source = path.join(folder, 'smallest.cc');
    const program = path.join(folder, 'smallest');
    writeFileSync(source, 'int main() { return 0; }\n');
    const compiler = process.env.CXX ?? 'c++';
    const flags = sanitizers.split(',').map((sanitizer) => `-fsanitize=${sanitizer}`);
    const compiled = spawnSync(compiler, [...flags, source, '-o', program], { encoding: 'utf8' });
    if (compiled.status !== 0) throw new NotRun(`${compiler} can not link -fsanitize=${sanitizers}`);
    // Older thread sanitizers refuse kernels that randomise addresses strongly; `setarch -R` turns that off.
    for (const launcher of [[], ['setarch', '-R']]) {
      const [command, ...args] = [...launcher, program];
      if (spawnSync(command, args, { stdio: 'ignore' }).status === 0) return launcher;
    }
    throw new NotRun(`a program with -fsanitize=${sanitizers} does not run on this system`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function clangFormat() {
  if (!isInstalled('clang-format')) throw new NotRun('clang-format is not installed');
  const files = FORMATTED.flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true })
      .filter((name) => /\.(c|cc|h|cu|cuh)$/.test(name))
      .map((name) => path.join(folder, name)),
  );
  run('clang-format', ['--dry-run', '-Werror', ...files]);
}

const STEPS = {
  jest: jestFull,
  native: () => nativeTests('native', { buildType: 'Release' }),
  clang,
  amx,
  arm64,
  // With the AMX kernels emulated, so that their packing and blocking are looked at too; without them elsewhere.
  asan: () =>
    sanitized(
      'asan',
      'address,undefined',
      { UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1' },
      {
        more: ['-DSIEVE_EMULATE_AMX=ON'],
      },
    ),
  tsan: () => sanitized('tsan', 'thread', { TSAN_OPTIONS: 'halt_on_error=1' }, { without: SAME_THREADS }),
  valgrind,
  gyp,
  consumer,
  'clang-format': clangFormat,
};

function runStep(name) {
  console.log(`\n== ${name}`);
  const started = performance.now();
  const finished = (outcome, reason = '') => ({ name, outcome, reason, seconds: (performance.now() - started) / 1000 });
  try {
    STEPS[name]();
    return finished('passed');
  } catch (error) {
    if (error instanceof NotRun) return finished('not run', error.message);
    return finished('failed', error instanceof Failed ? error.message : error.stack);
  }
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in STEPS));
if (unknown.length > 0) {
  console.error(`Expected steps among ${Object.keys(STEPS).join(', ')} but received "${unknown.join(' ')}"`);
  process.exit(2);
}
const results = (asked.length > 0 ? asked : Object.keys(STEPS)).map(runStep);

console.log('\n== summary');
for (const { name, outcome, seconds, reason } of results) {
  console.log(`${name.padEnd(14)}${outcome.padEnd(9)}${seconds.toFixed(0).padStart(5)} s  ${reason}`.trimEnd());
}
const count = (outcome) => results.filter((result) => result.outcome === outcome).length;
const notRun = count('not run');
console.log(`${count('passed')} passed, ${count('failed')} failed${notRun > 0 ? `, ${notRun} not run` : ''}`);
process.exitCode = count('failed') > 0 ? 1 : 0;
