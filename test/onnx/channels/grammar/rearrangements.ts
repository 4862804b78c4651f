import { enlarge, squeeze, unsqueeze } from '../dialect';
import { convolution } from './layers';
import {
  anyMap,
  BATCH,
  convolve,
  ints,
  pick,
  push,
  toChannelsFirst,
  toChannelsLast,
  weight,
  type Production,
} from './workshop';

export const pool: Production = (workshop) => {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  if (from.size < 2) return convolution(workshop);
  const kind = pick(random, ['MaxPool', 'AveragePool', 'LpPool']);
  if (random.uniform() < 0.5) {
    const attributes = { kernel_shape: [2, 2], strides: [2, 2] };
    push(workshop, model.node(kind, [from.name], attributes), from.channels, Math.floor(from.size / 2));
  } else {
    const attributes = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };
    push(workshop, model.node(kind, [from.name], attributes), from.channels, from.size);
  }
};

/** The output size as factors, as known sizes, or as sizes that are put together from the shape at run time. */
export const resize: Production = (workshop) => {
  const { model, random, dialect, opset } = workshop;
  const from = anyMap(workshop);
  if (from.size > 8) return convolution(workshop);
  const size = from.size * 2;
  if (opset < 11 || random.uniform() < 0.4) {
    push(workshop, enlarge(dialect, from.name), from.channels, size);
    return;
  }
  const none = () => (opset < 13 ? model.weights([0], []) : '');
  const attributes = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  const head = () => model.node('Slice', [model.node('Shape', [from.name]), model.ints([0]), model.ints([2])]);
  const sizes =
    random.uniform() < 0.5
      ? ints(workshop, [BATCH, from.channels, size, size])
      : model.node('Concat', [head(), model.ints([size, size])], { axis: 0 });
  const scales = opset < 13 ? model.weights([0], []) : '';
  push(workshop, model.node('Resize', [from.name, none(), scales, sizes], attributes), from.channels, size);
};

export const channelShuffle: Production = (workshop) => {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const groups = [2, 3, 4].filter((count) => from.channels % count === 0);
  if (groups.length === 0) return convolution(workshop);
  const count = pick(random, groups);
  const { channels, size } = from;
  const apart = model.node('Reshape', [from.name, ints(workshop, [0, count, channels / count, size, size])]);
  const turned = model.node('Transpose', [apart], { perm: [0, 2, 1, 3, 4] });
  const target = random.uniform() < 0.5 ? [-1, channels, size, size] : [0, -1, size, size];
  push(workshop, model.node('Reshape', [turned, ints(workshop, target)]), channels, size);
};

/** Places from channels: the operator in both modes (CRD from set 11 on), or Reshape, Transpose, Reshape. */
export const depthToSpace: Production = (workshop) => {
  const { model, random, opset } = workshop;
  const from = anyMap(workshop);
  if (from.size > 4) return convolution(workshop);
  const depth = pick(random, [2, 3]);
  const wide = convolve(workshop, from, depth * 4, 1);
  const { size } = wide;
  const kind = random.uniform();
  let spread: string;
  if (kind < 0.4) spread = model.node('DepthToSpace', [wide.name], { blocksize: 2 });
  else if (kind < 0.7 && opset >= 11) spread = model.node('DepthToSpace', [wide.name], { blocksize: 2, mode: 'CRD' });
  else {
    const apart = model.node('Reshape', [wide.name, ints(workshop, [-1, depth, 2, 2, size, size])]);
    const turned = model.node('Transpose', [apart], { perm: [0, 1, 4, 2, 5, 3] });
    spread = model.node('Reshape', [turned, ints(workshop, [-1, depth, 2 * size, 2 * size])]);
  }
  push(workshop, spread, depth, 2 * size);
};

export const spaceToDepth: Production = (workshop) => {
  const { model } = workshop;
  const from = anyMap(workshop);
  if (from.size % 2 !== 0 || from.channels > 8) return convolution(workshop);
  push(workshop, model.node('SpaceToDepth', [from.name], { blocksize: 2 }), from.channels * 4, from.size / 2);
};

/** An axis of size one comes and goes; the map is widened by Expand or Tile. */
export const axesComeAndGo: Production = (workshop) => {
  const { model, random, dialect, opset } = workshop;
  const from = anyMap(workshop);
  const { channels, size } = from;
  const axis = random.integer(4);
  const longer = unsqueeze(dialect, from.name, [axis]);
  const kind = random.uniform();
  if (kind < 0.4) {
    const axes = opset >= 11 && random.uniform() < 0.5 ? [axis - 5] : [axis];
    push(workshop, squeeze(dialect, longer, axes), channels, size);
    return;
  }
  const column = model.node('GlobalMaxPool', [from.name]);
  const wide =
    kind < 0.7 && opset >= 8
      ? model.node('Expand', [
          column,
          ints(
            workshop,
            pick(random, [
              [1, 1, size, size],
              [channels, size, size],
              [1, channels, size, size],
            ]),
          ),
        ])
      : model.node('Tile', [column, ints(workshop, [1, 1, size, size])]);
  push(workshop, model.node('Sub', [from.name, wide]), channels, size);
};

/** Element-wise work and pooling by means in NHWC order, with a convolution between two turns of the axes. */
export const channelsLastBlock: Production = (workshop) => {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const outputs = pick(random, [4, 6]);
  const turned = model.node('Add', [toChannelsLast(workshop, from.name), weight(workshop, [from.channels])]);
  const inner = convolve(
    workshop,
    { ...from, name: toChannelsFirst(workshop, model.node('Relu', [turned])) },
    outputs,
    1,
  );
  const back = model.node('Mul', [toChannelsLast(workshop, inner.name), weight(workshop, [1, 1, 1, outputs])]);
  push(workshop, toChannelsFirst(workshop, back), outputs, from.size);
};
