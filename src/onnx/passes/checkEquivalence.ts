import { expected } from '../../errors';
import { elementTypes } from '../elementTypes';
import type { DataType, Graph } from '../ir';

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

/** The largest relative distance of neighbouring values. */
const SPACING: Partial<Record<DataType, number>> = { float16: 2 ** -10, bfloat16: 2 ** -7 };
const LINEAR = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

/**
 * What is rounding in this graph. Sums in another order may round to neighbouring values; the layers' errors are
 * independent, so their squares add: spacing · √layers for 16-bit types, but never below EQUIVALENCE_TOLERANCE, which
 * is far above that of float32. Float16 copies of ResNet-20 and ResNet-56 differ from their masked selves by up to
 * 0.09 of it on ONNX Runtime's CPU kernels (random cuts, 32 random images), which is up to four times 1e-4.
 */
export function equivalenceTolerance(graph: Graph): number {
  const layers = graph.nodes.filter(({ domain, opType }) => domain === '' && LINEAR.has(opType));
  const rounded = new Set([...layers.map(({ outputs }) => outputs[0]), ...graph.outputs.map(({ name }) => name)]);
  const types = elementTypes(graph);
  const square = [...rounded].reduce((sum, name) => sum + (SPACING[types.get(name ?? '') ?? 'other'] ?? 0) ** 2, 0);
  return Math.max(EQUIVALENCE_TOLERANCE, Math.sqrt(square));
}

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
