import { float32Tensor } from '../../../../src/onnx/tensor';
import { reduce } from '../dialect';
import {
  anyMap,
  pick,
  push,
  toChannelsFirst,
  toChannelsLast,
  weight,
  type FeatureMap,
  type Production,
  type Workshop,
} from './workshop';

/** Large, so that rounding in a map that is nearly constant is not blown up. */
const EPSILON = { kind: 'float', value: 0.1 } as const;

export const batchNorm: Production = (workshop) => {
  const from = anyMap(workshop);
  push(workshop, workshop.model.batchNorm(from.name, from.channels), from.channels, from.size);
};

/** (x − mean) / √(variance + ε) · scale + shift in single nodes, with constants that may be computed. */
export const unfusedBatchNorm: Production = (workshop) => {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const perChannel = () => weight(workshop, [from.channels, 1, 1]);
  const positive = Float32Array.from({ length: from.channels }, () => 0.5 + random.uniform());
  const variance = model.initializer(
    float32Tensor(`variance_${workshop.maps.length}`, [1, from.channels, 1, 1], positive),
  );
  const deviation = model.node('Sqrt', [model.node('Add', [variance, model.weights([], [0.01])])]);
  const normal = model.node('Div', [model.node('Sub', [from.name, perChannel()]), deviation]);
  const scaled = model.node('Add', [model.node('Mul', [normal, perChannel()]), perChannel()]);
  push(workshop, scaled, from.channels, from.size);
};

export const instanceNorm: Production = (workshop) => {
  const from = anyMap(workshop);
  const operands = [from.name, weight(workshop, [from.channels]), weight(workshop, [from.channels])];
  const name = workshop.model.node('InstanceNormalization', operands, { epsilon: EPSILON });
  push(workshop, name, from.channels, from.size);
};

/** The operator from set 18 on, with parameters for groups or for channels; before, what PyTorch writes. */
export const groupNorm: Production = (workshop) => {
  const { model, random, opset } = workshop;
  const from = anyMap(workshop);
  const groups = pick(
    random,
    [1, 2, 3, 4, from.channels].filter((count) => from.channels % count === 0),
  );
  if (opset >= 18 && random.uniform() < 0.7) {
    const values = opset < 21 ? groups : from.channels;
    const operands = [from.name, weight(workshop, [values]), weight(workshop, [values])];
    const attributes = { num_groups: groups, epsilon: EPSILON };
    push(workshop, model.node('GroupNormalization', operands, attributes), from.channels, from.size);
    return;
  }
  const apart = model.node('Reshape', [from.name, model.ints([0, groups, -1])]);
  const units = [1, 0].map((value) => model.weights([groups], new Float32Array(groups).fill(value)));
  const normal = model.node('InstanceNormalization', [apart, ...units], { epsilon: EPSILON });
  const target =
    random.uniform() < 0.5 ? model.node('Shape', [from.name]) : model.ints([-1, from.channels, from.size, from.size]);
  const back = model.node('Reshape', [normal, target]);
  const scaled = model.node('Mul', [back, weight(workshop, [from.channels, 1, 1])]);
  push(workshop, model.node('Add', [scaled, weight(workshop, [from.channels, 1, 1])]), from.channels, from.size);
};

/** Over the channels (which stay) or over the columns (which lets them go); fused, or as PyTorch wrote it before. */
export const layerNorm: Production = (workshop) => {
  const { model, random, opset } = workshop;
  const from = anyMap(workshop);
  const isOverChannels = random.uniform() < 0.4;
  const x = isOverChannels ? toChannelsLast(workshop, from.name) : from.name;
  const extent = isOverChannels ? from.channels : from.size;
  const fused = opset >= 17 && random.uniform() < 0.7;
  const parameters = [weight(workshop, [extent]), weight(workshop, [extent])];
  const normal = fused
    ? model.node('LayerNormalization', [x, ...parameters], { axis: -1, epsilon: EPSILON })
    : decomposed(workshop, x, parameters);
  push(workshop, isOverChannels ? toChannelsFirst(workshop, normal) : normal, from.channels, from.size);
};

function decomposed({ model, dialect }: Workshop, x: string, [scale = '', shift = '']: readonly string[]): string {
  const centred = model.node('Sub', [x, reduce(dialect, 'ReduceMean', x, [-1], 1)]);
  const squared = model.node('Pow', [centred, model.weights([], [2])]);
  const variance = model.node('Add', [reduce(dialect, 'ReduceMean', squared, [-1], 1), model.weights([], [0.1])]);
  const normal = model.node('Div', [centred, model.node('Sqrt', [variance])]);
  return model.node('Add', [model.node('Mul', [normal, scale]), shift]);
}

/** Operators that mix positions along an axis: across the channels they freeze them, along the columns they do not. */
export const acrossPositions: Production = (workshop) => {
  const { model, random, opset } = workshop;
  const from = anyMap(workshop);
  const kinds: (() => string)[] = [
    () => model.node('LRN', [from.name], { size: 3 }),
    () => model.node('Softmax', [from.name], { axis: 1 }),
    () => model.node('Softmax', [from.name], { axis: 3 }),
    () => model.node('LogSoftmax', [from.name], { axis: opset < 13 ? 3 : -1 }),
    () => lpNorm(workshop, from),
  ];
  if (opset >= 9) kinds.push(() => model.node('MeanVarianceNormalization', [batchOfValues(workshop, from)]));
  push(workshop, pick(random, kinds)(), from.channels, from.size);
};

/** Shifted away from zero: the norm of zeros divides by zero. */
function lpNorm({ model, random }: Workshop, from: FeatureMap): string {
  const away = model.node('Add', [model.node('Abs', [from.name]), model.weights([], [0.5])]);
  return model.node('LpNormalization', [away], { axis: pick(random, [1, 3]), p: pick(random, [1, 2]) });
}

/** The operator has no epsilon to speak of: values that differ from place to place are added. */
function batchOfValues({ model, random }: Workshop, { name, size }: FeatureMap): string {
  const values = Float32Array.from({ length: size * size }, () => random.normal());
  const spread = size === 1 ? model.weights([1, 1], [0.5]) : model.weights([size, size], values);
  return model.node('Add', [name, spread]);
}
