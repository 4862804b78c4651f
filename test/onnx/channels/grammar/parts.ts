import { pad, slice, split as splitInto } from '../dialect';
import { convolution } from './layers';
import { anyMap, convolve, ints, pick, push, type Production } from './workshop';

/** Joined maps stay this narrow, so that graphs stay small. */
const WIDEST = 48;

export const concatenation: Production = (workshop) => {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const partners = workshop.maps.filter((map) => map.size === from.size);
  const others = Array.from({ length: 1 + random.integer(2) }, () => pick(random, partners));
  const all = [from, ...others];
  const channels = all.reduce((sum, map) => sum + map.channels, 0);
  if (channels > WIDEST) return convolution(workshop);
  const names = all.map((map) => map.name);
  const axis = workshop.opset >= 11 && random.uniform() < 0.5 ? -3 : 1;
  push(workshop, model.node('Concat', names, { axis }), channels, from.size);
};

/** The same channels under each other: rows of two maps, of which the upper half is taken again. */
export const stacking: Production = (workshop) => {
  const { model, dialect } = workshop;
  const from = anyMap(workshop);
  const other = convolve(workshop, from, from.channels, 1);
  const stacked = model.node('Concat', [from.name, other.name], { axis: 2 });
  const half = Math.floor(from.size / 2);
  push(
    workshop,
    slice(dialect, stacked, { starts: [half], ends: [half + from.size], axes: [2] }),
    from.channels,
    from.size,
  );
};

export const split: Production = (workshop) => {
  const { random, dialect } = workshop;
  const from = anyMap(workshop);
  if (from.channels < 4) return convolution(workshop);
  const first = 1 + random.integer(from.channels - 1);
  const half = from.channels / 2;
  const sizes = Number.isInteger(half) && random.uniform() < 0.5 ? [half, half] : [first, from.channels - first];
  const isEqual = sizes[0] === sizes[1] && random.uniform() < 0.5;
  const outputs = sizes.map((_, index) => `${from.name}_part${index}_${workshop.maps.length}`);
  splitInto(dialect, from.name, sizes, isEqual, outputs);
  outputs.forEach((name, index) => push(workshop, name, sizes[index] ?? 0, from.size));
};

export const partOfChannels: Production = (workshop) => {
  const { random, dialect, opset } = workshop;
  const from = anyMap(workshop);
  if (from.channels < 2) return convolution(workshop);
  const start = random.integer(from.channels - 1);
  const end = start + 1 + random.integer(from.channels - start);
  const last = Math.min(end, from.channels);
  if (opset >= 10 && random.uniform() < 0.3) {
    // Every other channel, or the order reversed.
    const [starts, ends, steps, channels] = pick(random, [
      [[0], [100], [2], Math.ceil(from.channels / 2)],
      [[-1], [-100], [-1], from.channels],
    ] as const);
    push(workshop, slice(dialect, from.name, { starts, ends, axes: [1], steps }), channels, from.size);
    return;
  }
  const ends =
    end >= from.channels ? pick(random, [end, Number.MAX_SAFE_INTEGER]) : pick(random, [end, end - from.channels]);
  push(workshop, slice(dialect, from.name, { starts: [start], ends: [ends], axes: [1] }), last - start, from.size);
};

export const partOfPlaces: Production = (workshop) => {
  const { dialect, opset } = workshop;
  const from = anyMap(workshop);
  if (from.size < 4) return convolution(workshop);
  const size = Math.ceil(from.size / 2);
  const whole =
    opset >= 10
      ? { starts: [0, 0], ends: [100, 100], axes: [2, 3], steps: [2, 2] }
      : { starts: [0, 0], ends: [size, size], axes: [2, 3] };
  push(workshop, slice(dialect, from.name, whole), from.channels, size);
};

/** Rows and columns around the map, in all ways to fill them. */
export const border: Production = (workshop) => {
  const { model, random, opset } = workshop;
  const from = anyMap(workshop);
  if (from.size < 2 || from.size > 8) return convolution(workshop);
  const pads = [0, 0, 1, 1, 0, 0, 1, 1];
  const mode = pick(random, ['constant', 'reflect', 'edge']);
  const name =
    opset < 11
      ? model.node('Pad', [from.name], { mode, pads })
      : model.node('Pad', [from.name, ints(workshop, pads)], { mode });
  push(workshop, name, from.channels, from.size + 2);
};

/** Channels of a constant before and after: alone, or added to channels that are made (a shortcut without weights). */
export const paddedChannels: Production = (workshop) => {
  const { model, random, dialect } = workshop;
  const from = anyMap(workshop);
  const before = random.integer(3);
  const after = random.integer(4);
  const value = random.uniform() < 0.3 ? 0.7 : 0;
  const name = pad(dialect, from.name, { axis: 1, before, after, value });
  const padded = push(workshop, name, from.channels + before + after, from.size);
  if (random.uniform() < 0.6) {
    const other = convolve(workshop, from, padded.channels, 1);
    push(workshop, model.node('Add', [padded.name, other.name]), padded.channels, padded.size);
  }
};

/** Channels in another order, some of them twice, some not at all. */
export const gather: Production = (workshop) => {
  const { model, random } = workshop;
  const from = anyMap(workshop);
  const order = random.shuffle(Array.from({ length: from.channels }, (_, index) => index));
  const taken = pick(random, [order, order.slice(0, Math.max(1, from.channels - 1)), [...order, order[0] ?? 0]]);
  const indices = taken.map((index) =>
    random.uniform() < 0.2 && workshop.opset >= 11 ? index - from.channels : index,
  );
  push(workshop, model.node('Gather', [from.name, ints(workshop, indices)], { axis: 1 }), taken.length, from.size);
};

/** Half of the channels, the number taken from the shape at run time. */
export const computedHalf: Production = (workshop) => {
  const { model, opset } = workshop;
  const from = anyMap(workshop);
  if (from.channels % 2 !== 0 || opset < 10) return convolution(workshop);
  const channels = model.node('Gather', [model.node('Shape', [from.name]), model.ints([1])]);
  const half = model.node('Div', [channels, model.ints([2])]);
  const axis = model.ints([1]);
  const lower = model.node('Slice', [from.name, model.ints([0]), half, axis]);
  const upper = model.node('Slice', [from.name, half, channels, axis]);
  push(workshop, lower, from.channels / 2, from.size);
  push(workshop, upper, from.channels / 2, from.size);
};
