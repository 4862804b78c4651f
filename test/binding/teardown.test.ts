// Worker threads and processes that end while calls are under way: promptly and cleanly.
import { spawnSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { addonFile } from './addonFile';

// Minutes of work for the serial kernel on one thread.
const START_LONG_CALLS = `
  const addon = require(${JSON.stringify(addonFile())});
  const rows = 60000, dims = 64;
  const features = new Float32Array(rows * dims).map((_, i) => Math.sin(i));
  const request = { rows, dims, classes: 1, order: 1, kind: 'hard', skipNonFinite: false };
  for (let i = 0; i < 6; i++)
    addon.separationIndex(features, new Int32Array(rows), request, {},
      { backend: 'serial', threads: 1, onProgress() {} }).catch(() => {});
`;
const SOON_MS = 3000;

test('a worker computes as the main thread does', async () => {
  const worker = new Worker(
    `const addon = require(${JSON.stringify(addonFile())});
     const request = { rows: 4, dims: 1, classes: 2, order: 1, kind: 'hard', skipNonFinite: false };
     addon.separationIndex(Float32Array.of(0, 1, 5, 6), Int32Array.of(0, 0, 1, 0), request, {}, {})
       .then(({ value }) => require('node:worker_threads').parentPort.postMessage(value));`,
    { eval: true },
  );
  const value = await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
  expect(value).toBe(0.5);
  await worker.terminate();
});

test('terminating a worker stops its calls', async () => {
  const worker = new Worker(`${START_LONG_CALLS} require('node:worker_threads').parentPort.postMessage('started');`, {
    eval: true,
  });
  await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
  const start = performance.now();
  await worker.terminate();
  expect(performance.now() - start).toBeLessThan(SOON_MS);
});

test('process.exit stops them too, with the exit code asked for', () => {
  const start = performance.now();
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    ['-e', `${START_LONG_CALLS} setTimeout(() => process.exit(7), 100);`],
    { encoding: 'utf8', timeout: 60_000 },
  );
  expect({ status, signal, stderr }).toEqual({ status: 7, signal: null, stderr: '' });
  expect(performance.now() - start).toBeLessThan(SOON_MS + 5000);
});

test('exitNow ends the process at once, whatever is under way or registered for its end', () => {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [
      '-e',
      `${START_LONG_CALLS}
       process.on('exit', () => console.log('exit'));
       new (require('node:worker_threads').Worker)('for (;;);', { eval: true });
       setTimeout(() => { console.log('soon'); addon.exitNow(9); }, 100);`,
    ],
    { encoding: 'utf8', timeout: 60_000 },
  );
  expect({ status, signal, stdout, stderr }).toEqual({ status: 9, signal: null, stdout: 'soon\n', stderr: '' });
});

test('an uncaught error ends the process as ever', () => {
  const { status, signal, stderr } = spawnSync(
    process.execPath,
    ['-e', `${START_LONG_CALLS} setTimeout(() => { throw new Error('boom'); }, 100);`],
    { encoding: 'utf8', timeout: 60_000 },
  );
  expect({ status, signal }).toEqual({ status: 1, signal: null });
  expect(stderr).toContain('boom');
});

test('a process with nothing else to do waits for its calls', () => {
  const { stdout } = spawnSync(
    process.execPath,
    [
      '-e',
      `const addon = require(${JSON.stringify(addonFile())});
       const request = { rows: 2, dims: 1, classes: 1, order: 1, kind: 'hard', skipNonFinite: false };
       addon.separationIndex(Float32Array.of(0, 1), Int32Array.of(0, 0), request, {}, {}).then((r) => console.log(r.value));`,
    ],
    { encoding: 'utf8' },
  );
  expect(stdout.trim()).toBe('1');
});
