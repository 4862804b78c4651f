import { freshName, graphIndex, takenNames } from '../graphIndex';
import type { Model, Node, Tensor } from '../ir';
import { float32Tensor, tensorToFloat32 } from '../tensor';

const EPSILON = 1e-5;

/** A convolution whose batch normalisation was folded into its weights, as far as one can tell: it has a bias and no normalisation follows. */
export interface FoldedConvolution {
  readonly node: string;
  /** Its output, [N, channels, …]. */
  readonly tensor: string;
  readonly channels: number;
}

/** Mean and biased variance of each channel of a convolution's output, [channels] each. */
export interface OutputStatistics {
  readonly mean: ArrayLike<number>;
  readonly variance: ArrayLike<number>;
}

/**
 * Convolutions that a batch normalisation can be put behind and folded into again: stored weight and bias of their own, the
 * output read by others and no normalisation among them.
 */
export function listFoldedConvolutions({ graph }: Model): FoldedConvolution[] {
  const { consumers } = graphIndex(graph);
  return graph.nodes.flatMap(({ key, opType, domain, inputs, outputs }) => {
    const [, weightName = '', biasName = ''] = inputs;
    const [tensor = ''] = outputs;
    const weight = graph.initializers.get(weightName);
    const bias = graph.initializers.get(biasName);
    if (domain !== '' || opType !== 'Conv' || weight === undefined || bias === undefined) return [];
    const isOwn = [weightName, biasName].every((name) => consumers.get(name)?.length === 1);
    const readers = consumers.get(tensor) ?? [];
    const isNormalised = readers.some((reader) => reader.opType.endsWith('Normalization'));
    return isOwn && readers.length > 0 && !isNormalised ? [{ node: key, tensor, channels: weight.dims[0] ?? 0 }] : [];
  });
}

export interface Reinserted {
  /** Computes what the model computes, with a BatchNormalization behind each of the convolutions. */
  readonly model: Model;
  /** The original graph with the weights of a trained `model`, its batch normalisations folded into the convolutions. */
  readonly fold: (trained: Model) => Model;
}

/**
 * Puts a BatchNormalization behind convolutions, set to identity: statistics those of the output on data, scale and shift
 * their inverse. Training with statistics of the batch is then as steady as if they had never been folded.
 *
 * @param statistics by node; convolutions without any stay as they are
 */
export function reinsertBatchNorms(model: Model, statistics: ReadonlyMap<string, OutputStatistics>): Reinserted {
  const { graph } = model;
  const taken = takenNames(graph);
  const names = new Map<string, readonly [scale: string, shift: string, mean: string, variance: string]>();
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const found = statistics.get(node.key);
    const [tensor = ''] = node.outputs;
    if (found === undefined) return [node];
    const { mean, variance } = found;
    const store = (part: string, values: ArrayLike<number>): string => {
      const name = freshName(`${tensor}__${part}`, taken);
      initializers.set(name, float32Tensor(name, [values.length], values));
      return name;
    };
    const parts = [
      store(
        'scale',
        Array.from(variance, (value) => Math.sqrt(value + EPSILON)),
      ),
      store('shift', mean),
      store('mean', mean),
      store('variance', variance),
    ] as const;
    names.set(node.key, parts);
    const bare = freshName(`${tensor}__bare`, taken);
    const key = freshName(`${tensor}__normalization`, taken);
    return [
      { ...node, outputs: [bare, ...node.outputs.slice(1)] },
      {
        name: key,
        key,
        opType: 'BatchNormalization',
        domain: '',
        inputs: [bare, ...parts],
        outputs: [tensor],
        attributes: new Map([['epsilon', { kind: 'float', value: EPSILON }]]),
      },
    ];
  });
  return {
    model: { ...model, graph: { ...graph, nodes, initializers } },
    fold: (trained) => foldBatchNorms(model, trained, names),
  };
}

function foldBatchNorms(
  original: Model,
  trained: Model,
  names: ReadonlyMap<string, readonly [string, string, string, string]>,
): Model {
  const values = trained.graph.initializers;
  const initializers = new Map<string, Tensor>();
  for (const [name, tensor] of original.graph.initializers) initializers.set(name, values.get(name) ?? tensor);
  const floats = (name: string): Float32Array => tensorToFloat32(values.get(name)!);
  for (const node of original.graph.nodes) {
    const parts = names.get(node.key);
    if (parts === undefined) continue;
    const [scale, shift, mean, variance] = parts.map(floats) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const [, weightName = '', biasName = ''] = node.inputs;
    const factors = scale.map((value, channel) => value / Math.sqrt(variance[channel]! + EPSILON));
    const weight = floats(weightName);
    const perChannel = weight.length / factors.length;
    const folded = weight.map((value, index) => value * factors[Math.floor(index / perChannel)]!);
    const bias = floats(biasName).map(
      (value, channel) => (value - mean[channel]!) * factors[channel]! + shift[channel]!,
    );
    for (const [name, data] of [
      [weightName, folded],
      [biasName, bias],
    ] as const) {
      const stored = original.graph.initializers.get(name)!;
      initializers.set(name, float32Tensor(name, stored.dims, data, stored));
    }
  }
  return { ...original, graph: { ...original.graph, initializers } };
}
