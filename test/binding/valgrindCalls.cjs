// Loads the addon named as the first argument and calls everything in it wrongly, then rightly, cancelled, and from a
// worker that is terminated. Run under valgrind by scripts/test-valgrind.mjs; prints the counts of what it did.
'use strict';

const { Worker } = require('node:worker_threads');
const addon = require(process.argv[2]);
const { calls, invoke, wrongCalls } = require('./wrongCalls.cjs');

async function outcome(name, args) {
  const { thrown, rejected } = await invoke(addon, name, args);
  const error = thrown ?? rejected;
  if (error === undefined) return 'answered';
  if (typeof error.code !== 'string') throw error;
  return 'refused';
}

async function terminateMidCall() {
  const worker = new Worker(
    `const addon = require(${JSON.stringify(process.argv[2])});
     const rows = 4000, dims = 16;
     const features = new Float32Array(rows * dims).map((_, i) => Math.sin(i));
     const request = { rows, dims, classes: 1, order: 1, kind: 'hard', skipNonFinite: false };
     addon.separationIndex(features, new Int32Array(rows), request, {}, { threads: 2, onProgress() {} }).catch(() => {});
     require('node:worker_threads').parentPort.postMessage('started');`,
    { eval: true },
  );
  await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
  await worker.terminate();
}

async function main() {
  const backends = addon.backends();
  console.log(`backends: ${backends.flatMap(({ name, available }) => (available ? [name] : [])).join(' ')}`);
  const counts = { refused: 0, answered: 0 };
  for (const { name, args } of wrongCalls()) counts[await outcome(name, args)]++;
  const kernels = backends.filter(({ name, available }) => available && (name === 'serial' || name === 'avx2'));
  for (const { name: backend } of kernels) {
    for (const { name, args } of calls.filter(({ name }) => name !== 'ColumnStream')) {
      const mine = args();
      mine[mine.length - 1].backend = backend;
      mine[mine.length - 1].threads = 2;
      counts[await outcome(name, mine)]++;
      const token = new addon.CancelToken();
      const cancelled = args();
      Object.assign(cancelled[cancelled.length - 1], { token, backend });
      const call = outcome(name, cancelled);
      token.cancel();
      counts[await call]++;
    }
  }
  await terminateMidCall();
  globalThis.gc?.();
  console.log(`${counts.refused} refused, ${counts.answered} answered`);
  if (counts.refused < 1000 || counts.answered < 30) throw new Error('Expected more calls of each kind');
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
