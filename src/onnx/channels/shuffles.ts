import { intsAttribute } from '../attributes';
import { elementCount } from '../elementSize';
import { graphIndex, neededTensors } from '../graphIndex';
import type { Dimension, Graph, Node } from '../ir';
import type { ShapeMap } from '../shapes';
import { range } from './rule';

/**
 * Reshape, Transpose, Reshape that only put the positions of one axis in another order: a channel shuffle. Between the
 * two Reshapes the axis is a rectangle of which only whole rows and columns could go; as an order it ties nothing.
 */
export interface Shuffle {
  /** What is shuffled; the result has its shape. */
  readonly source: string;
  readonly axis: number;
  /** For each position of the result: the position of the source found there. */
  readonly order: readonly number[];
}

/** By node key: the shuffle that a node takes part in, and whether it is the last of the three. */
export type Shuffles = ReadonlyMap<string, { readonly shuffle: Shuffle; readonly isLast: boolean }>;

export function findShuffles(graph: Graph, shapes: ShapeMap): Shuffles {
  const result = new Map<string, { shuffle: Shuffle; isLast: boolean }>();
  const needed = neededTensors(graph);
  for (const last of graph.nodes) {
    // Of nodes that nobody needs the first two would stay when the last one is replaced.
    if (last.opType !== 'Reshape' || last.domain !== '' || !needed.has(last.outputs[0] ?? '')) continue;
    const turn = onlyReadBy(graph, last, 'Transpose');
    const first = turn && onlyReadBy(graph, turn, 'Reshape');
    const shuffle = first && turn && shuffleOf(first, turn, last, shapes);
    if (shuffle === undefined) continue;
    for (const node of [first, turn]) if (node) result.set(node.key, { shuffle, isLast: false });
    result.set(last.key, { shuffle, isLast: true });
  }
  return result;
}

/** The node that makes what `reader` reads, where it is such a node and nobody else reads it. */
function onlyReadBy(graph: Graph, reader: Node, opType: string): Node | undefined {
  const tensor = reader.inputs[0] ?? '';
  const { producers, consumers, outputs } = graphIndex(graph);
  const producer = producers.get(tensor);
  const isAlone = consumers.get(tensor)?.length === 1 && !outputs.has(tensor);
  return producer?.opType === opType && producer.domain === '' && isAlone ? producer : undefined;
}

function shuffleOf(first: Node, turn: Node, last: Node, shapes: ShapeMap): Shuffle | undefined {
  const source = first.inputs[0] ?? '';
  const from = shapes.get(source);
  const apart = shapes.get(first.outputs[0] ?? '');
  const to = shapes.get(last.outputs[0] ?? '');
  if (from === undefined || apart === undefined || from.length !== to?.length) return undefined;
  if (!from.every((dimension, axis) => dimension !== undefined && dimension === to[axis])) return undefined;
  const added = apart.length - from.length;
  const permutation = intsAttribute(turn, 'perm') ?? range(apart.length).reverse();
  const axis = from.findIndex((_, at) => isSplit(from, apart, at) && staysWithin(permutation, at, at + added));
  if (added < 1 || axis < 0) return undefined;
  const factors = apart.slice(axis, axis + added + 1).map(Number);
  const inner = permutation.slice(axis, axis + added + 1).map((at) => at - axis);
  return { source, axis, order: permutedOrder(factors, inner) };
}

/** Whether only that axis was taken apart. */
function isSplit(from: readonly Dimension[], apart: readonly Dimension[], axis: number): boolean {
  const added = apart.length - from.length;
  const factors = apart.slice(axis, axis + added + 1);
  return (
    factors.every((factor) => typeof factor === 'number') &&
    from[axis] === elementCount(factors) &&
    from.every((dimension, at) => at === axis || dimension === apart[at < axis ? at : at + added])
  );
}

/** Whether all axes outside of `first` … `last` stay where they are. */
function staysWithin(permutation: readonly number[], first: number, last: number): boolean {
  return permutation.every((from, at) => from === at || (at >= first && at <= last && from >= first && from <= last));
}

/** Row-major positions of a block after its axes have been put in another order. */
function permutedOrder(dims: readonly number[], permutation: readonly number[]): number[] {
  const strides = dims.map((_, axis) => elementCount(dims.slice(axis + 1)));
  return permutation.reduce(
    (positions, axis) =>
      positions.flatMap((position) => range(dims[axis] ?? 1).map((index) => position + index * (strides[axis] ?? 1))),
    [0],
  );
}
