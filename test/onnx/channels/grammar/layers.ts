import {
  anyMap,
  convolve,
  pick,
  push,
  toChannelsFirst,
  toChannelsLast,
  weight,
  type Production,
  type Workshop,
} from './workshop';

export const convolution: Production = (workshop) => {
  const from = anyMap(workshop);
  const { random } = workshop;
  const stride = from.size >= 4 && random.uniform() < 0.2 ? 2 : 1;
  convolve(workshop, from, pick(random, [1, 4, 6, 8, 12]), pick(random, [1, 3]), 1, stride);
};

export const depthwise: Production = (workshop) => {
  const from = anyMap(workshop);
  convolve(workshop, from, from.channels * pick(workshop.random, [1, 1, 2]), 3, from.channels);
};

function groupsOf({ random }: Workshop, channels: number): number | undefined {
  const groups = [2, 3, 4].filter((count) => channels % count === 0 && channels > count);
  return groups.length === 0 ? undefined : pick(random, groups);
}

export const groupedConvolution: Production = (workshop) => {
  const from = anyMap(workshop);
  const group = groupsOf(workshop, from.channels);
  if (group === undefined) return convolution(workshop);
  convolve(workshop, from, group * pick(workshop.random, [2, 3]), 3, group);
};

/** Twice the rows and columns; plain, in groups, or channel by channel. */
export const transposedConvolution: Production = (workshop) => {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  if (from.size > 4) return convolution(workshop);
  const group = pick(random, [1, groupsOf(workshop, from.channels) ?? 1, from.channels]);
  const perGroup = pick(random, [1, 2, 3]);
  const operands = [from.name, weight(workshop, [from.channels, perGroup, 2, 2])];
  if (random.uniform() < 0.5) operands.push(weight(workshop, [group * perGroup]));
  const attributes = { kernel_shape: [2, 2], strides: [2, 2], group };
  push(workshop, model.node('ConvTranspose', operands, attributes), group * perGroup, from.size * 2);
};

export const sharedWeights: Production = (workshop) => {
  const { model } = workshop;
  const from = anyMap(workshop);
  const shared = weight(workshop, [4, from.channels, 1, 1]);
  const other = workshop.maps.find((map) => map.channels === from.channels && map.size === from.size) ?? from;
  const first = model.node('Conv', [from.name, shared]);
  const second = model.node('Conv', [other.name, shared, weight(workshop, [4])]);
  push(workshop, model.node('Concat', [first, second], { axis: 1 }), 8, from.size);
};

/** A dense layer on the channels of every place, in NHWC order; the weight may be one matrix or a stack of them. */
export const channelsLast: Production = (workshop) => {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const outputs = pick(random, [4, 8]);
  const lead = pick(random, [[], [], [1], [1, 1], [from.size], [1, from.size]]);
  const product = model.node('MatMul', [
    toChannelsLast(workshop, from.name),
    weight(workshop, [...lead, from.channels, outputs]),
  ]);
  const biased = model.node('Add', [weight(workshop, [outputs]), product]);
  push(workshop, toChannelsFirst(workshop, biased), outputs, from.size);
};

/** A constant on the left: over the channels of all places, over the rows, or a matrix of its own for each channel. */
export const constantOnTheLeft: Production = (workshop) => {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const { channels, size } = from;
  if (random.uniform() < 0.5) {
    const dims = pick(random, [
      [size, size],
      [channels, size, size],
    ]);
    push(workshop, model.node('MatMul', [weight(workshop, dims), from.name]), channels, size);
    return;
  }
  const outputs = pick(random, [4, 6]);
  const rows = model.node('Reshape', [from.name, model.ints([0, channels, size * size])]);
  const mixed = model.node('MatMul', [weight(workshop, [outputs, channels]), rows]);
  push(workshop, model.node('Reshape', [mixed, model.ints([0, outputs, size, size])]), outputs, size);
};
