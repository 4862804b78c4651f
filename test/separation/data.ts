import { createRandom } from '../../src/random';

export interface Labelled {
  readonly features: Float32Array;
  readonly labels: Int32Array;
  readonly rows: number;
  readonly dims: number;
  readonly classes: number;
}

/** Overlapping Gaussian classes: an index somewhere between chance and 1. */
export function clusters(rows: number, dims: number, classes: number, seed: number, spread = 1): Labelled {
  const random = createRandom(seed);
  const centers = Array.from({ length: classes * dims }, () => random.normal());
  const labels = Int32Array.from({ length: rows }, () => random.integer(classes));
  const features = new Float32Array(rows * dims);
  for (let i = 0; i < rows; i++)
    for (let k = 0; k < dims; k++) features[i * dims + k] = centers[labels[i]! * dims + k]! + spread * random.normal();
  return { features, labels, rows, dims, classes };
}

/** Small integers: many equal distances and duplicate rows, so that the tie rule decides. */
export function ties(rows: number, dims: number, classes: number, seed: number): Labelled {
  const random = createRandom(seed);
  const features = Float32Array.from({ length: rows * dims }, () => random.integer(2));
  const labels = Int32Array.from({ length: rows }, () => random.integer(classes));
  return { features, labels, rows, dims, classes };
}
