import type { ChannelMask } from '../../types';
import { factsOf } from '../channels/facts';
import { keptByMask, keptPositions, type RemovedSlots } from '../channels/mask';
import type { KeptPositions } from '../channels/rule';
import type { ChannelAnalysis } from '../channels/types';
import { elementSize } from '../elementSize';
import { elementTypes } from '../elementTypes';
import { freshName, takenNames } from '../graphIndex';
import type { DataType, Model, Node, Tensor } from '../ir';
import { isFloatType, rawTensor } from '../tensor';

/** Where takes any element type from operator set 9 on. */
const FIRST_OPSET_WITH_WHERE = 9;

/**
 * The reference that a cut graph must equal: the ORIGINAL graph, every removed channel position set to exactly zero
 * in every floating-point tensor of its group, right after the node that writes it. Works for any batch size.
 *
 * Zeros are put in by `Where(kept, value, 0)`: a product with 0 would leave NaN where a removed channel became
 * infinite (1 / 0, log 0), although nothing of it is left in the cut graph. Before operator set 9 it is a product.
 *
 * @throws ERR_OPTION as `resolveMask` does
 */
export function maskChannels(model: Model, analysis: ChannelAnalysis, mask: ChannelMask): Model {
  return maskAllBut(model, keptByMask(analysis, mask));
}

/** The same for slots of groups; all channels of a tensor may be among them. */
export function maskSlots(model: Model, analysis: ChannelAnalysis, removed: RemovedSlots): Model {
  return maskAllBut(model, keptPositions(analysis, removed));
}

function maskAllBut(model: Model, kept: ReadonlyMap<string, KeptPositions>): Model {
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
      const operator = facts.opset < FIRST_OPSET_WITH_WHERE ? byProduct : byChoice;
      const { opType, inputs } = operator(name, left, rank, dataType, add);
      nodes.push({ name: output, key: output, opType, domain: '', inputs, outputs: [output], attributes: new Map() });
      masked.set(name, output);
    }
  }
  return { ...model, graph: { ...graph, nodes, initializers } };
}

type Operation = Pick<Node, 'opType' | 'inputs'>;

function byChoice(
  name: string,
  left: KeptPositions,
  rank: number,
  dataType: DataType,
  add: (tensor: Tensor) => string,
): Operation {
  const zero = rawTensor(`${name}_zero`, [], dataType, new Uint8Array(elementSize(dataType) ?? 0));
  const flags = rawTensor(`${name}_kept`, alongAxis(left, rank), 'bool', flagsOf(left));
  return { opType: 'Where', inputs: [add(flags), name, add(zero)] };
}

function byProduct(
  name: string,
  left: KeptPositions,
  rank: number,
  dataType: DataType,
  add: (tensor: Tensor) => string,
): Operation {
  const size = elementSize(dataType) ?? 0;
  const one = ONES[dataType] ?? [];
  const bytes = new Uint8Array(left.size * size);
  for (const position of left.positions) bytes.set(one, (position + 1) * size - one.length);
  return { opType: 'Mul', inputs: [name, add(rawTensor(`${name}_kept`, alongAxis(left, rank), dataType, bytes))] };
}

/** The last bytes, little-endian, of the number one. */
const ONES: Partial<Record<DataType, readonly number[]>> = {
  float32: [0x80, 0x3f],
  float64: [0xf0, 0x3f],
  float16: [0x00, 0x3c],
  bfloat16: [0x80, 0x3f],
};

function alongAxis({ axis, size }: KeptPositions, rank: number): number[] {
  return Array.from({ length: rank - axis }, (_, index) => (index === 0 ? size : 1));
}

function flagsOf({ size, positions }: KeptPositions): Uint8Array {
  const flags = new Uint8Array(size);
  for (const position of positions) flags[position] = 1;
  return flags;
}
