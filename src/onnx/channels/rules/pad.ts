import { intsAttribute, stringAttribute } from '../../attributes';
import type { Node } from '../../ir';
import { normalizeAxis } from '../../shapes/dimensions';
import type { CutContext, FlowContext, GraphFacts, OperatorRule, Refusal } from '../rule';
import { inputOf, range, withInput, withInts } from '../rule';

interface ChannelPads {
  readonly pads: readonly number[];
  /** Index in `pads` of what is added before and after the channels; undefined where the axis is not padded. */
  readonly begin: number | undefined;
  readonly end: number | undefined;
}

/** An attribute (once called `paddings`) before operator set 11, an input from then on, with `axes` from 18 on. */
function channelPads(node: Node, rank: number, axis: number, facts: GraphFacts): ChannelPads | undefined {
  const operand = inputOf(node, 1);
  const pads =
    operand === undefined ? (intsAttribute(node, 'pads') ?? intsAttribute(node, 'paddings')) : facts.integers(operand);
  const axesName = inputOf(node, 3);
  const axes =
    axesName === undefined ? range(rank) : facts.integers(axesName)?.map((at) => normalizeAxis(at, rank) ?? 0);
  if (pads === undefined || axes === undefined || pads.length !== 2 * axes.length) return undefined;
  const entry = axes.indexOf(axis);
  if (entry < 0) return { pads, begin: undefined, end: undefined };
  return { pads, begin: entry, end: entry + axes.length };
}

/**
 * Padded channels hold one constant. They get slots of their own, so that an Add can tie them to the channels they
 * meet (the parameter-free shortcut of a residual network) and they go together.
 */
function flowThroughPad(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  const pads = channelPads(node, label.rank, label.axis, context);
  if (pads === undefined) return 'pads by amounts that are not constant';
  const before = pads.begin === undefined ? 0 : (pads.pads[pads.begin] ?? 0);
  const after = pads.end === undefined ? 0 : (pads.pads[pads.end] ?? 0);
  if (before < 0 || after < 0) return 'crops the channels';
  if (before + after > 0 && (stringAttribute(node, 'mode') ?? 'constant') !== 'constant')
    return 'repeats channels to pad them';
  context.write(node.outputs[0], {
    axis: label.axis,
    slots: [...context.fresh(before), ...label.slots, ...context.fresh(after)],
  });
  return undefined;
}

function cutPad(node: Node, context: CutContext): Node {
  const output = context.kept(node.outputs[0]);
  const rank = context.shapeOf(node.inputs[0] ?? '')?.length ?? 0;
  const pads = output === undefined ? undefined : channelPads(node, rank, output.axis, context);
  if (output === undefined || pads?.begin === undefined || pads.end === undefined) return node;
  const before = pads.pads[pads.begin] ?? 0;
  const after = pads.pads[pads.end] ?? 0;
  const keptBefore = output.positions.filter((position) => position < before).length;
  const keptAfter = output.positions.filter((position) => position >= output.size - after).length;
  if (keptBefore === before && keptAfter === after) return node;
  const changed = pads.pads.map((amount, index) => {
    if (index === pads.begin) return keptBefore;
    return index === pads.end ? keptAfter : amount;
  });
  const operand = inputOf(node, 1);
  if (operand !== undefined) return withInput(node, 1, context.integersAs(operand, changed));
  return withInts(node, node.attributes.has('pads') ? 'pads' : 'paddings', changed);
}

export const padRule: OperatorRule = { operators: ['Pad'], flow: flowThroughPad, cut: cutPad };
