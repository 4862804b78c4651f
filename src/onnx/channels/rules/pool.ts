import type { Node } from '../../ir';
import type { FlowContext, OperatorRule, Refusal } from '../rule';

/** Pools over axes 2 and up, each channel by itself. */
function flowThroughPool(node: Node, context: FlowContext): Refusal | undefined {
  const label = context.label(node.inputs[0] ?? '');
  if (label === undefined) return undefined;
  if (label.axis !== 1) return `pools over axis ${label.axis}, which holds the channels`;
  if ((node.outputs[1] ?? '') !== '') return 'returns positions that count the channels';
  context.write(node.outputs[0], label);
  return undefined;
}

export const poolRule: OperatorRule = {
  operators: ['MaxPool', 'AveragePool', 'LpPool', 'GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'],
  flow: flowThroughPool,
};
