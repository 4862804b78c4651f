import { floatAttribute, intAttribute } from '../attributes';
import { codeOfElementType, elementTypes } from '../elementTypes';
import type { Attribute, DataType, Graph, Model, Node, Tensor } from '../ir';
import { float32Tensor, int64Tensor } from '../tensor';

/** Where the statistics of one BatchNormalization come out: two graph outputs of shape [1, C, 1, …]. */
export interface BatchStatisticsOutput {
  readonly node: string;
  readonly mean: string;
  readonly variance: string;
}

/**
 * Makes every inference-mode BatchNormalization normalise with the statistics of the batch at hand, as in training, and
 * puts them out. One forward pass thus measures all layers at once, each one seeing inputs that are already normalised
 * by the new statistics of the layers before it. The variance is the biased one, taken in two passes. All of it is
 * computed in float32, also where the network is not.
 *
 * @param ranks rank of each normalised tensor, by node key; nodes without one stay as they are
 */
export function withBatchStatistics(
  model: Model,
  ranks: ReadonlyMap<string, number>,
): { readonly model: Model; readonly outputs: readonly BatchStatisticsOutput[] } {
  const axesAreInput = (model.opsets.get('') ?? 0) >= 18;
  const types = elementTypes(model.graph);
  const initializers = new Map(model.graph.initializers);
  const outputs: BatchStatisticsOutput[] = [];
  const nodes = model.graph.nodes.flatMap((node) => {
    const rank = ranks.get(node.key);
    if (!isInferenceBatchNorm(node) || rank === undefined) return [node];
    const type = types.get(node.inputs[0] ?? '') ?? 'float32';
    const expansion = expand(node, rank, type, axesAreInput);
    for (const tensor of expansion.constants) initializers.set(tensor.name, tensor);
    outputs.push(expansion.output);
    return expansion.nodes;
  });
  const graph: Graph = {
    ...model.graph,
    nodes,
    initializers,
    outputs: [
      ...model.graph.outputs,
      ...outputs.flatMap(({ mean, variance }) =>
        [mean, variance].map((name) => ({ name, dataType: 'float32' as const, shape: undefined })),
      ),
    ],
  };
  return { model: { ...model, graph }, outputs };
}

export function isInferenceBatchNorm(node: Node): boolean {
  return node.opType === 'BatchNormalization' && node.domain === '' && intAttribute(node, 'training_mode', 0) === 0;
}

function expand(
  node: Node,
  rank: number,
  type: DataType,
  axesAreInput: boolean,
): { nodes: Node[]; constants: Tensor[]; output: BatchStatisticsOutput } {
  const [input = '', storedScale = '', storedShift = ''] = node.inputs;
  const output = node.outputs[0] ?? '';
  const name = (part: string): string => `${output}__batch_${part}`;
  const reducedAxes = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== 1);
  const columnShape = Array.from({ length: rank }, (_, axis) => (axis === 1 ? -1 : 1));

  const constants = [
    float32Tensor(name('epsilon'), [], [floatAttribute(node, 'epsilon', 1e-5)]),
    int64Tensor(name('column'), [rank], columnShape),
    ...(axesAreInput ? [int64Tensor(name('axes'), [reducedAxes.length], reducedAxes)] : []),
  ];
  const make = (opType: string, inputs: string[], output: string, attributes: [string, Attribute][] = []): Node => ({
    name: output,
    key: output,
    opType,
    domain: '',
    inputs,
    outputs: [output],
    attributes: new Map(attributes),
  });
  const reduceMean = (input: string, output: string): Node =>
    make('ReduceMean', axesAreInput ? [input, name('axes')] : [input], output, [
      ['keepdims', { kind: 'int', value: 1 }],
      ...(axesAreInput ? [] : [['axes', { kind: 'ints', value: reducedAxes }] as [string, Attribute]]),
    ]);
  const cast = (from: string, to: string, as: DataType): Node =>
    make('Cast', [from], to, [['to', { kind: 'int', value: codeOfElementType(as) }]]);

  const isFloat32 = type === 'float32';
  const [x, scale, shift, y] = isFloat32
    ? [input, storedScale, storedShift, output]
    : [name('input'), name('float_scale'), name('float_shift'), name('output')];
  const widen = [cast(input, x, 'float32'), cast(storedScale, scale, 'float32'), cast(storedShift, shift, 'float32')];
  const nodes = [
    ...(isFloat32 ? [] : widen),
    reduceMean(x, name('mean')),
    make('Sub', [x, name('mean')], name('centered')),
    make('Mul', [name('centered'), name('centered')], name('squared')),
    reduceMean(name('squared'), name('variance')),
    make('Add', [name('variance'), name('epsilon')], name('stabilized')),
    make('Sqrt', [name('stabilized')], name('deviation')),
    make('Div', [name('centered'), name('deviation')], name('normalized')),
    make('Reshape', [scale, name('column')], name('scale')),
    make('Reshape', [shift, name('column')], name('shift')),
    make('Mul', [name('normalized'), name('scale')], name('scaled')),
    make('Add', [name('scaled'), name('shift')], y),
    ...(isFloat32 ? [] : [cast(y, output, type)]),
  ];
  return { nodes, constants, output: { node: node.key, mean: name('mean'), variance: name('variance') } };
}
