import { withAttribute } from '../attributes';
import type { Node, Shape, Tensor } from '../ir';
import type { AxisSelection } from '../selectPositions';
import type { Shuffle } from './shuffles';
import type { ChannelLabel, PlacedLabel } from './slots';

/** What is known of the original graph, whichever operator asks. */
export interface GraphFacts {
  /** Version of the standard operator set. */
  readonly opset: number;
  shapeOf(tensor: string): Shape;
  /** A value that is the same for every input: an initializer, a Constant node, or computed from such alone. */
  constant(tensor: string): Tensor | undefined;
  /** The shuffle that a node takes part in; the last of its nodes stands for it. */
  shuffleOf(node: Node): { readonly shuffle: Shuffle; readonly isLast: boolean } | undefined;
  /** The nodes that read a tensor. */
  readersOf(tensor: string): readonly Node[];
  /** Values of a whole-number tensor, where they are constant or follow from the shapes of the graph as it is. */
  integers(tensor: string): readonly number[] | undefined;
}

/** How an operator says what happens to slots. Everything it does not say is refused, never guessed. */
export interface FlowContext extends GraphFacts {
  label(tensor: string): PlacedLabel | undefined;
  /** True where the tensor holds sizes that change when channels are cut. Only `sizeInputs` ever are. */
  countsChannels(tensor: string): boolean;
  /** For each value of a vector of sizes: the slots whose number it is; undefined for other values. */
  countedBy(tensor: string): readonly (readonly number[] | undefined)[] | undefined;
  /** Whether two lists name the same slots in the same order, so that as many of both stay whatever is cut. */
  sameSlots(first: readonly number[], second: readonly number[]): boolean;
  write(tensor: string | undefined, label: ChannelLabel | undefined): void;
  fresh(count: number): number[];
  tie(first: number, second: number): void;
  freeze(slots: readonly number[], reason: string): void;
  /** The node is linear and these slots are its output channels. */
  produces(slots: readonly number[]): void;
  /** The node is linear and contracts over these slots. */
  consumes(slots: readonly number[]): void;
}

/** What is left of a tensor: positions along `axis`, ascending, out of `size`. */
export interface KeptPositions {
  readonly axis: number;
  readonly size: number;
  readonly positions: readonly number[];
}

export interface CutContext extends GraphFacts {
  /** undefined where nothing is removed from the tensor. */
  kept(tensor: string | undefined): KeptPositions | undefined;
  /** A name for the constant with only these positions left. */
  slice(constant: string, selections: readonly AxisSelection[]): string;
  /** A name for a 1-D int64 constant that takes the place of the operand `instead` (a name for it, where it is new). */
  integersAs(instead: string, values: readonly number[]): string;
}

/**
 * All that is known about an operator. To support another one, say in `flow` how slots come out of it, or return
 * the reason why they can not be followed (the slots that go in are then frozen); and in `cut` what changes in the
 * node itself when positions go. An operator without `cut` needs no change.
 */
export interface OperatorRule {
  readonly operators: readonly string[];
  /**
   * Inputs by position that only say sizes, whose value the rule replaces in `cut` when they are computed from the
   * shape of a tensor that is cut.
   */
  readonly sizeInputs?: readonly number[];
  readonly flow: (node: Node, context: FlowContext) => Refusal | undefined;
  readonly cut?: (node: Node, context: CutContext) => Node;
}

/** Completes "Conv "name" …": why the slots that reach the node can not be followed through it. */
export type Refusal = string;

export function withInput(node: Node, index: number, tensor: string): Node {
  const inputs = [...node.inputs];
  while (inputs.length <= index) inputs.push('');
  inputs[index] = tensor;
  return { ...node, inputs };
}

export function withInts(node: Node, attribute: string, value: readonly number[]): Node {
  return withAttribute(node, attribute, { kind: 'ints', value });
}

export function withInt(node: Node, attribute: string, value: number): Node {
  return withAttribute(node, attribute, { kind: 'int', value });
}

/** undefined where the input is left out. */
export function inputOf(node: Node, index: number): string | undefined {
  const name = node.inputs[index];
  return name === '' ? undefined : name;
}

/** 0, 1, … count − 1. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
