import { createHash, type Hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { expected, throwIfAborted } from '../errors';
import type { Model } from '../onnx/ir';
import { toModelBytes } from '../onnx/save';
import { packageRoot } from '../packageRoot';
import { centerSeparationIndex, nearestNeighbours } from '../separation';
import { DEFAULT_EPSILON } from './analyze';
import { checkShard, PART_FORMAT, rowsOfShard } from './analyzePart';
import type { AnalyzePart, LayerHits, Shard } from './analyzePart';
import type { AnalyzeOptions, ModelSource } from './api';
import { filterPlanner } from './filterPlan';
import { labelsOf, type Runtime, type Samples } from './network';
import { openModel, understandClassifier } from './open';
import { DEFAULT_CALIBRATION_SAMPLES, readRuntime } from './options';
import { measureCutPoints, type CutPoint } from './profile';
import { drawSamples, openSamples } from './samples';

export interface AnalyzeShardOptions extends AnalyzeOptions {
  readonly shard: Shard;
}

/** Samples of a layer whose activations are hashed: a machine that computes otherwise shows in nearly all of them. */
const HASHED_SAMPLES = 64;
const HASH_CHUNK_BYTES = 1 << 25;

/**
 * The part of `analyze` that one of `shard.count` jobs does: the indices of its share of the samples among all of them.
 * `mergeAnalyses` makes of all parts what `analyze` gives. Each job runs the network on all samples; what is divided is
 * the search for neighbours, whose cost grows with the square of the samples.
 *
 * Errors: those of analyze; ERR_OPTION where there are more shards than samples.
 */
export async function analyzeShard(source: ModelSource, options: AnalyzeShardOptions): Promise<AnalyzePart> {
  const shard = checkShard(options.shard);
  const runtime = readRuntime(options);
  const classifier = understandClassifier(await openModel(source, options.signal));
  const dataset = await openSamples(options.data, classifier, runtime, 'data');
  const samples = drawSamples(dataset, options.samples ?? DEFAULT_CALIBRATION_SAMPLES, runtime.seed);
  const count = samples.indices.length;
  if (shard.count > count)
    throw expected('ERR_OPTION', `at most ${count} shards (the samples)`, 'shard.count', shard.count);
  const range = rowsOfShard(shard, count);
  const withFilters = options.filters ?? false;

  const plan = withFilters ? filterPlanner(classifier) : undefined;

  let data = '';
  const { layers, device } = await measureCutPoints(classifier, samples, runtime, {
    whole: async (cutPoint) => {
      if (cutPoint.isInput) data = await hashData(samples, cutPoint, runtime.signal);
      const { count: filters, skipped: filtersSkipped } = plan?.(cutPoint) ?? { count: 0 };
      const activations = await hashSome(cutPoint, runtime.signal);
      const layer = { name: cutPoint.name, activations, filters };
      return {
        layer: filtersSkipped === undefined ? layer : { ...layer, filtersSkipped },
        hits: await countHits(cutPoint, range, filters, runtime),
      };
    },
  });
  const labels = labelsOf(samples);
  const classSamples = countByClass(labels, range, () => 1);
  return {
    format: PART_FORMAT,
    shard,
    run: {
      version: packageRoot().version,
      model: await hashModel(classifier.model, runtime.signal),
      data,
      device,
      epsilon: options.epsilon ?? DEFAULT_EPSILON,
      filters: withFilters,
      samples: count,
      classNames: dataset.classNames,
      classes: classSamples.length,
      layers: layers.map(({ layer }) => layer),
    },
    classSamples,
    layers: layers.map(({ hits }) => hits),
  };
}

interface Range {
  readonly first: number;
  readonly rows: number;
}

/** A view of some columns of the features, as the kernels take it. */
interface Columns {
  readonly features: Float32Array;
  readonly dims: number;
  readonly rowStride: number;
}

async function countHits(cutPoint: CutPoint, range: Range, filters: number, runtime: Runtime): Promise<LayerHits> {
  const { features, labels } = cutPoint;
  const rowStride = features.length / labels.length;
  const [si, csi] = await hitsOf({ features, dims: rowStride, rowStride }, labels, range, runtime);
  const hits = { si: countByClass(labels, range, (i) => si[i]!), csi: total(csi) };
  if (filters === 0) return hits;
  const each = { si: [] as number[], csi: [] as number[] };
  const dims = rowStride / filters;
  for (let filter = 0; filter < filters; filter++) {
    const columns = { features: features.subarray(filter * dims), dims, rowStride };
    const [near, central] = await hitsOf(columns, labels, range, runtime);
    each.si.push(total(near));
    each.csi.push(total(central));
  }
  return { ...hits, filters: each };
}

/** 1 for each sample of the range that has its nearest neighbour, and its nearest class mean, in its own class. */
async function hitsOf(
  { features, dims, rowStride }: Columns,
  labels: Int32Array,
  range: Range,
  { threads, signal }: Runtime,
): Promise<readonly [si: Uint8Array, csi: Uint8Array]> {
  const rows = labels.length;
  const queries = {
    features: features.subarray(range.first * rowStride),
    rows: range.rows,
    firstRow: range.first,
    rowStride,
  };
  const neighbours = await nearestNeighbours(queries, { features, rows, rowStride }, { dims, threads, signal });
  const shape = { rows, dims, rowStride, threads, signal };
  const centers = await centerSeparationIndex(features, labels, { ...shape, queries: range, nearest: true });
  const own = labels.subarray(range.first, range.first + range.rows);
  return [
    Uint8Array.from(own, (label, i) => (labels[neighbours.nearest[i]!] === label ? 1 : 0)),
    Uint8Array.from(own, (label, i) => (centers.nearest![i] === label ? 1 : 0)),
  ];
}

/** Adds up a count of each sample of the range, by class. */
function countByClass(labels: Int32Array, { first, rows }: Range, countOf: (i: number) => number): number[] {
  const counts = new Array<number>(labels.reduce((highest, label) => Math.max(highest, label), 0) + 1).fill(0);
  for (let i = 0; i < rows; i++) counts[labels[first + i]!]! += countOf(i);
  return counts;
}

function total(hits: Uint8Array): number {
  return hits.reduce((count, hit) => count + hit, 0);
}

async function hashModel(model: Model, signal: AbortSignal | undefined): Promise<string> {
  const { bytes, externalData = [] } = toModelBytes(model);
  const hash = createHash('sha256');
  for (const part of [bytes, ...externalData.map(({ data }) => data)]) await update(hash, part, signal);
  return hash.digest('hex');
}

async function hashData(
  { dataset, indices }: Samples,
  { features, labels }: CutPoint,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(dataset.classNames));
  for (const part of [indices, labels, features]) await update(hash, part, signal);
  return hash.digest('hex');
}

/** Of samples that are evenly spread, the same for every shard. */
async function hashSome({ features, labels }: CutPoint, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  const dims = features.length / labels.length;
  const count = Math.min(HASHED_SAMPLES, labels.length);
  for (let i = 0; i < count; i++) {
    const row = Math.floor((i * labels.length) / count);
    await update(hash, features.subarray(row * dims, (row + 1) * dims), signal);
  }
  return hash.digest('hex');
}

/** In pieces, with a turn of the event loop between them: the data may be gigabytes. */
async function update(
  hash: Hash,
  { buffer, byteOffset, byteLength }: ArrayBufferView,
  signal?: AbortSignal,
): Promise<void> {
  for (let start = 0; start < byteLength; start += HASH_CHUNK_BYTES) {
    hash.update(new Uint8Array(buffer, byteOffset + start, Math.min(HASH_CHUNK_BYTES, byteLength - start)));
    if (start + HASH_CHUNK_BYTES < byteLength) await setImmediate();
    throwIfAborted(signal);
  }
}
