// Makes a checkout ready: installs the packages, builds the native addon, builds dist, each only where it is missing
// or older than what it is made from. `--dependencies-only` stops after the packages.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { areDependenciesInstalled } from './dependencies.mjs';
import { withLock } from './lock.mjs';
import { fingerprint, readStamp, root, writeStamp } from './native/stamp.mjs';

const MINIMUM_NODE = 20;
const DIST_INPUTS = ['src', 'tsup.config.ts', 'tsconfig.json', 'package.json'];
const DIST_OUTPUTS = ['index.cjs', 'index.mjs', 'index.d.ts', 'index.d.mts', 'cli.cjs', 'session-worker.cjs'];
const dist = path.join(root, 'dist');

/** A failure whose message says all; it needs no stack. */
class Failure extends Error {}

function installDependencies() {
  console.log('Installing packages (npm ci)');
  // The addon is built below, where a failure is explained; no dependency needs its install script.
  const npmCli = process.env.npm_execpath;
  const [command, args] =
    npmCli !== undefined && path.basename(npmCli) === 'npm-cli.js'
      ? [process.execPath, [npmCli]]
      : [process.platform === 'win32' ? 'npm.cmd' : 'npm', []];
  const result = spawnSync(command, [...args, 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: command.endsWith('.cmd'),
  });
  if (result.error !== undefined) throw new Failure(`Expected npm to run but received "${result.error.message}"`);
  if (result.status !== 0) throw new Failure('npm ci failed; its message is above. Is the npm registry reachable?');
}

function isDistFresh() {
  const isComplete = DIST_OUTPUTS.every((name) => existsSync(path.join(dist, name)));
  return isComplete && readStamp('dist') === fingerprint(DIST_INPUTS);
}

function buildDist() {
  console.log('Building dist (tsup)');
  const before = fingerprint(DIST_INPUTS);
  const started = Date.now() - 1000; // file systems may round times down
  const tsup = path.join(root, 'node_modules', 'tsup', 'dist', 'cli-default.js');
  const result = spawnSync(process.execPath, [tsup], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (result.status !== 0) throw new Failure(`${result.stdout}${result.stderr}\ntsup failed; its message is above`);
  // What an earlier state of the sources left behind would be packed with the rest.
  for (const name of readdirSync(dist)) {
    const file = path.join(dist, name);
    if (statSync(file).mtimeMs < started) rmSync(file, { recursive: true });
  }
  writeStamp('dist', before);
}

async function bootstrap(dependenciesOnly) {
  if (!areDependenciesInstalled(root)) installDependencies();
  if (dependenciesOnly) return;
  const { BuildFailure, buildAddon, isAddonFresh } = await import('./native/build.mjs');
  if (!isAddonFresh()) {
    console.log('Building the native addon (cmake-js)');
    try {
      buildAddon({ remember: true });
    } catch (error) {
      throw error instanceof BuildFailure ? new Failure(error.message) : error;
    }
  }
  if (!isDistFresh()) buildDist();
}

try {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < MINIMUM_NODE)
    throw new Failure(`Expected Node ${MINIMUM_NODE} or newer but this is ${process.version}. See https://nodejs.org`);
  await withLock(
    root,
    () => console.log('Waiting for another build of this checkout'),
    () => bootstrap(process.argv.includes('--dependencies-only')),
  );
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
