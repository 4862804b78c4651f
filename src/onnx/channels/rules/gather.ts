import { intAttribute } from '../../attributes';
import type { Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import type { CutContext, FlowContext, OperatorRule, Refusal } from '../rule';
import { withInput } from '../rule';
import { FIXED } from '../slots';

/** Picks channels by constant indices (a channel shuffle, for one), or selects along another axis. */
function flowThroughGather(node: Node, context: FlowContext): Refusal | undefined {
  const [data = '', indicesName = ''] = node.inputs;
  const label = context.label(data);
  if (context.label(indicesName) !== undefined) return 'uses channels as indices';
  if (label === undefined) return undefined;
  const axis = normalizeAxis(intAttribute(node, 'axis') ?? 0, label.rank) ?? 0;
  const indicesRank = context.constant(indicesName)?.dims.length ?? context.shapeOf(indicesName)?.length;
  if (indicesRank === undefined) return 'gathers by indices of unknown rank';
  if (axis !== label.axis) {
    context.write(node.outputs[0], {
      axis: label.axis > axis ? label.axis + indicesRank - 1 : label.axis,
      slots: label.slots,
    });
    return undefined;
  }
  const indices = context.constant(indicesName) === undefined ? undefined : context.integers(indicesName);
  if (indices === undefined || indicesRank !== 1) return 'picks channels by indices that are not a constant list';
  const slots = indices.map((index) => label.slots[normalizeAxis(index, label.slots.length) ?? -1] ?? FIXED);
  context.write(node.outputs[0], { axis, slots });
  return undefined;
}

function cutGather(node: Node, context: CutContext): Node {
  const kept = context.kept(node.inputs[0]);
  const rank = context.shapeOf(node.inputs[0] ?? '')?.length ?? 0;
  if (kept === undefined || normalizeAxis(intAttribute(node, 'axis') ?? 0, rank) !== kept.axis) return node;
  const newPosition = new Map(kept.positions.map((position, index) => [position, index]));
  const indices = (context.integers(node.inputs[1] ?? '') ?? [])
    .map((index) => newPosition.get(normalizeAxis(index, kept.size) ?? -1))
    .filter((index) => index !== undefined);
  return withInput(node, 1, context.integersAs(node.inputs[1] ?? '', indices));
}

export const gatherRule: OperatorRule = { operators: ['Gather'], flow: flowThroughGather, cut: cutGather };
