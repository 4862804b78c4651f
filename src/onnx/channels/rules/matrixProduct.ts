import { intAttribute } from '../../attributes';
import type { Node, Tensor } from '../../ir';
import type { AxisSelection } from '../../selectPositions';
import type { CutContext, FlowContext, GraphFacts, OperatorRule, Refusal } from '../rule';
import { inputOf, withInput } from '../rule';
import type { ChannelLabel } from '../slots';
import { FIXED } from '../slots';

/** Where the axes of a product of an activation and a constant lie. An axis that is not there is undefined. */
interface Product {
  readonly activation: string;
  readonly weight: Tensor;
  /** Position of the weight among the node's inputs. */
  readonly weightInput: 0 | 1;
  /** Axes that are summed over. */
  readonly contracted: { readonly activation: number; readonly weight: number };
  /** The weight's own axis and where it comes out. */
  readonly produced: { readonly weight: number; readonly output: number } | undefined;
  /** Where another axis of the activation comes out, and the axis of the weight that it meets. */
  readonly passed: (axis: number) => { readonly output: number; readonly weight: number | undefined };
}

/**
 * Channels that are summed over end here and the weight's own axis starts new ones; channels along any other axis of
 * the activation pass through, and the node makes none.
 */
function flowThroughProduct(node: Node, context: FlowContext): Refusal | undefined {
  const product = productOf(node, context);
  if (typeof product === 'string') return product;
  const { activation, weight, contracted, produced, passed } = product;
  const label = context.label(activation);
  if (label !== undefined && label.axis !== contracted.activation) {
    const { output, weight: met } = passed(label.axis);
    const extent = met === undefined ? 1 : (weight.dims[met] ?? 1);
    if (extent !== 1 && extent !== label.slots.length) return `joins ${label.slots.length} channels with ${extent}`;
    return writeSum(node, context, { axis: output, slots: label.slots });
  }
  if (label !== undefined) context.consumes(label.slots);
  if (produced === undefined) return undefined;
  const slots = context.fresh(weight.dims[produced.weight] ?? 0);
  context.produces(slots);
  return writeSum(node, context, { axis: produced.output, slots });
}

/** The addend C of Gemm broadcasts to the product. A constant one is cut with it. */
function writeSum(node: Node, context: FlowContext, result: ChannelLabel): undefined {
  context.write(node.outputs[0], result);
  const addend = node.opType === 'Gemm' ? inputOf(node, 2) : undefined;
  if (addend === undefined || context.constant(addend) !== undefined) return;
  const label = context.label(addend);
  const shape = context.shapeOf(addend);
  const axis = shape === undefined ? undefined : result.axis - (2 - shape.length);
  if (label !== undefined && label.axis === axis && label.slots.length === result.slots.length) {
    label.slots.forEach((slot, at) => context.tie(slot, result.slots[at] ?? FIXED));
    return;
  }
  if (label === undefined && axis !== undefined && (axis < 0 || shape?.[axis] === 1)) return;
  const reason = `Gemm "${node.key}" adds "${addend}", whose channels can not be cut`;
  context.freeze(result.slots, reason);
  if (label !== undefined) context.freeze(label.slots, reason);
}

function cutProduct(node: Node, context: CutContext): Node {
  const product = productOf(node, context);
  if (typeof product === 'string') return node;
  const { activation, weight, weightInput, contracted, produced, passed } = product;
  const input = context.kept(activation);
  const output = context.kept(node.outputs[0]);
  const selections: AxisSelection[] = [];
  if (input?.axis === contracted.activation) selections.push({ axis: contracted.weight, positions: input.positions });
  else if (input !== undefined) {
    const { weight: met } = passed(input.axis);
    if (met !== undefined && (weight.dims[met] ?? 1) !== 1) selections.push({ axis: met, positions: input.positions });
  }
  const passes = input !== undefined && input.axis !== contracted.activation;
  if (!passes && output !== undefined && produced?.output === output.axis)
    selections.push({ axis: produced.weight, positions: output.positions });
  const name = node.inputs[weightInput] ?? '';
  let changed = selections.length === 0 ? node : withInput(node, weightInput, context.slice(name, selections));
  const addend = node.opType === 'Gemm' ? inputOf(node, 2) : undefined;
  const bias = addend === undefined ? undefined : context.constant(addend);
  if (bias === undefined || output === undefined) return changed;
  const axis = output.axis - (2 - bias.dims.length);
  if (axis >= 0 && bias.dims[axis] === output.size && output.size > 1)
    changed = withInput(changed, 2, context.slice(addend ?? '', [{ axis, positions: output.positions }]));
  return changed;
}

