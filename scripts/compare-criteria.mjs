#!/usr/bin/env node
/**
 * Compares the criteria at the same widths: every group keeps the same share of its channels, whatever the criterion,
 * and all get the same recovery. `random` is the mean of three seeds. Prints a Markdown table and keeps every finished
 * run in a JSON file, so that an interrupted comparison goes on where it stopped.
 *
 *   node scripts/compare-criteria.mjs [--model M] [--data D] [--validation D2] [--flops 0.75,0.5] [--samples 2000]
 *                                     [--criteria a,b] [--threads 2] [--out FILE]
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';

const { compress } = createRequire(import.meta.url)('../dist/index.cjs');

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

function save(runs) {
  writeFileSync(`${flags.out}.tmp`, JSON.stringify(runs, undefined, 1));
  renameSync(`${flags.out}.tmp`, flags.out);
}

async function run(task) {
  const same = (entry) => Object.entries(task).every(([name, value]) => entry.task[name] === value);
  const known = finished.find(same);
  if (known !== undefined) return known;
  const started = performance.now();
  const { before, after, groups } = await compress(task.model, {
    data: flags.data,
    validation: flags.validation,
    samples: task.samples,
    flops: task.flops,
    criterion: task.criterion,
    recover: task.recover,
    seed: task.seed,
    allocation: 'uniform',
    // The same widths for all: nothing is rounded, no criterion's curve decides.
    multiple: 1,
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
  const widths = new Set();
  for (const criterion of criteria) {
    const cells = [];
    for (const recover of RECOVERIES) {
      const seeds = criterion === 'random' ? RANDOM_SEEDS : [0];
      const runs = [];
      for (const seed of seeds) {
        runs.push(await run({ model: flags.model, samples: Number(flags.samples), flops, criterion, recover, seed }));
      }
      for (const { kept } of runs) widths.add(kept.join());
      cells.push(runs.reduce((sum, { after }) => sum + after.top1, 0) / runs.length);
    }
    const [{ before, after }] = finished.filter(({ task }) => task.flops === flops && task.criterion === criterion);
    rows.push([flops, criterion, after.macs / before.macs, ...cells]);
  }
  if (widths.size !== 1)
    throw new Error(`Expected the same widths for all criteria but received ${widths.size} different ones`);
}

const [first] = finished;
console.log(
  `Top-1 before: ${first.before.top1.toFixed(4)}; ${flags.samples} calibration samples; ${cpus()[0].model.trim()}\n`,
);
console.log('| MACs allowed | criterion | MACs left | weights as they were | re-fitted |');
console.log('| ---: | --- | ---: | ---: | ---: |');
for (const [flops, criterion, left, none, refit] of rows) {
  console.log(`| ${flops} | ${criterion} | ${left.toFixed(3)} | ${none.toFixed(3)} | ${refit.toFixed(3)} |`);
}
