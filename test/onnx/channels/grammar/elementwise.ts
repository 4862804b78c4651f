import { clip, dropout, reduce, unsqueeze } from '../dialect';
import {
  anyMap,
  convolve,
  ints,
  partnerOf,
  pick,
  push,
  weight,
  type FeatureMap,
  type Production,
  type Workshop,
} from './workshop';

/** Activations by the operator set they came with; all are continuous, so that rounding stays rounding. */
const ACTIVATIONS: readonly (readonly [since: number, operators: readonly string[]])[] = [
  [7, ['Relu', 'Sigmoid', 'LeakyRelu', 'Tanh', 'HardSigmoid', 'Softplus', 'Elu', 'Selu', 'Softsign', 'Abs', 'Neg']],
  [7, ['Identity', 'Atan', 'Sin', 'Cos']],
  [9, ['Erf', 'Asinh']],
  [12, ['Celu']],
  [14, ['HardSwish']],
  [18, ['Mish']],
  [20, ['Gelu']],
];

export const activation: Production = (workshop) => {
  const { model, random, opset } = workshop;
  const from = anyMap(workshop);
  const known = ACTIVATIONS.filter(([since]) => opset >= since).flatMap(([, operators]) => operators);
  push(workshop, model.node(pick(random, known), [from.name]), from.channels, from.size);
};

/** Activations with operands, and those that exporters write as several nodes. */
export const composedActivation: Production = (workshop) => {
  const { model, random, opset, dialect } = workshop;
  const from = anyMap(workshop);
  const x = from.name;
  const scalar = (value: number) => model.weights([], [value]);
  const kinds: Record<string, () => string> = {
    clip: () => clip(dialect, x, -1, 1),
    dropout: () => dropout(dialect, x),
    prelu: () => model.node('PRelu', [x, weight(workshop, [from.channels, 1, 1])]),
    swish: () => model.node('Mul', [x, model.node('Sigmoid', [x])]),
    hardSwish: () => {
      const shifted = clip(dialect, model.node('Add', [x, scalar(3)]), 0, 6);
      return model.node('Div', [model.node('Mul', [x, shifted]), scalar(6)]);
    },
    logarithm: () => model.node('Log', [model.node('Add', [model.node('Abs', [x]), scalar(0.5)])]),
    exponential: () => model.node('Exp', [clip(dialect, x, -2, 2)]),
    reciprocal: () =>
      model.node('Reciprocal', [model.node('Add', [model.node('Exp', [clip(dialect, x, -2, 2)]), scalar(1)])]),
    root: () => model.node('Sqrt', [model.node('Add', [model.node('Pow', [x, scalar(2)]), scalar(0.1)])]),
    cast: () => model.node('Cast', [model.node('Cast', [x], { to: 11 })], { to: 1 }),
  };
  if (opset >= 9) {
    kinds.gelu = () => {
      const erf = model.node('Erf', [model.node('Div', [x, scalar(Math.SQRT2)])]);
      const gate = model.node('Add', [erf, scalar(1)]);
      return model.node('Mul', [model.node('Mul', [x, gate]), scalar(0.5)]);
    };
    kinds.where = () =>
      model.node('Where', [model.node('Greater', [x, scalar(0)]), x, model.node('Mul', [x, scalar(0.2)])]);
  }
  push(workshop, kinds[pick(random, Object.keys(kinds))]?.() ?? x, from.channels, from.size);
};

export const combination: Production = (workshop) => {
  const { model, random, opset } = workshop;
  const from = anyMap(workshop);
  const other = random.uniform() < 0.8 ? partnerOf(workshop, from) : convolve(workshop, from, from.channels, 1);
  // Before operator set 8 Max, Min, Sum and Mean take inputs of one shape, as these have.
  const kinds = ['Add', 'Add', 'Sub', 'Mul', 'Max', 'Min', 'Sum', 'Mean'];
  const operands = [from.name, other.name];
  const kind = pick(random, kinds);
  if (['Max', 'Min', 'Sum', 'Mean'].includes(kind) && random.uniform() < 0.3)
    operands.push(partnerOf(workshop, from).name);
  if (kind === 'Sum' && opset >= 8 && random.uniform() < 0.3) operands.push(weight(workshop, [from.channels, 1, 1]));
  push(workshop, model.node(kind, operands), from.channels, from.size);
};

