import { intAttribute, stringAttribute } from './attributes';
import type { Node, Shape } from './ir';
import type { ShapeMap } from './shapes';

/**
 * Multiply-accumulates of one node for the shapes given: convolutions, matrix products, Einsum, and batch normalisation,
 * which scales and shifts every element once at inference. Everything else counts 0, as is usual; so do the additions of a
 * bias. NaN where a size is not known.
 */
export function macsOfNode(node: Node, shapes: ShapeMap): number {
  if (node.domain !== '') return 0;
  const shape = (input: number) => shapes.get(node.inputs[input] ?? '');
  const output = shapes.get(node.outputs[0] ?? '');
  switch (node.opType) {
    case 'Conv':
    case 'ConvInteger':
      return product(output) * product(shape(1)?.slice(1));
    case 'QLinearConv':
      return product(output) * product(shape(3)?.slice(1));
    case 'BatchNormalization':
      return product(output);
    case 'ConvTranspose':
      return product(shape(0)) * product(shape(1)?.slice(1));
    case 'Gemm':
      return (
        product(output) *
        product(
          shape(0)
            ?.slice(intAttribute(node, 'transA', 0) === 0 ? 1 : 0)
            .slice(0, 1),
        )
      );
    case 'MatMul':
    case 'MatMulInteger':
    case 'QLinearMatMul':
      return product(output) * product(shape(0)?.slice(-1));
    case 'Einsum':
      return einsumMacs(
        node,
        node.inputs.map((_, input) => shape(input)),
      );
    default:
      return 0;
  }
}

/** Every distinct index runs through its whole range. Exact without ellipsis; with one, unknown. */
function einsumMacs(node: Node, operands: readonly Shape[]): number {
  const [left = ''] = stringAttribute(node, 'equation', '').replaceAll(' ', '').split('->');
  const sizes = new Map<string, number>();
  for (const [input, labels] of left.split(',').entries()) {
    if (labels.includes('.')) return NaN;
    for (const [axis, letter] of [...labels].entries()) {
      const size = operands[input]?.[axis];
      sizes.set(letter, Math.max(sizes.get(letter) ?? 1, typeof size === 'number' ? size : NaN));
    }
  }
  return product([...sizes.values()]);
}

function product(shape: Shape): number {
  if (shape === undefined) return NaN;
  return shape.reduce<number>((result, size) => result * (typeof size === 'number' ? size : NaN), 1);
}
