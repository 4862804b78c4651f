import { intAttribute, stringAttribute } from '../../attributes';
import type { Node } from '../../ir';
import type { FlowContext, OperatorRule, Refusal } from '../rule';
import { range } from '../rule';
import { FIXED } from '../slots';

/**
 * Each output channel of DepthToSpace is put together from block² input channels, which go together. Mode DCR has
 * them a whole depth apart (block, depth), CRD side by side (depth, block). The node itself only knows the block.
 */
function flowThroughDepthToSpace(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  if (label.axis !== 1) return `rearranges axis 1 but the channels lie along axis ${label.axis}`;
  const places = (intAttribute(node, 'blocksize') ?? 1) ** 2;
  const depth = label.slots.length / places;
  if (!Number.isInteger(depth)) return `rearranges ${label.slots.length} channels into blocks of ${places}`;
  const isColumnFirst = stringAttribute(node, 'mode') === 'CRD';
  const slots = range(depth).map((channel) => {
    const members = range(places).map((place) => {
      const at = isColumnFirst ? channel * places + place : place * depth + channel;
      return label.slots[at] ?? FIXED;
    });
    const first = members[0] ?? FIXED;
    for (const member of members) context.tie(first, member);
    return first;
  });
  context.write(node.outputs[0], { axis: 1, slots });
  return undefined;
}

/** The inverse of mode DCR: every channel comes out once for each place in a block. */
function flowThroughSpaceToDepth(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  if (label.axis !== 1) return `rearranges axis 1 but the channels lie along axis ${label.axis}`;
  const places = (intAttribute(node, 'blocksize') ?? 1) ** 2;
  context.write(node.outputs[0], { axis: 1, slots: range(places).flatMap(() => label.slots) });
  return undefined;
}

export const depthToSpaceRules: readonly OperatorRule[] = [
  { operators: ['DepthToSpace'], flow: flowThroughDepthToSpace },
  { operators: ['SpaceToDepth'], flow: flowThroughSpaceToDepth },
];
