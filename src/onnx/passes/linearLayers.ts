import { floatAttribute, intAttribute } from '../attributes';
import { constantFloats, transposeMatrix, type ConstantFloats } from '../constantFloats';
import { graphIndex } from '../graphIndex';
import type { Graph, Model, Node } from '../ir';
import type { ShapeMap } from '../shapes';
import { readWindow } from '../shapes/windows';
import type { LinearLayer } from '../../types';

/**
 * A Conv (1-D or 2-D), Gemm, or MatMul with constant right operand as weight, bias and geometry, whatever its layout in
 * the graph is. undefined for any other node, and where weight or bias are not constant floats.
 * Copies the weights; linear in their number.
 */
export function describeLinearLayer(model: Model, nodeKey: string, shapes: ShapeMap): LinearLayer | undefined {
  const node = graphIndex(model.graph).nodesByKey.get(nodeKey);
  return node && describeLinearNode(model.graph, node, shapes);
}

/** All linear layers of the graph, in topological order. */
export function describeLinearLayers(model: Model, shapes: ShapeMap): LinearLayer[] {
  return model.graph.nodes.flatMap((node) => describeLinearNode(model.graph, node, shapes) ?? []);
}

export function describeLinearNode(graph: Graph, node: Node, shapes: ShapeMap): LinearLayer | undefined {
  if (node.domain !== '') return undefined;
  if (node.opType === 'Conv') return describeConv(graph, node, shapes);
  if (node.opType === 'Gemm') return describeGemm(graph, node, shapes);
  return node.opType === 'MatMul' ? describeMatMul(graph, node, shapes) : undefined;
}

function describeConv(graph: Graph, node: Node, shapes: ShapeMap): LinearLayer | undefined {
  const weight = constantFloats(graph, node.inputs[1] ?? '', shapes);
  const bias = readBias(graph, node.inputs[2], shapes);
  if (weight === undefined || bias === 'unknown' || !isActivation(graph, node.inputs[0], shapes)) return undefined;
  const [outputs, inputsPerGroup, ...kernel] = weight.dims;
  if (outputs === undefined || inputsPerGroup === undefined || kernel.length < 1 || kernel.length > 2) return undefined;
  if (bias !== undefined && bias.data.length !== outputs) return undefined;
  const spatial = shapes.get(node.inputs[0] ?? '')?.slice(2) ?? [];
  const window = readWindow(node, kernel, spatial);
  const padsBegin = complete(window.padsBegin);
  const padsEnd = complete(window.padsEnd);
  if (padsBegin === undefined || padsEnd === undefined) return undefined;
  const [top, left] = toPlane(padsBegin, 0);
  const [bottom, right] = toPlane(padsEnd, 0);
  return {
    node: node.key,
    kind: 'conv',
    input: node.inputs[0] ?? '',
    output: node.outputs[0] ?? '',
    outputs,
    inputsPerGroup,
    groups: intAttribute(node, 'group', 1),
    kernel: toPlane(kernel, 1),
    strides: toPlane(window.strides, 1),
    dilations: toPlane(window.dilations, 1),
    pads: [top, left, bottom, right],
    weight: weight.data,
    bias: bias?.data,
  };
}

/** Height and width; a 1-D layer is one row high. */
function toPlane(values: readonly number[], alongHeight: number): [number, number] {
  return values.length === 1 ? [alongHeight, values[0] ?? 0] : [values[0] ?? 0, values[1] ?? 0];
}

function complete(values: readonly (number | undefined)[]): readonly number[] | undefined {
  return values.every((value) => value !== undefined) ? values : undefined;
}

