import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Runs `work` while no other process of this machine does so for the same folder. A dead holder is no holder. */
export async function withLock(folder, onWait, work) {
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  const file = path.join(os.tmpdir(), `onnx-sieve-${name}.lock`);
  for (let waited = false; !tryLock(file); waited = true) {
    if (!waited) onWait();
    await sleep(200);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function tryLock(file) {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (!isAlive(readHolder(file))) rmSync(file, { force: true });
  return false;
}

function readHolder(file) {
  try {
    return Number(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return process.pid; // just released: try again
    throw error;
  }
}

function isAlive(pid) {
  if (!(pid > 0)) return true; // created but not yet written
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