/** x / (|y| + 0.5); from operator set 9 on, where the mask is a choice, also x / y: zero by zero in removed channels. */
export const division: Production = (workshop) => {
  const { model } = workshop;
  const from = anyMap(workshop);
  const positive = model.node('Add', [model.node('Abs', [partnerOf(workshop, from).name]), model.weights([], [0.5])]);
  push(workshop, model.node('Div', [from.name, positive]), from.channels, from.size);
};

export const channelConstant: Production = (workshop) => {
  const { random, model } = workshop;
  const from = anyMap(workshop);
  const dims = pick(random, [
    [from.channels, 1, 1],
    [1, from.channels, 1, 1],
    [from.channels, from.size, from.size],
    [],
    [1],
    [from.size],
    [1, 1, from.size, 1],
  ]);
  const operands = [from.name, weight(workshop, dims)];
  if (random.uniform() < 0.3) operands.reverse();
  push(workshop, model.node(pick(random, ['Add', 'Mul', 'Sub']), operands), from.channels, from.size);
};

export function pooled(workshop: Workshop, from: FeatureMap, keepdims: boolean): string {
  const { model, random, dialect } = workshop;
  if (keepdims && random.uniform() < 0.5)
    return model.node(pick(random, ['GlobalAveragePool', 'GlobalMaxPool']), [from.name]);
  return reduce(
    dialect,
    pick(random, ['ReduceMean', 'ReduceMean', 'ReduceMax', 'ReduceSum']),
    from.name,
    [2, 3],
    keepdims ? 1 : 0,
  );
}

/** Squeeze and excite, by convolutions or by dense layers. */
export const gate: Production = (workshop) => {
  const { model, random, dialect } = workshop;
  const from = anyMap(workshop);
  const hidden = pick(random, [2, 4]);
  let scale: string;
  if (random.uniform() < 0.5) {
    const squeezed = { name: pooled(workshop, from, true), channels: from.channels, size: 1 };
    const inner = convolve(workshop, squeezed, hidden, 1);
    const outer = convolve(workshop, { ...inner, name: model.node('Relu', [inner.name]) }, from.channels, 1);
    workshop.maps.splice(workshop.maps.length - 2, 2);
    scale = model.node('Sigmoid', [outer.name]);
  } else {
    const inner = model.gemm(pooled(workshop, from, false), from.channels, hidden);
    const flat = model.node('Sigmoid', [model.gemm(model.node('Relu', [inner]), hidden, from.channels)]);
    scale =
      random.uniform() < 0.5
        ? model.node('Reshape', [flat, ints(workshop, [-1, from.channels, 1, 1])])
        : unsqueeze(dialect, flat, [2, 3]);
  }
  const operands = random.uniform() < 0.5 ? [from.name, scale] : [scale, from.name];
  push(workshop, model.node('Mul', operands), from.channels, from.size);
};

/** One gate value for each place, from all channels: by a convolution, by a sum, or by a mean that can not be cut. */
export const spatialGate: Production = (workshop) => {
  const { model, random, dialect } = workshop;
  const from = anyMap(workshop);
  const narrow =
    random.uniform() < 0.6
      ? model.conv(from.name, from.channels, 1, 1)
      : reduce(
          dialect,
          pick(random, ['ReduceMax', 'ReduceL2', 'ReduceSum', 'ReduceMean', 'ReduceL1']),
          from.name,
          [1],
          1,
        );
  push(workshop, model.node('Mul', [from.name, model.node('Sigmoid', [narrow])]), from.channels, from.size);
};
