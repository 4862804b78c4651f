import { intAttribute } from '../../attributes';
import type { Node, Tensor } from '../../ir';
import type { AxisSelection, CutContext, FlowContext, OperatorRule } from '../rule';
import { inputOf, range, withInput, withInt } from '../rule';
import { FIXED } from '../slots';

const NOT_CONSTANT = 'has weights that are not constant';

/**
 * A grouped convolution can lose whole groups (inputs and outputs go together) or the same positions inside every
 * group (inputs and outputs stay independent, all groups shrink alike). The finer choice is taken: whole groups
 * where there are more groups than channels in one, which includes every depthwise convolution.
 */
function losesWholeGroups(groups: number, inputsPerGroup: number): boolean {
  return groups > inputsPerGroup;
}

interface Geometry {
  readonly groups: number;
  readonly inputsPerGroup: number;
  readonly outputsPerGroup: number;
  readonly wholeGroups: boolean;
}

/** Conv keeps [outputs, inputs / groups, …], ConvTranspose [inputs, outputs / groups, …]. */
function geometryOf(node: Node, weight: Tensor): Geometry | undefined {
  const groups = intAttribute(node, 'group') ?? 1;
  const [first, second] = weight.dims;
  if (first === undefined || second === undefined || groups < 1 || first % groups !== 0) return undefined;
  const transposed = node.opType === 'ConvTranspose';
  const inputsPerGroup = transposed ? first / groups : second;
  const outputsPerGroup = transposed ? second : first / groups;
  return { groups, inputsPerGroup, outputsPerGroup, wholeGroups: losesWholeGroups(groups, inputsPerGroup) };
}

function flowThroughConvolution(node: Node, context: FlowContext): string | undefined {
  const [input = '', weightName = ''] = node.inputs;
  const weight = context.constant(weightName);
  const geometry = weight === undefined ? undefined : geometryOf(node, weight);
  if (geometry === undefined) return NOT_CONSTANT;
  const { groups, inputsPerGroup, outputsPerGroup, wholeGroups } = geometry;
  const bias = inputOf(node, 2);
  if (bias !== undefined && context.constant(bias) === undefined) return 'has a bias that is not constant';
  const label = context.label(input);
  if (label !== undefined && label.axis !== 1)
    return `reads channels along axis 1 but they lie along axis ${label.axis}`;
  if (label !== undefined && label.slots.length !== groups * inputsPerGroup)
    return `reads ${groups * inputsPerGroup} channels but its input has ${label.slots.length}`;

  if (wholeGroups) {
    if (label === undefined) return 'filters the channels of an input that stays whole one by one';
    const slotOfGroup = range(groups).map((group) => {
      const members = label.slots.slice(group * inputsPerGroup, (group + 1) * inputsPerGroup);
      const first = members[0] ?? FIXED;
      for (const member of members) context.tie(first, member);
      return first;
    });
    const slots = range(groups * outputsPerGroup).map((at) => slotOfGroup[Math.floor(at / outputsPerGroup)] ?? FIXED);
    context.produces(slots);
    context.write(node.outputs[0], { axis: 1, slots });
    return undefined;
  }
  if (label !== undefined) {
    label.slots.forEach((slot, at) => context.tie(label.slots[at % inputsPerGroup] ?? FIXED, slot));
    context.consumes(label.slots);
  }
  const own = context.fresh(outputsPerGroup);
  const slots = range(groups * outputsPerGroup).map((at) => own[at % outputsPerGroup] ?? FIXED);
  context.produces(slots);
  context.write(node.outputs[0], { axis: 1, slots });
  return undefined;
}

function cutConvolution(node: Node, context: CutContext): Node {
  const [input, weightName = '', bias] = node.inputs;
  const weight = context.constant(weightName);
  const geometry = weight === undefined ? undefined : geometryOf(node, weight);
  if (geometry === undefined) return node;
  const { groups, inputsPerGroup, outputsPerGroup, wholeGroups } = geometry;
  const inputs = context.kept(input)?.positions;
  const outputs = context.kept(node.outputs[0])?.positions;
  const transposed = node.opType === 'ConvTranspose';
  const selections: AxisSelection[] = [];
  const select = (axis: number, positions: readonly number[] | undefined) => {
    if (positions !== undefined) selections.push({ axis, positions });
  };
  if (transposed) {
    select(0, inputs);
    if (!wholeGroups)
      select(
        1,
        outputs?.filter((at) => at < outputsPerGroup),
      );
  } else {
    select(0, outputs);
    if (!wholeGroups)
      select(
        1,
        inputs?.filter((at) => at < inputsPerGroup),
      );
  }
  let changed = node;
  if (selections.length > 0) changed = withInput(changed, 1, context.slice(weightName, selections));
  if (outputs !== undefined && bias !== undefined && bias !== '')
    changed = withInput(changed, 2, context.slice(bias, [{ axis: 0, positions: outputs }]));
  if (wholeGroups && inputs !== undefined && groups > 1)
    changed = withInt(changed, 'group', inputs.length / inputsPerGroup);
  return changed;
}

