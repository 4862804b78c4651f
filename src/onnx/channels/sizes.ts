import { intAttribute } from '../attributes';
import type { Node } from '../ir';
import { normalizeAxis } from '../shapes/dimensions';
import { normalizeSlice } from '../shapes/slice';
import type { GraphFacts } from './rule';
import { range } from './rule';
import type { PlacedLabel } from './slots';

/**
 * Tensors that hold sizes: what `Shape` says of a tensor with slots changes when these are cut, and so does
 * everything computed from it. Such a tensor is followed until an operator takes it as an operand that the cut can
 * replace by a constant, or that stays right as it is; anything else that reads it freezes the slots.
 */
export interface SizeLabel {
  /** Slots whose removal changes the values. */
  readonly slots: readonly number[];
  /**
   * Where the values are sizes that were only picked and put together: for each of them the slots whose number it is,
   * undefined for one that no cut changes.
   */
  readonly counts?: Counts;
}

export type Counts = readonly (readonly number[] | undefined)[];

const SIZE_ARITHMETIC: ReadonlySet<string> = new Set([
  ...['Add', 'Cast', 'Ceil', 'Concat', 'Div', 'Floor', 'Gather', 'Identity', 'Mod', 'Mul', 'Reshape', 'Slice'],
  ...['Squeeze', 'Sub', 'Unsqueeze'],
]);

export function isSizeArithmetic(node: Node): boolean {
  return node.domain === '' && SIZE_ARITHMETIC.has(node.opType);
}

/** What `Shape` (with `start` and `end` from operator set 15 on) gives for a tensor with channels. */
export function labelOfShape(node: Node, { axis, slots, rank }: PlacedLabel): SizeLabel | undefined {
  const clamp = (bound: number) => Math.min(Math.max(bound < 0 ? bound + rank : bound, 0), rank);
  const start = clamp(intAttribute(node, 'start', 0));
  const end = clamp(intAttribute(node, 'end', rank));
  const counts = range(rank).map((at) => (at === axis ? slots : undefined));
  return axis >= start && axis < end ? { slots, counts: counts.slice(start, end) } : undefined;
}

/** The label of a result that is computed from sizes; undefined where no value that can change is picked. */
export function labelOfArithmetic(
  node: Node,
  labels: readonly (SizeLabel | undefined)[],
  facts: GraphFacts,
): SizeLabel | undefined {
  const counts = countsAfter(node, labels, facts);
  const slots = (counts ?? labels.map((label) => label?.slots)).flatMap((found) => found ?? []);
  if (slots.length === 0) return undefined;
  return { slots: [...new Set(slots)], counts };
}

function countsAfter(node: Node, labels: readonly (SizeLabel | undefined)[], facts: GraphFacts): Counts | undefined {
  const counts = labels[0]?.counts;
  switch (node.opType) {
    case 'Cast':
    case 'Identity':
    case 'Squeeze':
    case 'Unsqueeze':
      return counts;
    case 'Gather': {
      const indices = facts.integers(node.inputs[1] ?? '');
      if (counts === undefined || indices === undefined) return undefined;
      return indices.map((index) => counts[normalizeAxis(index, counts.length) ?? -1]);
    }
    case 'Slice': {
      const taken = counts && sliceOf(node, counts.length, facts);
      return taken && range(taken.count).map((index) => counts?.[taken.start + index * taken.step]);
    }
    case 'Concat': {
      const parts = node.inputs.map(
        (name, index) => labels[index]?.counts ?? unchangingSizes(name, labels[index], facts),
      );
      return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
    }
    default:
      return undefined;
  }
}

function sliceOf(node: Node, length: number, facts: GraphFacts) {
  const operand = (input: number) => {
    const name = node.inputs[input];
    return name === undefined || name === '' ? undefined : name;
  };
  const context = {
    node,
    opset: facts.opset,
    has: (input: number) => operand(input) !== undefined,
    shape: () => undefined,
    value: (input: number) => {
      const elements = facts.integers(operand(input) ?? '');
      return elements && { dims: [elements.length], elements, integer: true };
    },
  };
  return normalizeSlice(context, [length])?.[0];
}

function unchangingSizes(name: string, label: SizeLabel | undefined, facts: GraphFacts): Counts | undefined {
  const length = facts.shapeOf(name)?.[0];
  return label !== undefined || typeof length !== 'number' ? undefined : range(length).map(() => undefined);
}
