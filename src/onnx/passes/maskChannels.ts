import type { ChannelMask } from '../../types';
import { factsOf } from '../channels/facts';
import { keptByMask, keptPositions, type RemovedSlots } from '../channels/mask';
import type { KeptPositions } from '../channels/rule';
import type { ChannelAnalysis } from '../channels/types';
import { elementSize } from '../elementSize';
import { elementTypes } from '../elementTypes';
import { freshName, takenNames } from '../graphIndex';
import type { Attribute, DataType, Model, Node, Tensor } from '../ir';
import { int64Tensor, isFloatType, rawTensor } from '../tensor';

/** Where takes any element type from operator set 9 on. */
const FIRST_OPSET_WITH_WHERE = 9;

/**
 * The reference that a cut graph must equal: the ORIGINAL graph, every removed channel position set to exactly zero
 * in every floating-point tensor of its group, right after the node that writes it. Works for any batch size.
 *
 * Zeros are put in by `Where(kept, value, 0)`: a product with 0 would leave NaN where a removed channel became
 * infinite (1 / 0, log 0), although nothing of it is left in the cut graph. Before operator set 9 the channels that stay
 * are picked out and zeros are padded to them.
 *
 * @throws ERR_OPTION as `resolveMask` does
 */
export function maskChannels(model: Model, analysis: ChannelAnalysis, mask: ChannelMask): Model {
  return maskPositions(model, keptByMask(analysis, mask));
}

/** The same for slots of groups; all channels of a tensor may be among them. */
export function maskSlots(model: Model, analysis: ChannelAnalysis, removed: RemovedSlots): Model {
  return maskPositions(model, keptPositions(analysis, removed));
}

/** The same for what is left of tensors, whatever the groups: what several cuts, one after the other, left. */
export function maskPositions(model: Model, kept: ReadonlyMap<string, KeptPositions>): Model {
  const { graph } = model;
  if (kept.size === 0) return model;
  const facts = factsOf(model);
  const types = elementTypes(graph);
  const taken = takenNames(graph);
  for (const node of graph.nodes) taken.add(node.key);
  const unique = (wanted: string) => freshName(wanted, taken);

  const masked = new Map<string, string>();
  const initializers = new Map(graph.initializers);
  const add = (tensor: Tensor) => {
    const name = unique(tensor.name);
    initializers.set(name, { ...tensor, name });
    return name;
  };
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    nodes.push({ ...node, inputs: node.inputs.map((name) => masked.get(name) ?? name) });
    for (const name of node.outputs) {
      const left = kept.get(name);
      const dataType = types.get(name);
      const rank = facts.shapeOf(name)?.length;
      if (left === undefined || dataType === undefined || rank === undefined || !isFloatType(dataType)) continue;
      const output = unique(`${name}_masked`);
      const addFor = (tensor: Tensor) => add({ ...tensor, name: `${name}_${tensor.name}` });
      const steps =
        facts.opset < FIRST_OPSET_WITH_WHERE ? byPadding(left, rank, addFor) : byChoice(left, rank, dataType, addFor);
      let input = name;
      for (const [index, { opType, operands, attributes }] of steps.entries()) {
        const result = index === steps.length - 1 ? output : unique(`${output}_${index}`);
        const inputs = operands(input);
        nodes.push({ name: result, key: result, opType, domain: '', inputs, outputs: [result], attributes });
        input = result;
      }
      masked.set(name, output);
    }
  }
  return { ...model, graph: { ...graph, nodes, initializers } };
}

/** One node of the mask: `operands` are its inputs, given the tensor that it changes. */
interface Step {
  readonly opType: string;
  readonly operands: (input: string) => readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

function byChoice(
  left: KeptPositions,
  rank: number,
  dataType: DataType,
  add: (tensor: Tensor) => string,
): readonly Step[] {
  const zero = add(rawTensor('zero', [], dataType, new Uint8Array(elementSize(dataType) ?? 0)));
  const flags = add(rawTensor('kept', alongAxis(left, rank), 'bool', flagsOf(left)));
  return [{ opType: 'Where', operands: (input) => [flags, input, zero], attributes: new Map() }];
}

/** The channels that stay, zeros behind them, and all in their old order again. */
function byPadding({ axis, size, positions }: KeptPositions, rank: number, add: (tensor: Tensor) => string): Step[] {
  const gather = (indices: readonly number[]): Step => {
    const name = add(int64Tensor('positions', [indices.length], indices));
    return { opType: 'Gather', operands: (input) => [input, name], attributes: new Map([['axis', int(axis)]]) };
  };
  const pads = Array.from({ length: 2 * rank }, (_, at) => (at === rank + axis ? size - positions.length : 0));
  // Where nothing stays, one channel is picked all the same and left out of the order.
  const picked = positions.length === 0 ? [0] : positions;
  let zeros = picked.length;
  const newPosition = new Map(positions.map((position, index) => [position, index]));
  const order = Array.from({ length: size }, (_, position) => newPosition.get(position) ?? zeros++);
  const pad: Step = {
    opType: 'Pad',
    operands: (input) => [input],
    attributes: new Map([['pads', { kind: 'ints', value: pads }]]),
  };
  return [gather(picked), pad, gather(order)];
}

function int(value: number): Attribute {
  return { kind: 'int', value };
}

function alongAxis({ axis, size }: KeptPositions, rank: number): number[] {
  return Array.from({ length: rank - axis }, (_, index) => (index === 0 ? size : 1));
}

function flagsOf({ size, positions }: KeptPositions): Uint8Array {
  const flags = new Uint8Array(size);
  for (const position of positions) flags[position] = 1;
  return flags;
}
