// Builds the native addon with cmake-js, or explains in a few lines what is missing.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fingerprint, readStamp, root, writeStamp } from './stamp.mjs';

const MINIMUM_CMAKE = [3, 20];
const STAMP = 'native';
const INPUTS = ['CMakeLists.txt', 'native'];

export const builtAddon = path.join(root, 'build', 'Release', 'onnx_sieve.node');
export const prebuiltAddon = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`, 'onnx_sieve.node');

/** A failure whose message says what to do; it needs no stack. */
export class BuildFailure extends Error {}

export function isAddonFresh() {
  return existsSync(builtAddon) && readStamp(STAMP) === fingerprint(INPUTS);
}

/** Why the addon at `file` can not be loaded; undefined where it can. */
export function loadFailure(file) {
  try {
    createRequire(import.meta.url)(file);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Builds build/Release/onnx_sieve.node. Throws a BuildFailure. `remember` keeps a stamp for isAddonFresh. */
export function buildAddon({ remember }) {
  checkCmake();
  checkCompiler();
  const before = fingerprint(INPUTS);
  // A build folder that was made elsewhere (a moved or copied checkout) can not be continued.
  const verb = isForeignBuildFolder() ? 'rebuild' : 'build';
  const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js');
  const result = spawnSync(process.execPath, [cmakeJs, verb], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { CMAKE_BUILD_PARALLEL_LEVEL: String(os.availableParallelism()), ...process.env },
  });
  if (result.status !== 0) {
    const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}`.trimEnd().split('\n');
    throw new BuildFailure(
      `${output.slice(-60).join('\n')}\n\n` +
        `The native addon could not be built on ${process.platform}-${process.arch}; the compiler's last lines are above.\n` +
        `  - It needs a C++17 compiler (GCC 9, Clang 10, Visual Studio 2019 or newer) and CMake ${MINIMUM_CMAKE.join('.')} or newer.\n` +
        `  - ${compilerRemedy()}\n` +
        `  - A damaged build folder is cured by deleting "${path.join(root, 'build')}".\n` +
        `  - Then run: npm rebuild onnx-sieve (in a checkout: npm run build)`,
    );
  }
  const failure = loadFailure(builtAddon);
  if (failure !== undefined)
    throw new BuildFailure(`The native addon was built but does not load: ${failure.message}\nPlease report this.`);
  if (remember) writeStamp(STAMP, before);
}

function checkCmake() {
  const result = spawnSync('cmake', ['--version'], { encoding: 'utf8' });
  const version = /(\d+)\.(\d+)/.exec(result.stdout ?? '');
  if (result.error !== undefined || version === null)
    throw new BuildFailure(`Expected CMake to build the native addon but found none. ${cmakeRemedy()}`);
  const [major, minor] = [Number(version[1]), Number(version[2])];
  if (major < MINIMUM_CMAKE[0] || (major === MINIMUM_CMAKE[0] && minor < MINIMUM_CMAKE[1]))
    throw new BuildFailure(
      `Expected CMake ${MINIMUM_CMAKE.join('.')} or newer to build the native addon but found ${major}.${minor}. ${cmakeRemedy()}`,
    );
}

function checkCompiler() {
  if (process.platform === 'win32') return; // cmake-js looks for Visual Studio and says what it found
  const candidates = process.env.CXX ? [process.env.CXX.split(' ')[0]] : ['c++', 'g++', 'clang++'];
  if (candidates.some((name) => spawnSync(name, ['--version']).error === undefined)) return;
  throw new BuildFailure(
    `Expected a C++17 compiler to build the native addon but found none (tried ${candidates.join(', ')}). ${compilerRemedy()}`,
  );
}

function isForeignBuildFolder() {
  const cache = path.join(root, 'build', 'CMakeCache.txt');
  if (!existsSync(cache)) return false;
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, 'utf8'))?.[1];
  return home === undefined || !existsSync(home) || realpathSync(home) !== realpathSync(root);
}

function cmakeRemedy() {
  if (process.platform === 'darwin') return 'Install it: brew install cmake';
  if (process.platform === 'win32') return 'Install it: winget install Kitware.CMake';
  return 'Install it: apt-get install cmake (or dnf, apk, pacman: cmake)';
}

function compilerRemedy() {
  if (process.platform === 'darwin') return 'Install the compiler: xcode-select --install';
  if (process.platform === 'win32') return 'Install "Visual Studio Build Tools" with the C++ workload';
  return 'Install the compiler: apt-get install g++ make (or dnf: gcc-c++ make; apk: g++ make; pacman: base-devel)';
}
