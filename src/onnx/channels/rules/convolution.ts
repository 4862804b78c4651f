import { intAttribute } from '../../attributes';
import type { Node, Tensor } from '../../ir';
import type { AxisSelection } from '../../selectPositions';
import type { CutContext, FlowContext, OperatorRule, Refusal } from '../rule';
import { inputOf, range, withInput, withInt } from '../rule';
import type { ChannelLabel } from '../slots';
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

function flowThroughConvolution(node: Node, context: FlowContext): Refusal | undefined {
  const weightName = node.inputs[1] ?? '';
  const weight = context.constant(weightName);
  const geometry = weight === undefined ? undefined : geometryOf(node, weight);
  if (geometry === undefined) return NOT_CONSTANT;
  const { groups, inputsPerGroup, outputsPerGroup, wholeGroups } = geometry;
  const bias = inputOf(node, 2);
  if (bias !== undefined && context.constant(bias) === undefined) return 'has a bias that is not constant';
  const label = channelsToRead(node, context);
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

/** What lies along axis 1. Channels along another axis are places to a convolution: they stay, but its own can go. */
function channelsToRead(node: Node, context: FlowContext): ChannelLabel | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined || label.axis === 1) return label;
  const reason = `${node.opType} "${node.key}" reads channels along axis 1 but they lie along axis ${label.axis}`;
  context.freeze(label.slots, reason);
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
  const within = (positions: readonly number[] | undefined, extent: number) =>
    groups === 1 ? positions : positions?.filter((at) => at < extent);
  select(0, transposed ? inputs : outputs);
  if (!wholeGroups) select(1, transposed ? within(outputs, outputsPerGroup) : within(inputs, inputsPerGroup));
  let changed = node;
  if (selections.length > 0) changed = withInput(changed, 1, context.slice(weightName, selections));
  if (outputs !== undefined && bias !== undefined && bias !== '')
    changed = withInput(changed, 2, context.slice(bias, [{ axis: 0, positions: outputs }]));
  if (wholeGroups && inputs !== undefined && groups > 1)
    changed = withInt(changed, 'group', inputs.length / inputsPerGroup);
  return changed;
}

export const convolutionRule: OperatorRule = {
  operators: ['Conv', 'ConvTranspose'],
  flow: flowThroughConvolution,
  cut: cutConvolution,
};
