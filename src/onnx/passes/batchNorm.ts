import { expected } from '../../errors';
import type { BatchNormEdit, BatchNormLayer } from '../../types';
import { floatAttribute, intAttribute } from '../attributes';
import { constantFloats } from '../constantFloats';
import { graphIndex } from '../graphIndex';
import type { Graph, Model, Node } from '../ir';
import { removeNewlyDead } from './removeNewlyDead';
import { setOperands } from './operands';

const SCALE = 1;
const SHIFT = 2;
const MEAN = 3;
const VARIANCE = 4;

/** A BatchNormalization in inference form with constant parameters; undefined for any other node. */
export function describeBatchNorm(model: Model, nodeKey: string): BatchNormLayer | undefined {
  const node = graphIndex(model.graph).nodesByKey.get(nodeKey);
  return node && describeNode(model.graph, node);
}

/** All of them, in topological order. */
export function describeBatchNorms(model: Model): BatchNormLayer[] {
  return model.graph.nodes.flatMap((node) => describeNode(model.graph, node) ?? []);
}

function describeNode(graph: Graph, node: Node): BatchNormLayer | undefined {
  if (node.opType !== 'BatchNormalization' || node.domain !== '') return undefined;
  if (intAttribute(node, 'training_mode', 0) !== 0) return undefined;
  const read = (input: number) => constantFloats(graph, node.inputs[input] ?? '', new Map())?.data;
  const [scale, shift, mean, variance] = [read(SCALE), read(SHIFT), read(MEAN), read(VARIANCE)];
  if (scale === undefined || shift === undefined || mean === undefined || variance === undefined) return undefined;
  if ([shift, mean, variance].some((values) => values.length !== scale.length)) return undefined;
  return {
    node: node.key,
    input: node.inputs[0] ?? '',
    output: node.outputs[0] ?? '',
    channels: scale.length,
    epsilon: floatAttribute(node, 'epsilon', 1e-5),
    scale,
    shift,
    mean,
    variance,
  };
}

/**
 * Sets running means and variances. Tensors that other nodes read as well are copied first.
 * Errors: ERR_OPTION for a node that is no BatchNormalization, ERR_SHAPE for a wrong number of channels.
 */
export function applyBatchNormEdits(model: Model, edits: readonly BatchNormEdit[]): Model {
  if (edits.length === 0) return model;
  let graph = model.graph;
  for (const edit of edits) {
    const node = graphIndex(graph).nodesByKey.get(edit.node);
    const layer = node && describeNode(graph, node);
    if (node === undefined || layer === undefined)
      throw expected('ERR_OPTION', 'a batch normalization with constant parameters', 'an edit', edit.node);
    for (const [what, values] of [
      ['means', edit.mean],
      ['variances', edit.variance],
    ] as const)
      if (values.length !== layer.channels)
        throw expected(
          'ERR_SHAPE',
          `${layer.channels} ${what}`,
          `batch normalization "${edit.node}"`,
          `${values.length}`,
        );
    const operand = (input: number, data: Float32Array, role: string) => {
      const like = constantFloats(graph, node.inputs[input] ?? '', new Map())?.stored;
      return { input, dims: [layer.channels], data, like, role };
    };
    graph = setOperands(graph, edit.node, [
      operand(MEAN, edit.mean, 'mean'),
      operand(VARIANCE, edit.variance, 'variance'),
    ]);
  }
  return { ...model, graph: removeNewlyDead(model.graph, graph) };
}