/** Y = alpha · A · B + beta · C. A is the activation, B the weight; transA makes the batch the contracted axis. */
function flowThroughGemm(node: Node, context: FlowContext): string | undefined {
  const [input = '', weightName = ''] = node.inputs;
  const weight = context.constant(weightName);
  if (weight?.dims.length !== 2) return NOT_CONSTANT;
  if (intAttribute(node, 'transA') === 1) return 'transposes its input';
  const label = context.label(input);
  if (label !== undefined && label.axis !== 1)
    return `reads features along axis 1 but they lie along axis ${label.axis}`;
  if (label !== undefined) context.consumes(label.slots);
  const outputs = weight.dims[intAttribute(node, 'transB') === 1 ? 0 : 1] ?? 0;
  const slots = context.fresh(outputs);
  context.produces(slots);
  context.write(node.outputs[0], { axis: 1, slots });
  tieAddend(node, context, slots);
  return undefined;
}

/** C broadcasts to [N, outputs]. */
function tieAddend(node: Node, context: FlowContext, slots: readonly number[]): void {
  const addend = inputOf(node, 2);
  if (addend === undefined || context.constant(addend) !== undefined) return;
  const label = context.label(addend);
  const shape = context.shapeOf(addend);
  const rank = shape?.length;
  if (label !== undefined && rank !== undefined && label.axis === rank - 1 && label.slots.length === slots.length) {
    label.slots.forEach((slot, at) => context.tie(slot, slots[at] ?? FIXED));
    return;
  }
  if (label === undefined && shape?.[shape.length - 1] === 1) return;
  const reason = `Gemm "${node.key}" adds "${addend}", whose channels can not be cut`;
  context.freeze(slots, reason);
  if (label !== undefined) context.freeze(label.slots, reason);
}

function cutGemm(node: Node, context: CutContext): Node {
  const [input, weight = '', addend] = node.inputs;
  const transposed = intAttribute(node, 'transB') === 1;
  const inputs = context.kept(input)?.positions;
  const outputs = context.kept(node.outputs[0])?.positions;
  const selections: AxisSelection[] = [];
  if (inputs !== undefined) selections.push({ axis: transposed ? 1 : 0, positions: inputs });
  if (outputs !== undefined) selections.push({ axis: transposed ? 0 : 1, positions: outputs });
  let changed = selections.length === 0 ? node : withInput(node, 1, context.slice(weight, selections));
  const bias = addend === undefined || addend === '' ? undefined : context.constant(addend);
  if (bias !== undefined && outputs !== undefined && (bias.dims[bias.dims.length - 1] ?? 1) > 1)
    changed = withInput(changed, 2, context.slice(addend ?? '', [{ axis: bias.dims.length - 1, positions: outputs }]));
  return changed;
}

/** [..., inputs] × [inputs, outputs]: a dense layer. Slots along another axis of the activation pass through. */
function flowThroughMatMul(node: Node, context: FlowContext): string | undefined {
  const [input = '', weightName = ''] = node.inputs;
  const weight = context.constant(weightName);
  const rank = context.shapeOf(input)?.length;
  if (weight === undefined) {
    return context.constant(input) === undefined
      ? 'multiplies two computed tensors'
      : 'multiplies a constant by its input';
  }
  if (rank === undefined || rank < 2) return 'reads an input of unknown rank';
  if (weight.dims.length > 2) return 'has a weight of more than two dimensions';
  const label = context.label(input);
  const contracts = label === undefined || label.axis === rank - 1;
  if (label !== undefined && contracts) context.consumes(label.slots);
  if (label !== undefined && !contracts) {
    context.write(node.outputs[0], label);
    return undefined;
  }
  if (weight.dims.length < 2) return undefined;
  const slots = context.fresh(weight.dims[1] ?? 0);
  context.produces(slots);
  context.write(node.outputs[0], { axis: rank - 1, slots });
  return undefined;
}

function cutMatMul(node: Node, context: CutContext): Node {
  const [input = '', weightName = ''] = node.inputs;
  const rank = context.shapeOf(input)?.length ?? 0;
  const selections: AxisSelection[] = [];
  const inputs = context.kept(input);
  const outputs = context.kept(node.outputs[0]);
  if (inputs?.axis === rank - 1) selections.push({ axis: 0, positions: inputs.positions });
  if (outputs?.axis === rank - 1) selections.push({ axis: 1, positions: outputs.positions });
  return selections.length === 0 ? node : withInput(node, 1, context.slice(weightName, selections));
}

/** The operators whose nodes are layers: what `producers` and `consumers` of a group name. */
export const LINEAR_OPERATORS: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul']);

export const linearRules: readonly OperatorRule[] = [
  { operators: ['Conv', 'ConvTranspose'], flow: flowThroughConvolution, cut: cutConvolution },
  { operators: ['Gemm'], flow: flowThroughGemm, cut: cutGemm },
  { operators: ['MatMul'], flow: flowThroughMatMul, cut: cutMatMul },
];
