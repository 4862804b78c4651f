import { intAttribute } from '../attributes';
import type { Node } from '../ir';
import { normalizeAxis } from '../shapes/dimensions';
import type { GraphFacts } from './rule';

/**
 * Tensors that hold sizes: what `Shape` says of a tensor with slots changes when these are cut, and so does
 * everything computed from it. Such a tensor is followed until an operator takes it as an operand that the cut can
 * replace by a constant; anything else that reads it freezes the slots.
 */
export interface SizeLabel {
  /** Slots whose removal changes the values. */
  readonly slots: readonly number[];
  /** Set on the direct result of `Shape`: which of its values counts the channels. */
  readonly entry?: number;
}

const SIZE_ARITHMETIC: ReadonlySet<string> = new Set([
  ...['Add', 'Cast', 'Ceil', 'Concat', 'Div', 'Floor', 'Gather', 'Identity', 'Mod', 'Mul', 'Reshape', 'Slice'],
  ...['Squeeze', 'Sub', 'Unsqueeze'],
]);

export function isSizeArithmetic(node: Node): boolean {
  return node.domain === '' && SIZE_ARITHMETIC.has(node.opType);
}

/** What `Shape` (with `start` and `end` from operator set 15 on) gives for channels along `axis`. */
export function labelOfShape(node: Node, axis: number, slots: readonly number[], rank: number): SizeLabel | undefined {
  const clamp = (bound: number) => Math.min(Math.max(bound < 0 ? bound + rank : bound, 0), rank);
  const start = clamp(intAttribute(node, 'start', 0));
  const end = clamp(intAttribute(node, 'end', rank));
  return axis >= start && axis < end ? { slots, entry: axis - start } : undefined;
}

/** The label of a result that is computed from sizes; undefined where no value that can change is picked. */
export function labelOfArithmetic(
  node: Node,
  labels: readonly (SizeLabel | undefined)[],
  facts: GraphFacts,
): SizeLabel | undefined {
  const [first] = labels;
  if (first?.entry !== undefined && node.opType === 'Gather') {
    const rank = facts.shapeOf(node.inputs[0] ?? '')?.[0];
    const indices = facts.integers(node.inputs[1] ?? '');
    if (typeof rank === 'number' && indices?.every((index) => normalizeAxis(index, rank) !== first.entry))
      return undefined;
  }
  if (first?.entry !== undefined && node.opType === 'Slice') {
    const rank = facts.shapeOf(node.inputs[0] ?? '')?.[0];
    const [start] = facts.integers(node.inputs[1] ?? '') ?? [];
    const [end] = facts.integers(node.inputs[2] ?? '') ?? [];
    const [step] = node.inputs[4] === undefined ? [1] : (facts.integers(node.inputs[4]) ?? []);
    if (typeof rank === 'number' && start !== undefined && end !== undefined && step === 1) {
      const clamp = (bound: number) => Math.min(Math.max(bound < 0 ? bound + rank : bound, 0), rank);
      if (first.entry < clamp(start) || first.entry >= clamp(end)) return undefined;
    }
  }
  return { slots: [...new Set(labels.flatMap((label) => label?.slots ?? []))] };
}
