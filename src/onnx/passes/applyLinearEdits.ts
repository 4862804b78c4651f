import { expected } from '../../errors';
import type { LinearEdit, LinearLayer } from '../../types';
import { intAttribute, withAttribute } from '../attributes';
import { constantFloats, transposeMatrix } from '../constantFloats';
import { freshName, graphIndex, takenNames } from '../graphIndex';
import type { Graph, Model, Node } from '../ir';
import { inferShapes, type ShapeMap } from '../shapes';
import { describeLinearNode, findBiasAdd } from './linearLayers';
import { removeNewlyDead } from './removeNewlyDead';
import { replaceNode, setOperands, type OperandEdit } from './operands';

/**
 * Writes new weights and biases into linear layers, in the graph's own layout and element type. `bias` undefined
 * means no bias: one that is there is taken out. A bias that was not there is added (a MatMul gets an Add).
 * Weights that other nodes read as well are copied first, so that only the edited node changes.
 *
 * Errors: ERR_OPTION for a node that is no linear layer, ERR_SHAPE for a length that does not fit it.
 */
export function applyLinearEdits(model: Model, edits: readonly LinearEdit[]): Model {
  if (edits.length === 0) return model;
  const shapes = inferShapes(model);
  let graph = model.graph;
  for (const edit of edits) graph = applyOne(graph, edit, shapes);
  return { ...model, graph: removeNewlyDead(model.graph, graph) };
}

function applyOne(graph: Graph, edit: LinearEdit, shapes: ShapeMap): Graph {
  const node = graphIndex(graph).nodesByKey.get(edit.node);
  const layer = node && describeLinearNode(graph, node, shapes);
  if (node === undefined || layer === undefined)
    throw expected('ERR_OPTION', 'a convolution or fully connected layer', 'an edit', edit.node);
  checkLengths(layer, edit);
  if (node.opType === 'Conv') return editConv(graph, node, edit, shapes);
  return node.opType === 'Gemm'
    ? editGemm(graph, node, layer, edit, shapes)
    : editMatMul(graph, node, layer, edit, shapes);
}

function checkLengths(layer: LinearLayer, edit: LinearEdit): void {
  if (edit.weight.length !== layer.weight.length)
    throw expected('ERR_SHAPE', `${layer.weight.length} weights`, `layer "${layer.node}"`, `${edit.weight.length}`);
  if (edit.bias !== undefined && edit.bias.length !== layer.outputs)
    throw expected('ERR_SHAPE', `${layer.outputs} biases`, `layer "${layer.node}"`, `${edit.bias.length}`);
}

function editConv(graph: Graph, node: Node, edit: LinearEdit, shapes: ShapeMap): Graph {
  const weight = constantFloats(graph, node.inputs[1] ?? '', shapes);
  const operands = [
    weightEdit(weight?.dims ?? [], edit.weight, weight?.stored),
    ...biasEdit(graph, node, edit, shapes),
  ];
  return dropAbsentBias(setOperands(graph, node.key, operands), edit);
}

function editGemm(graph: Graph, node: Node, layer: LinearLayer, edit: LinearEdit, shapes: ShapeMap): Graph {
  const weight = constantFloats(graph, node.inputs[1] ?? '', shapes);
  const isOutputMajor = intAttribute(node, 'transB', 0) !== 0;
  const matrix = isOutputMajor ? edit.weight : transposeMatrix(edit.weight, layer.outputs, layer.inputsPerGroup);
  const operands = [weightEdit(weight?.dims ?? [], matrix, weight?.stored), ...biasEdit(graph, node, edit, shapes)];
  const edited = dropAbsentBias(setOperands(graph, node.key, operands), edit);
  const current = graphIndex(edited).nodesByKey.get(node.key) ?? node;
  // The new weights contain the factors that alpha and beta were.
  return replaceNode(edited, withAttribute(withAttribute(current, 'alpha', undefined), 'beta', undefined));
}

function editMatMul(graph: Graph, node: Node, layer: LinearLayer, edit: LinearEdit, shapes: ShapeMap): Graph {
  const weight = constantFloats(graph, node.inputs[1] ?? '', shapes);
  const matrix = transposeMatrix(edit.weight, layer.outputs, layer.inputsPerGroup);
  const addition = findBiasAdd(graph, node, layer.outputs, shapes);
  const edited = setOperands(graph, node.key, [weightEdit(weight?.dims ?? [], matrix, weight?.stored)]);
  if (addition !== undefined) {
    const data = edit.bias ?? new Float32Array(layer.outputs);
    const { dims, stored } = addition.bias;
    return setOperands(edited, addition.node.key, [
      { input: addition.biasInput, dims, data, like: stored, role: 'bias' },
    ]);
  }
  return edit.bias === undefined ? edited : appendBias(edited, node.key, edit.bias, weight?.stored);
}

/** MatMul → y becomes MatMul → new name → Add → y, so that the readers of y see the biased values. */
function appendBias(graph: Graph, nodeKey: string, bias: Float32Array, like: OperandEdit['like']): Graph {
  const node = graphIndex(graph).nodesByKey.get(nodeKey);
  const output = node?.outputs[0];
  if (node === undefined || output === undefined) return graph;
  const taken = takenNames(graph);
  for (const other of graph.nodes) taken.add(other.key).add(other.name);
  const product = freshName(`${output}_product`, taken);
  const key = freshName(`${nodeKey}.add_bias`, taken);
  const addition: Node = {
    name: key,
    key,
    opType: 'Add',
    domain: '',
    inputs: [product, ''],
    outputs: [output],
    attributes: new Map(),
  };
  const nodes = graph.nodes.flatMap((other) =>
    other.key === nodeKey ? [{ ...node, outputs: [product] }, addition] : [other],
  );
  return setOperands({ ...graph, nodes }, key, [{ input: 1, dims: [bias.length], data: bias, like, role: 'bias' }]);
}

function weightEdit(dims: readonly number[], data: Float32Array, like: OperandEdit['like']): OperandEdit {
  return { input: 1, dims, data, like, role: 'weight' };
}

function biasEdit(graph: Graph, node: Node, edit: LinearEdit, shapes: ShapeMap): OperandEdit[] {
  if (edit.bias === undefined) return [];
  const stored =
    constantFloats(graph, node.inputs[2] ?? '', shapes)?.stored ??
    constantFloats(graph, node.inputs[1] ?? '', shapes)?.stored;
  return [{ input: 2, dims: [edit.bias.length], data: edit.bias, like: stored, role: 'bias' }];
}

function dropAbsentBias(graph: Graph, edit: LinearEdit): Graph {
  const node = graphIndex(graph).nodesByKey.get(edit.node);
  if (edit.bias !== undefined || node === undefined || node.inputs.length < 3) return graph;
  return replaceNode(graph, { ...node, inputs: node.inputs.slice(0, 2) });
}
