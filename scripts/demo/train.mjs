#!/usr/bin/env node
// Trains the demo's network from random weights with this package, and writes it as .onnx. See docs/demo.md.
//
//     npm run build
//     node scripts/demo/render.mjs train 30000 1 train.bin
//     node scripts/demo/render.mjs test 5000 1 test.bin
//     node scripts/demo/train.mjs train.bin test.bin src/assets/demo/resnet14_shapes.onnx
//
// The graph is that of the network which is replaced; its weights are not used. scripts/demo/train.py does the same with
// PyTorch, for comparison.
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    graph: { type: 'string', default: path.join('src', 'assets', 'demo', 'resnet14_shapes.onnx') },
    epochs: { type: 'string', default: '10' },
    limit: { type: 'string' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: '0' },
  },
});
const [train, test, output] = positionals;
if (output === undefined) {
  console.error(
    'usage: train.mjs TRAIN.bin TEST.bin OUTPUT.onnx [--graph MODEL.onnx] [--epochs N] [--limit IMAGES] [--seed N] [--threads N]',
  );
  process.exit(2);
}

const { finetune } = createRequire(import.meta.url)('../../dist/index.cjs');
const pixels = { kind: 'cifar-binary', scale: '1/255', mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] };
const classNames = ['disk', 'ring', 'square', 'triangle', 'hexagon', 'star', 'cross', 'crescent', 'stripes', 'checker'];
const data = (file) => ({ ...pixels, path: file, classNames });

// The recipe of train.py. The test split is printed after each epoch and chooses nothing.
let reported = 0;
const result = await finetune(values.graph, {
  data: { ...data(train), ...(values.limit === undefined ? {} : { limit: Number(values.limit) }) },
  validation: data(test),
  output,
  force: true,
  fromScratch: true,
  epochs: Number(values.epochs),
  batchSize: 64,
  learningRate: 0.08,
  schedule: 'one-cycle',
  warmup: 0.25,
  momentumRange: [0.85, 0.95],
  weightDecay: 5e-4,
  decayAll: true,
  labelSmoothing: 0.05,
  crop: 0,
  flip: 0.5,
  seed: Number(values.seed),
  threads: Number(values.threads),
  onMessage: (text) => console.log(text),
  onProgress: ({ stage, fraction, message }) => {
    if (stage !== 'train' || message === undefined || fraction < reported + 0.02) return;
    reported = fraction;
    console.log(message);
  },
});
for (const { epoch, loss, validation } of result.epochs)
  console.log(`epoch ${epoch}  loss ${loss.toFixed(4)}  test ${validation.top1.toFixed(4)}`);
console.log(`${output}: test ${result.after.top1.toFixed(4)} after ${Math.round(result.seconds)} s`);
