// Builds the addon with node-gyp, from the same sources, and runs the addon's tests against it. node-gyp always writes
// to ./build and clears it, so it works on a copy in build-gyp/ and leaves cmake's build alone. Other arguments go to
// node-gyp; --nodedir is found by itself where Node's headers lie beside it, so that nothing is downloaded.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { root } from './native/stamp.mjs';

const COPIED = ['binding.gyp', 'package.json', 'native', 'scripts/native'];
const folder = path.join(root, 'build-gyp');

function run(args, options) {
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit', ...options });
  if (status !== 0) process.exit(status ?? 1);
}

function nodeDirectory() {
  const directory = path.dirname(path.dirname(realpathSync(process.execPath)));
  return existsSync(path.join(directory, 'include', 'node', 'common.gypi')) ? [`--nodedir=${directory}`] : [];
}

for (const name of COPIED) {
  rmSync(path.join(folder, name), { recursive: true, force: true });
  mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
  cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
}
const resolve = createRequire(import.meta.url).resolve;
run([resolve('node-gyp/bin/node-gyp.js'), 'rebuild', ...nodeDirectory(), ...process.argv.slice(2)], {
  cwd: folder,
  env: { JOBS: String(os.availableParallelism()), ...process.env },
});
run([resolve('jest/bin/jest'), 'test/binding', 'test/separation', '--selectProjects', 'unit'], {
  cwd: root,
  env: { ...process.env, ONNX_SIEVE_ADDON: path.join(folder, 'build', 'Release', 'onnx_sieve.node') },
});
