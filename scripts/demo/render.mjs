#!/usr/bin/env node
/**
 * Writes rendered images in the binary layout of CIFAR-10 (per image one label byte, then 32 × 32 red, green and blue
 * bytes), for train.py:  node scripts/demo/render.mjs train|calibration|test <count> <seed> <file>
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';

/** The renderer, built from the package's own source into a folder that is removed again. */
async function loadRenderer() {
  const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
  const outDir = mkdtempSync(join(tmpdir(), 'onnx-sieve-render-'));
  try {
    const renderer = join(root, 'src/activations/datasets/renderedImage.ts');
    await build({ entry: { renderer }, outDir, format: ['cjs'], config: false, silent: true, dts: false });
    return createRequire(import.meta.url)(join(outDir, 'renderer.js'));
  } finally {
    rmSync(outDir, { recursive: true });
  }
}

const [split, countText, seedText, file] = process.argv.slice(2);
const count = Number(countText);
const seed = Number(seedText);
if (!['train', 'calibration', 'test'].includes(split) || !(count > 0) || !Number.isInteger(seed) || !file) {
  console.error('Usage: node scripts/demo/render.mjs train|calibration|test <count> <seed> <file>');
  process.exit(2);
}

const { renderSample, RENDERED_SIDE } = await loadRenderer();
const plane = RENDERED_SIDE * RENDERED_SIDE;
const record = new Uint8Array(1 + 3 * plane);
const output = openSync(file, 'w');
for (let index = 0; index < count; index++) {
  const { label, pixels } = renderSample(split, index, seed);
  record[0] = label;
  for (let at = 0; at < plane; at++) {
    for (let channel = 0; channel < 3; channel++) record[1 + channel * plane + at] = pixels[at * 3 + channel];
  }
  writeSync(output, record);
}
closeSync(output);
