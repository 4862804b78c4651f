#!/usr/bin/env node
/**
 * Compares the criteria at the same widths: every group keeps the same share of its channels, whatever the criterion,
 * and all get the same recovery. `random` is the mean of three seeds. Prints a Markdown table and keeps every finished
 * run in a JSON file, so that an interrupted comparison goes on where it stopped. A kept run is used again only where
 * everything that decides its result is the same: the build, the model, the data and all settings but --threads. Of a
 * folder of images, path and time of change have to be the same; of a JSON description, only the description.
 *
 *   node scripts/compare-criteria.mjs [--model M] [--data D] [--validation D2] [--flops 0.75,0.5] [--samples 2000]
 *                                     [--criteria a,b] [--threads 2] [--out FILE]
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { answers, beforeOf, checkWidths, rowOf } from './compareCriteriaRuns.cjs';
import { builtAddon } from './native/build.mjs';

const require = createRequire(import.meta.url);
const { compress } = require('../dist/index.cjs');

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string', default: '../shared/models/resnet20.onnx' },
    data: { type: 'string', default: '../shared/data/cifar10-train.tar.xz' },
    validation: { type: 'string', default: '../shared/data/cifar10-test.tar.xz' },
    flops: { type: 'string', default: '0.75,0.5' },
    samples: { type: 'string', default: '2000' },
    criteria: { type: 'string', default: 'reconstruction,l1,random,si-rank,csi,si' },
    threads: { type: 'string', default: '0' },
    out: { type: 'string', default: 'compare-criteria.json' },
  },
});

const RANDOM_SEEDS = [0, 1, 2];
const RECOVERIES = ['none', 'refit'];

const finished = existsSync(flags.out) ? JSON.parse(readFileSync(flags.out, 'utf8')) : [];
const fractions = flags.flops.split(',').map(Number);
const criteria = flags.criteria.split(',');

/** What is the same for all runs of this call and decides their results. */
const COMMON = {
  build: [inDist('index.cjs'), inDist('session-worker.cjs'), builtAddon].map(contentOf).join(),
  runtime: require('onnxruntime-node/package.json').version,
  model: contentOf(flags.model),
  data: contentOf(flags.data),
  validation: contentOf(flags.validation),
  samples: Number(flags.samples),
  allocation: 'uniform',
  // The same widths for all: nothing is rounded, no criterion's curve decides.
  multiple: 1,
};

function inDist(name) {
  return fileURLToPath(new URL(`../dist/${name}`, import.meta.url));
}

/** The contents of a file, as their hash; a folder's place and time of change. */
function contentOf(file) {
  const path = realpathSync(file);
  const stat = statSync(path);
  if (stat.isDirectory()) return `${path} of ${stat.mtime.toISOString()}`;
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function save(runs) {
  writeFileSync(`${flags.out}.tmp`, JSON.stringify(runs, undefined, 1));
  renameSync(`${flags.out}.tmp`, flags.out);
}

async function run(own) {
  const task = { ...COMMON, ...own };
  const known = finished.find((entry) => answers(task, entry));
  if (known !== undefined) return known;
  const started = performance.now();
  const { before, after, groups } = await compress(flags.model, {
    data: flags.data,
    validation: flags.validation,
    samples: task.samples,
    flops: task.flops,
    criterion: task.criterion,
    recover: task.recover,
    seed: task.seed,
    allocation: task.allocation,
    multiple: task.multiple,
    threads: Number(flags.threads),
  });
  const entry = {
    task,
    before: { macs: before.macs, parameters: before.parameters, top1: before.top1 },
    after: { macs: after.macs, parameters: after.parameters, top1: after.top1 },
    kept: groups.map(({ kept }) => kept),
    seconds: (performance.now() - started) / 1000,
  };
  finished.push(entry);
  save(finished);
  console.error(
    `${task.flops} ${task.criterion} ${task.recover} seed ${task.seed}: ${entry.after.top1.toFixed(4)} in ${entry.seconds.toFixed(0)} s`,
  );
  return entry;
}

const rows = [];
for (const flops of fractions) {
  const runs = [];
  for (const criterion of criteria) {
    const runsByRecovery = [];
    for (const recover of RECOVERIES) {
      const ofSeeds = [];
      for (const seed of criterion === 'random' ? RANDOM_SEEDS : [0])
        ofSeeds.push(await run({ flops, criterion, recover, seed }));
      runsByRecovery.push(ofSeeds);
    }
    runs.push(...runsByRecovery.flat());
    rows.push({ flops, criterion, ...rowOf(runsByRecovery) });
  }
  checkWidths(runs);
}

const before = beforeOf(rows);
console.log(
  `Top-1 before: ${before.top1.toFixed(4)}; ${flags.samples} calibration samples; ${cpus()[0].model.trim()}\n`,
);
console.log('| MACs allowed | criterion | MACs left | weights as they were | re-fitted |');
console.log('| ---: | --- | ---: | ---: | ---: |');
for (const { flops, criterion, macsLeft, top1 } of rows) {
  const cells = [macsLeft, ...top1].map((value) => value.toFixed(3));
  console.log(`| ${flops} | ${criterion} | ${cells.join(' | ')} |`);
}
