import type { Node } from '../../ir';
import type { CutContext, FlowContext, OperatorRule, Refusal } from '../rule';
import { withInput } from '../rule';
import { FIXED } from '../slots';

/** Inputs broadcast against each other by NumPy's rule. */
const BROADCASTING = [
  ...['Add', 'And', 'Div', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'Max', 'Mean', 'Min', 'Mod'],
  ...['Mul', 'Or', 'PRelu', 'Pow', 'Sub', 'Sum', 'Where', 'Xor'],
];

/**
 * Positions that meet at one index of the output become one slot. An input of extent 1 along the channel axis (a
 * scalar, a spatial gate) broadcasts and does not matter; a constant with the full extent is sliced.
 */
function flowThroughBroadcast(node: Node, context: FlowContext): Refusal | undefined {
  const names = node.inputs.filter((name) => name !== '');
  const ranks = names.map((name) => context.shapeOf(name)?.length ?? context.constant(name)?.dims.length);
  if (ranks.some((rank) => rank === undefined)) return 'combines tensors of unknown rank';
  const rank = Math.max(...(ranks as number[]));
  const fromEnd = names.map((name, index) => {
    const label = context.label(name);
    return label === undefined ? undefined : (ranks[index] ?? 0) - label.axis;
  });
  const distances = new Set(fromEnd.filter((distance) => distance !== undefined));
  if (distances.size > 1) return 'combines channels along different axes';
  const distance = [...distances][0] ?? 0;

  const labels = names.map((name) => context.label(name)).filter((label) => label !== undefined);
  const extent = Math.max(...labels.map((label) => label.slots.length));
  const slots = labels.find((label) => label.slots.length === extent)?.slots ?? [];
  for (const [index, name] of names.entries()) {
    const label = context.label(name);
    if (label === undefined) {
      const dimension = context.constant(name)?.dims.at(-distance) ?? context.shapeOf(name)?.at(-distance);
      const broadcasts = (ranks[index] ?? 0) < distance || dimension === 1;
      if (broadcasts || (context.constant(name) !== undefined && dimension === extent)) continue;
      return `joins them with "${name}", whose channels are fixed`;
    }
    if (label.slots.length !== extent) {
      if (label.slots.length !== 1) return `joins ${label.slots.length} channels with ${extent}`;
      context.freeze(label.slots, `${node.opType} "${node.key}" broadcasts its only channel`);
      continue;
    }
    label.slots.forEach((slot, at) => context.tie(slot, slots[at] ?? FIXED));
  }
  for (const output of node.outputs) context.write(output, { axis: rank - distance, slots });
  return undefined;
}

function cutBroadcast(node: Node, context: CutContext): Node {
  const output = context.kept(node.outputs[0]);
  if (output === undefined) return node;
  const rank = Math.max(
    ...node.inputs.map((name) => context.shapeOf(name)?.length ?? context.constant(name)?.dims.length ?? 0),
  );
  return node.inputs.reduce((changed, name, index) => {
    const constant = name === '' ? undefined : context.constant(name);
    if (constant === undefined) return changed;
    const axis = output.axis - (rank - constant.dims.length);
    if (axis < 0 || constant.dims[axis] !== output.size || output.size === 1) return changed;
    return withInput(changed, index, context.slice(name, [{ axis, positions: output.positions }]));
  }, node);
}

export const broadcastRule: OperatorRule = {
  operators: BROADCASTING,
  flow: flowThroughBroadcast,
  cut: cutBroadcast,
};
