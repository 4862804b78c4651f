/** Float64 brute force over float32 input: the definitions, written out. Everything else is compared with this. */

export interface Neighbours {
  readonly nearest: number[];
  readonly distanceSquared: number[];
}

export type Kind = 'hard' | 'soft' | 'anti';

function distanceSquared(a: Float32Array, i: number, b: Float32Array, j: number, dims: number): number {
  let sum = 0;
  for (let k = 0; k < dims; k++) {
    const difference = a[i * dims + k]! - b[j * dims + k]!;
    sum += difference * difference;
  }
  return sum;
}

/** The `order` nearest of every query among the references; ties to the lowest row. `same`: a row is not its own neighbour. */
export function bruteNeighbours(
  queries: Float32Array,
  references: Float32Array,
  dims: number,
  order: number,
  same: boolean,
): Neighbours {
  const rows = queries.length / dims;
  const referenceRows = references.length / dims;
  const nearest: number[] = [];
  const distances: number[] = [];
  for (let i = 0; i < rows; i++) {
    const candidates: { readonly row: number; readonly d: number }[] = [];
    for (let j = 0; j < referenceRows; j++)
      if (!same || i !== j) candidates.push({ row: j, d: distanceSquared(queries, i, references, j, dims) });
    candidates.sort((a, b) => a.d - b.d || a.row - b.row);
    for (const candidate of candidates.slice(0, order)) {
      nearest.push(candidate.row);
      distances.push(candidate.d);
    }
  }
  return { nearest, distanceSquared: distances };
}

/** Contribution of each query: 0 or 1, or a share for `soft`. */
function contributions(
  nearest: readonly number[],
  order: number,
  labels: Int32Array,
  referenceLabels: Int32Array,
  kind: Kind,
): number[] {
  return Array.from(labels, (label, i) => {
    let same = 0;
    for (let r = 0; r < order; r++) if (referenceLabels[nearest[i * order + r]!] === label) same++;
    if (kind === 'soft') return same / order;
    return kind === 'hard' ? Number(same === order) : Number(same === 0);
  });
}

export interface BruteIndex {
  readonly value: number;
  readonly perClass: number[];
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function perClassMeans(values: readonly number[], labels: Int32Array, classes: number): BruteIndex {
  const perClass = Array.from({ length: classes }, (_, c) => mean(values.filter((_, i) => labels[i] === c)));
  return { value: mean(values), perClass };
}

export function bruteIndex(
  neighbours: Neighbours,
  order: number,
  kind: Kind,
  labels: Int32Array,
  classes: number,
  referenceLabels: Int32Array = labels,
): BruteIndex {
  return perClassMeans(contributions(neighbours.nearest, order, labels, referenceLabels, kind), labels, classes);
}

export interface BruteCenter extends BruteIndex {
  readonly nearest: number[];
  readonly centers: number[];
}

export function bruteCenter(features: Float32Array, dims: number, labels: Int32Array, classes: number): BruteCenter {
  const centers = Array.from({ length: classes * dims }, () => 0);
  const counts = Array.from({ length: classes }, () => 0);
  labels.forEach((label, i) => {
    counts[label]!++;
    for (let k = 0; k < dims; k++) centers[label * dims + k]! += features[i * dims + k]!;
  });
  for (let c = 0; c < classes; c++) for (let k = 0; k < dims; k++) centers[c * dims + k]! /= counts[c]!;
  const nearest = Array.from(labels, (_, i) => {
    let best = -1;
    let bestDistance = Infinity;
    for (let c = 0; c < classes; c++) {
      let d = 0;
      for (let k = 0; k < dims; k++) d += (features[i * dims + k]! - centers[c * dims + k]!) ** 2;
      if (d < bestDistance) [best, bestDistance] = [c, d];
    }
    return best;
  });
  const hits = nearest.map((c, i) => Number(c === labels[i]));
  return { ...perClassMeans(hits, labels, classes), nearest, centers };
}

export function bruteSmoothness(
  features: Float32Array,
  dims: number,
  targets: Float32Array,
  targetDims: number,
): number {
  const { nearest } = bruteNeighbours(features, features, dims, 1, true);
  const values = nearest.map((neighbour, i) => {
    let lowest = Infinity;
    let highest = -Infinity;
    for (let j = 0; j < nearest.length; j++) {
      if (i === j) continue;
      const d = Math.sqrt(distanceSquared(targets, i, targets, j, targetDims));
      lowest = Math.min(lowest, d);
      highest = Math.max(highest, d);
    }
    const d = Math.sqrt(distanceSquared(targets, i, targets, neighbour, targetDims));
    return highest === lowest ? 1 : (highest - d) / (highest - lowest);
  });
  return mean(values);
}

/** The columns of some filters of [rows, filters, dims], as a matrix of its own. */
export function takeFilters(
  features: Float32Array,
  filters: number,
  dims: number,
  members: readonly number[],
): Float32Array {
  const rows = features.length / (filters * dims);
  const taken = new Float32Array(rows * members.length * dims);
  for (let i = 0; i < rows; i++)
    members.forEach((filter, m) => {
      const from = (i * filters + filter) * dims;
      taken.set(features.subarray(from, from + dims), (i * members.length + m) * dims);
    });
  return taken;
}
