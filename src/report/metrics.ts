import { expected } from '../errors';

/** How good a classifier's answers are. All accuracies are fractions. */
export interface ClassificationMetrics {
  readonly samples: number;
  readonly top1: number;
  /** Share of samples whose class is among the five highest outputs (all of them where there are five or fewer). */
  readonly top5: number;
  /** Mean cross-entropy in nats. */
  readonly loss: number;
  /** By class id; `top1` is NaN for a class without samples. */
  readonly perClass: readonly { readonly samples: number; readonly top1: number }[];
  /** [true class][predicted class] sample counts. */
  readonly confusion: readonly Uint32Array[];
  /** The class each sample was given: [samples]. */
  readonly predictions: Int32Array;
  /** What the rows of the output were taken for. */
  readonly outputs: 'logits' | 'probabilities';
}

/** A row of float32 probabilities sums to one within this, also over thousands of classes. */
const PROBABILITY_SUM_TOLERANCE = 1e-3;

/** The smallest normal float32: the probability that a certain and wrong answer is charged for. */
const SMALLEST_PROBABILITY = 2 ** -126;

/**
 * Compares a classifier's outputs, row-major [samples, classes], with the labels, [samples] in 0 .. classes − 1.
 *
 * Equal outputs rank by class id, lowest first, so a constant output predicts class 0 and nothing depends on sort
 * order. The outputs are taken for probabilities where every value is in [0, 1] and every row sums to one, and for
 * logits (softmax is applied in float64) otherwise; log-softmax outputs count as logits and give the same loss.
 * The only logits that this mistakes are ones that already are probability vectors in every single row.
 *
 * Errors: ERR_DATA_MISMATCH (lengths, a label out of range), ERR_NON_FINITE (an output that is NaN or infinite, by
 * row). O(samples · classes).
 */
export function classificationMetrics(
  outputs: Float32Array,
  labels: ArrayLike<number>,
  classes: number,
): ClassificationMetrics {
  const samples = labels.length;
  if (outputs.length !== samples * classes || samples === 0) {
    throw expected(
      'ERR_DATA_MISMATCH',
      `${samples} × ${classes} output values of at least one sample`,
      'the classifier outputs',
      outputs.length,
    );
  }
  checkFinite(outputs, classes);
  const probabilities = areProbabilities(outputs, classes);
  const confusion = Array.from({ length: classes }, () => new Uint32Array(classes));
  const predictions = new Int32Array(samples);
  let correct = 0;
  let amongFive = 0;
  let loss = 0;
  for (let sample = 0; sample < samples; sample++) {
    const row = outputs.subarray(sample * classes, (sample + 1) * classes);
    const label = labels[sample]!;
    if (!Number.isInteger(label) || label < 0 || label >= classes) {
      throw expected('ERR_DATA_MISMATCH', `a label in 0..${classes - 1}`, `sample ${sample}`, label, {
        remedy: 'Use data whose classes are the ones the model was trained on.',
      });
    }
    const predicted = indexOfHighest(row);
    const rank = rankOf(row, label);
    predictions[sample] = predicted;
    confusion[label]![predicted]!++;
    if (rank === 0) correct++;
    if (rank < 5) amongFive++;
    loss += probabilities ? -Math.log(Math.max(row[label]!, SMALLEST_PROBABILITY)) : crossEntropy(row, label);
  }
  return {
    samples,
    top1: correct / samples,
    top5: amongFive / samples,
    loss: loss / samples,
    perClass: confusion.map((row, label) => {
      const count = row.reduce((sum, value) => sum + value, 0);
      return { samples: count, top1: row[label]! / count };
    }),
    confusion,
    predictions,
    outputs: probabilities ? 'probabilities' : 'logits',
  };
}

function checkFinite(outputs: Float32Array, classes: number): void {
  for (let i = 0; i < outputs.length; i++) {
    if (!Number.isFinite(outputs[i])) {
      throw expected('ERR_NON_FINITE', 'finite classifier outputs', `sample ${Math.floor(i / classes)}`, outputs[i], {
        remedy: 'Check the normalisation of the data (--scale, --mean, --std) and the model itself.',
      });
    }
  }
}

function areProbabilities(outputs: Float32Array, classes: number): boolean {
  for (let start = 0; start < outputs.length; start += classes) {
    let sum = 0;
    for (let i = start; i < start + classes; i++) {
      if (outputs[i]! < 0 || outputs[i]! > 1 + PROBABILITY_SUM_TOLERANCE) return false;
      sum += outputs[i]!;
    }
    if (Math.abs(sum - 1) > PROBABILITY_SUM_TOLERANCE) return false;
  }
  return true;
}

function indexOfHighest(row: Float32Array): number {
  let best = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
  return best;
}

/** How many classes come before `label`: those with a higher output, and equal ones with a lower id. */
function rankOf(row: Float32Array, label: number): number {
  const value = row[label]!;
  let rank = 0;
  for (let i = 0; i < row.length; i++) if (row[i]! > value || (row[i] === value && i < label)) rank++;
  return rank;
}

function crossEntropy(row: Float32Array, label: number): number {
  const highest = row[indexOfHighest(row)]!;
  let sum = 0;
  for (const value of row) sum += Math.exp(value - highest);
  return Math.log(sum) + highest - row[label]!;
}
