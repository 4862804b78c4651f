/**
 * Training steps of one network, for test/bench/training.py: `node training.js SETTINGS` (bundled), where SETTINGS is JSON.
 * Prints a line once it is ready, then one for each line with a number of steps that it reads.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { createTrainingSession } from '../../src/activations/trainingSession';
import { understandClassifier } from '../../src/compress/open';
import { measureChannelBlock } from '../../src/compress/training/channelBlock';
import { readModel } from '../../src/onnx/load';
import { toModelBytes } from '../../src/onnx/save';
import { buildTrainingGraph } from '../../src/onnx/training/trainingGraph';

interface Settings {
  readonly model: string;
  /** Raw float32: [batches, batch, …image] and [batches, batch, classes]. */
  readonly images: string;
  readonly targets: string;
  readonly batches: number;
  readonly batchSize: number;
  readonly threads: number;
  readonly device: 'cpu' | 'cuda' | 'webgpu';
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** Keep to the plain layout of images. */
  readonly plainLayout: boolean;
  /** Idle threads spin: faster on an idle machine. */
  readonly spinning: boolean;
}

const SMALLEST_NORMAL = 2 ** -126;

async function main(settings: Settings): Promise<void> {
  const { batchSize, threads, device, learningRate, momentum, weightDecay } = settings;
  const network = understandClassifier(await readModel(settings.model));
  const channelBlock = device === 'cpu' && !settings.plainLayout ? await measureChannelBlock() : undefined;
  const graph = buildTrainingGraph(network.model, {
    batchSize,
    input: network.input.name,
    logits: network.logits,
    optimizer: { rule: { kind: 'sgd', nesterov: true, weightDecay, decoupled: false } },
    batchNorm: 'batch',
    device,
    channelBlock,
  });
  const opening = performance.now();
  const { states, results } = graph;
  const options = { states, results, device, threads, spinning: settings.spinning };
  const session = await createTrainingSession(toModelBytes(graph.model), options);
  const images = parts(settings.images, settings.batches);
  const targets = parts(settings.targets, settings.batches);
  const targetDims = [batchSize, graph.classes];
  print({
    channelBlock: channelBlock ?? 0,
    nodes: graph.model.graph.nodes.length,
    openSeconds: (performance.now() - opening) / 1000,
  });

  let done = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const cpu = process.cpuUsage();
    const started = performance.now();
    const losses: number[] = [];
    for (let count = Number(line); count > 0; count -= 1) {
      const at = done % settings.batches;
      done += 1;
      const answer = await session.step({
        images: { dims: graph.imageDims, data: images[at]! },
        targets: { dims: targetDims, data: targets[at]! },
        ...graph.stepFeeds({ learningRate, momentum, step: done }),
      });
      losses.push(answer.results.get('loss')!.data[0]!);
    }
    const wall = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const state = await session.readState();
    print({
      losses,
      wall,
      cpu: (user + system) / 1e6,
      peakBytes: process.resourceUsage().maxRSS * 1024,
      denormals: [...state.values()].reduce((sum, values) => sum + countDenormals(values), 0),
    });
  }
  await session.close();
}

function parts(file: string, count: number): Float32Array[] {
  const bytes = new Uint8Array(readFileSync(file));
  const all = new Float32Array(bytes.buffer);
  const length = all.length / count;
  return Array.from({ length: count }, (_, at) => all.subarray(at * length, (at + 1) * length));
}

function countDenormals(values: Float32Array): number {
  return values.reduce((count, value) => count + (value !== 0 && Math.abs(value) < SMALLEST_NORMAL ? 1 : 0), 0);
}

function print(document: object): void {
  console.log(JSON.stringify(document));
}

main(JSON.parse(process.argv[2] ?? '{}') as Settings).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
