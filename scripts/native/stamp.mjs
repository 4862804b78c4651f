// Remembers from what something was built, so that it is built again exactly when that changed.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = path.resolve(fileURLToPath(new URL('../..', import.meta.url)));
const stampFolder = path.join(root, 'node_modules', '.cache', 'onnx-sieve');

/** A hash over the names, sizes and modification times of files and whole folders, relative to the root. */
export function fingerprint(inputs) {
  const hash = createHash('sha256').update(`${process.platform}-${process.arch}\n`);
  for (const input of inputs) addTo(hash, input);
  return hash.digest('hex');
}

function addTo(hash, relative) {
  const stats = statSync(path.join(root, relative), { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (stats.isDirectory()) {
    for (const name of readdirSync(path.join(root, relative)).sort()) addTo(hash, path.join(relative, name));
  } else {
    hash.update(`${relative} ${stats.size} ${stats.mtimeMs}\n`);
  }
}

export function readStamp(name) {
  try {
    return readFileSync(path.join(stampFolder, name), 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

export function writeStamp(name, value) {
  mkdirSync(stampFolder, { recursive: true });
  writeFileSync(path.join(stampFolder, name), value);
}
