import { expected, SieveError } from '../../errors';

/**
 * Errors: ERR_LABELS for the first label that names no logit. `classNames`, where known, says which class that is.
 */
export function checkLabels(labels: Int32Array, classes: number, classNames?: readonly string[]): void {
  const wrong = labels.findIndex((label) => label < 0 || label >= classes);
  if (wrong < 0) return;
  const label = labels[wrong]!;
  const name = classNames?.[label];
  throw new SieveError(
    'ERR_LABELS',
    `Expected labels from 0 to ${classes - 1}, one for each logit, for the training samples but received ${label}` +
      `${name === undefined ? '' : ` ("${name}")`} for sample ${wrong}`,
    {
      remedy: `Give samples of the network's ${classes} classes only, or name the classes in the order of its logits.`,
    },
  );
}

/** Errors: ERR_OPTION. */
export function checkSmoothing(smoothing: number): void {
  if (!(smoothing >= 0 && smoothing < 1)) {
    throw expected('ERR_OPTION', 'a number of at least 0 and below 1', 'the label smoothing', smoothing);
  }
}

/**
 * Writes [positions.length, classes] rows of probabilities: 1 − smoothing for the label, and `smoothing` spread evenly
 * over all classes, the label's too (as torch's cross_entropy has it). Labels must have been checked.
 */
export function writeTargets(
  labels: Int32Array,
  positions: Int32Array,
  classes: number,
  smoothing: number,
  output: Float32Array,
): void {
  const other = smoothing / classes;
  output.fill(other, 0, positions.length * classes);
  for (let row = 0; row < positions.length; row++) {
    output[row * classes + labels[positions[row]!]!] = 1 - smoothing + other;
  }
}
