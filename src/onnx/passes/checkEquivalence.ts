import { expected } from '../../errors';

/** How far two graphs are apart on the same input. */
export interface Equivalence {
  readonly maxAbsoluteDifference: number;
  /** Largest magnitude in the reference output. */
  readonly outputScale: number;
  /** maxAbsoluteDifference / outputScale; 0 where both outputs are zero everywhere. */
  readonly relativeDifference: number;
  readonly equal: boolean;
}

/** Differences up to this part of the output's scale are rounding: sums of fewer terms in another order. */
export const EQUIVALENCE_TOLERANCE = 1e-4;

/**
 * Compares an output of a cut graph with that of its reference (`maskChannels`), element by element. Values that
 * are not finite count as an infinite difference, unless both are the same infinity or both NaN.
 *
 * Compute both outputs with the runtime's graph optimisations off: fusions that meet only one of the two graphs make
 * them differ (ONNX Runtime folds a Pad with zeros into the MaxPool behind it, which then pads with −∞).
 *
 * @throws ERR_SHAPE where the lengths differ
 */
export function compareOutputs(
  reference: ArrayLike<number>,
  actual: ArrayLike<number>,
  tolerance: number = EQUIVALENCE_TOLERANCE,
): Equivalence {
  if (reference.length !== actual.length)
    throw expected('ERR_SHAPE', `${reference.length} values`, 'the output of the cut graph', `${actual.length} values`);
  let maxAbsoluteDifference = 0;
  let outputScale = 0;
  for (let index = 0; index < reference.length; index++) {
    const left = reference[index] ?? 0;
    const right = actual[index] ?? 0;
    if (Object.is(left, right)) {
      if (Number.isFinite(left)) outputScale = Math.max(outputScale, Math.abs(left));
      continue;
    }
    const difference = Math.abs(left - right);
    maxAbsoluteDifference = Number.isFinite(difference) ? Math.max(maxAbsoluteDifference, difference) : Infinity;
    if (maxAbsoluteDifference === Infinity) break;
    outputScale = Math.max(outputScale, Math.abs(left));
  }
  const relativeDifference = maxAbsoluteDifference === 0 ? 0 : maxAbsoluteDifference / outputScale;
  return { maxAbsoluteDifference, outputScale, relativeDifference, equal: relativeDifference <= tolerance };
}
