import { setImmediate as nextTurn } from 'node:timers/promises';
import { SieveError, throwIfAborted } from '../../errors';
import { createRandom } from '../../random';
import { CLASSES } from './cases';
import type { BenchmarkData } from './types';

/** Features are row-major [rows, dims]; labels are 0 .. CLASSES-1. */
export interface LabelledData {
  readonly features: Float32Array;
  readonly labels: Int32Array;
  readonly rows: number;
  readonly dims: number;
}

const BLOBS = 100;
const BLOB_DEVIATION = 0.5;
const VALUES_A_TURN = 1 << 17;

/**
 * Seeded data, the same kinds as test/bench has: `random` is uniform in [0, 1) with random labels, `clustered` 100 blobs
 * of standard deviation 0.5 around normal centres, the label being the blob modulo 10.
 *
 * @throws SieveError ERR_OUT_OF_MEMORY, ERR_CANCELLED.
 */
export async function makeData(
  kind: BenchmarkData,
  rows: number,
  dims: number,
  seed: number,
  signal: AbortSignal | undefined,
): Promise<LabelledData> {
  const random = createRandom(seed);
  const features = allocate(rows, dims);
  const labels = new Int32Array(rows);
  const centers = kind === 'clustered' ? Float32Array.from({ length: BLOBS * dims }, random.normal) : undefined;
  let sinceBreath = 0;
  for (let row = 0; row < rows; row++) {
    const blob = random.integer(BLOBS);
    labels[row] = blob % CLASSES;
    for (let i = 0; i < dims; i++) {
      features[row * dims + i] =
        centers === undefined ? random.uniform() : centers[blob * dims + i]! + BLOB_DEVIATION * random.normal();
    }
    sinceBreath += dims;
    if (sinceBreath >= VALUES_A_TURN) {
      sinceBreath = 0;
      await nextTurn();
      throwIfAborted(signal);
    }
  }
  return { features, labels, rows, dims };
}

function allocate(rows: number, dims: number): Float32Array {
  try {
    return new Float32Array(rows * dims);
  } catch (cause) {
    throw new SieveError('ERR_OUT_OF_MEMORY', `Expected memory for ${rows} × ${dims} values but received none`, {
      cause,
      remedy: 'Use fewer rows or dims.',
    });
  }
}
