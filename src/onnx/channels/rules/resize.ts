import { intsAttribute, stringAttribute } from '../../attributes';
import type { Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import type { CutContext, FlowContext, GraphFacts, OperatorRule, Refusal } from '../rule';
import { inputOf, range, withInput } from '../rule';
import type { ChannelLabel } from '../slots';

/** The output size comes as factors or as sizes; only sizes name the number of channels. */
function flowThroughResize(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  if (stringAttribute(node, 'coordinate_transformation_mode') === 'tf_crop_and_resize') return 'crops while it resizes';
  const output = context.shapeOf(node.outputs[0] ?? '');
  if (output?.[label.axis] !== label.slots.length) return 'does not show that it keeps the number of channels';
  const scales = scalesOf(node, context);
  if (scales !== undefined && context.constant(scales) === undefined) return 'computes its scales';
  const refusal = sizesOf(node, context) === undefined ? undefined : followOutputSize(node, label, context);
  if (refusal !== undefined) return refusal;
  context.write(node.outputs[0], label);
  return undefined;
}

/** Factors: an attribute before operator set 9, then input 1, and input 2 of Resize from set 11 on. */
function scalesOf(node: Node, facts: GraphFacts): string | undefined {
  return inputOf(node, node.opType === 'Upsample' || facts.opset < 11 ? 1 : 2);
}

function sizesOf(node: Node, facts: GraphFacts): string | undefined {
  return node.opType === 'Upsample' || facts.opset < 11 ? undefined : inputOf(node, 3);
}

/** The sizes are known and can be rewritten, or their entry for the channels is what the runtime counts. */
function followOutputSize(node: Node, label: ChannelLabel, context: FlowContext): Refusal | undefined {
  const sizes = sizesOf(node, context) ?? '';
  const entry = axesOf(node, context).indexOf(label.axis);
  if (entry >= 0 && (stringAttribute(node, 'keep_aspect_ratio_policy') ?? 'stretch') !== 'stretch')
    return 'keeps an aspect ratio in which the channels count';
  if (context.integers(sizes) !== undefined) return undefined;
  const counts = context.countedBy(sizes);
  if (counts === undefined) return context.countsChannels(sizes) || entry >= 0 ? 'computes its output size' : undefined;
  const isRight = counts.every((slots, at) =>
    at === entry ? slots !== undefined && context.sameSlots(slots, label.slots) : slots === undefined,
  );
  return isRight && entry >= 0 ? undefined : 'computes its output size';
}

/** Axes that the sizes speak of. */
function axesOf(node: Node, facts: GraphFacts): readonly number[] {
  const rank = facts.shapeOf(node.inputs[0] ?? '')?.length ?? 0;
  return intsAttribute(node, 'axes')?.map((axis) => normalizeAxis(axis, rank) ?? 0) ?? range(rank);
}

function cutResize(node: Node, context: CutContext): Node {
  const kept = context.kept(node.outputs[0]);
  const name = sizesOf(node, context);
  const sizes = name === undefined ? undefined : context.integers(name);
  if (kept === undefined || name === undefined || sizes === undefined) return node;
  const entry = axesOf(node, context).indexOf(kept.axis);
  if (entry < 0) return node;
  const changed = sizes.map((size, index) => (index === entry ? kept.positions.length : size));
  return withInput(node, 3, context.integersAs(name, changed));
}

export const resizeRule: OperatorRule = {
  operators: ['Resize', 'Upsample'],
  sizeInputs: [3],
  flow: flowThroughResize,
  cut: cutResize,
};