function productOf(node: Node, facts: GraphFacts): Product | Refusal {
  return node.opType === 'Gemm' ? gemmOf(node, facts) : matMulOf(node, facts);
}

/** Y = alpha · A' · B' + beta · C with matrices that may be transposed: A' is [M, K], B' [K, N]. */
function gemmOf(node: Node, facts: GraphFacts): Product | Refusal {
  const found = weightOf(node, facts);
  if (found?.weight.dims.length !== 2) return 'has weights that are not constant';
  const { weight, weightInput, activation } = found;
  const turned = [intAttribute(node, 'transA') === 1, intAttribute(node, 'transB') === 1];
  // Of A' the columns are summed over, of B' the rows.
  const summed = [turned[0] === true ? 0 : 1, turned[1] === true ? 1 : 0];
  const activationInput = 1 - weightInput;
  const contracted = { activation: summed[activationInput] ?? 0, weight: summed[weightInput] ?? 0 };
  return {
    activation,
    weight,
    weightInput,
    contracted,
    produced: { weight: 1 - contracted.weight, output: weightInput },
    passed: () => ({ output: activationInput, weight: undefined }),
  };
}

/** [..., M, K] × [..., K, N] by NumPy's rules: leading axes broadcast, and a vector is a matrix that loses its axis again. */
function matMulOf(node: Node, facts: GraphFacts): Product | Refusal {
  const found = weightOf(node, facts);
  if (found === undefined) return 'multiplies two computed tensors';
  const { weight, weightInput, activation } = found;
  const rank = facts.shapeOf(activation)?.length;
  if (rank === undefined || rank < 2) return 'reads an input of unknown rank';
  const weightRank = weight.dims.length;
  const isVector = weightRank === 1;
  const outputRank = isVector ? rank - 1 : Math.max(rank, weightRank);
  const isRight = weightInput === 1;
  const summed = isRight ? rank - 1 : rank - 2;
  const own = isRight ? weightRank - 1 : weightRank - 2;
  return {
    activation,
    weight,
    weightInput,
    contracted: { activation: summed, weight: isVector ? 0 : isRight ? weightRank - 2 : weightRank - 1 },
    produced: isVector ? undefined : { weight: own, output: isRight ? outputRank - 1 : outputRank - 2 },
    passed(axis) {
      if (isVector) return { output: axis > summed ? axis - 1 : axis, weight: undefined };
      const met = axis - rank + weightRank;
      return { output: axis - rank + outputRank, weight: axis < rank - 2 && met >= 0 ? met : undefined };
    },
  };
}

/** The constant operand, where there is exactly one. */
function weightOf(
  node: Node,
  facts: GraphFacts,
): { readonly weight: Tensor; readonly weightInput: 0 | 1; readonly activation: string } | undefined {
  const [first = '', second = ''] = node.inputs;
  const left = facts.constant(first);
  const right = facts.constant(second);
  if (right !== undefined && left === undefined) return { weight: right, weightInput: 1, activation: first };
  if (left !== undefined && right === undefined) return { weight: left, weightInput: 0, activation: second };
  return undefined;
}

export const matrixProductRule: OperatorRule = {
  operators: ['Gemm', 'MatMul'],
  flow: flowThroughProduct,
  cut: cutProduct,
};