function describeGemm(graph: Graph, node: Node, shapes: ShapeMap): LinearLayer | undefined {
  const weight = constantFloats(graph, node.inputs[1] ?? '', shapes);
  const bias = readBias(graph, node.inputs[2], shapes);
  if (weight?.dims.length !== 2 || bias === 'unknown' || intAttribute(node, 'transA', 0) !== 0) return undefined;
  if (!isActivation(graph, node.inputs[0], shapes)) return undefined;
  const [rows = 0, columns = 0] = weight.dims;
  const isOutputMajor = intAttribute(node, 'transB', 0) !== 0;
  const outputs = isOutputMajor ? rows : columns;
  const spread = bias && spreadOverOutputs(bias, outputs);
  if (bias !== undefined && spread === undefined) return undefined;
  const matrix = isOutputMajor ? weight.data : transposeMatrix(weight.data, rows, columns);
  return dense(node, node.outputs[0] ?? '', outputs, isOutputMajor ? columns : rows, {
    weight: scaled(matrix, floatAttribute(node, 'alpha', 1)),
    bias: spread && scaled(spread, floatAttribute(node, 'beta', 1)),
  });
}

function describeMatMul(graph: Graph, node: Node, shapes: ShapeMap): LinearLayer | undefined {
  const weight = constantFloats(graph, node.inputs[1] ?? '', shapes);
  if (weight?.dims.length !== 2 || !isActivation(graph, node.inputs[0], shapes)) return undefined;
  const [inputs = 0, outputs = 0] = weight.dims;
  const addition = findBiasAdd(graph, node, outputs, shapes);
  return dense(node, addition?.node.outputs[0] ?? node.outputs[0] ?? '', outputs, inputs, {
    weight: transposeMatrix(weight.data, inputs, outputs),
    bias: addition?.bias.data,
  });
}

function dense(
  node: Node,
  output: string,
  outputs: number,
  inputs: number,
  values: Pick<LinearLayer, 'weight' | 'bias'>,
): LinearLayer {
  const shared = { groups: 1, kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] } as const;
  const names = { node: node.key, kind: 'dense', input: node.inputs[0] ?? '', output } as const;
  return { ...names, outputs, inputsPerGroup: inputs, ...shared, ...values };
}

/** The Add that follows a MatMul and gives each output its bias, if it is the only reader. */
export function findBiasAdd(
  graph: Graph,
  matMul: Node,
  outputs: number,
  shapes: ShapeMap,
): { node: Node; biasInput: 0 | 1; bias: ConstantFloats } | undefined {
  const product = matMul.outputs[0] ?? '';
  const index = graphIndex(graph);
  const [reader, ...others] = index.consumers.get(product) ?? [];
  if (reader?.opType !== 'Add' || reader.domain !== '' || others.length > 0 || index.outputs.has(product))
    return undefined;
  const biasInput = reader.inputs[0] === product ? 1 : 0;
  if (reader.inputs[biasInput] === product) return undefined;
  const bias = constantFloats(graph, reader.inputs[biasInput] ?? '', shapes);
  if (bias?.data.length !== outputs || bias.dims.at(-1) !== outputs) return undefined;
  const rank = shapes.get(product)?.length;
  return rank !== undefined && bias.dims.length <= rank ? { node: reader, biasInput, bias } : undefined;
}

function readBias(graph: Graph, name: string | undefined, shapes: ShapeMap): ConstantFloats | undefined | 'unknown' {
  if (name === undefined || name === '') return undefined;
  return constantFloats(graph, name, shapes) ?? 'unknown';
}

/** Gemm broadcasts C to [N, outputs]; one that differs from row to row is no bias. */
function spreadOverOutputs(bias: ConstantFloats, outputs: number): Float32Array | undefined {
  if (bias.data.length === outputs && (bias.dims.at(-1) ?? 1) === outputs) return bias.data;
  return bias.data.length === 1 ? new Float32Array(outputs).fill(bias.data[0] ?? 0) : undefined;
}

function scaled(values: Float32Array, factor: number): Float32Array {
  return factor === 1 ? values : values.map((value) => value * factor);
}

function isActivation(graph: Graph, name: string | undefined, shapes: ShapeMap): boolean {
  return name !== undefined && name !== '' && constantFloats(graph, name, shapes) === undefined;
}
