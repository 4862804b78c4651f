import { float32Tensor, int64Tensor } from '../../../../src/onnx/tensor';
import type { Random } from '../../../../src/random';
import type { ModelBuilder } from '../../../support/modelBuilder';
import type { Dialect } from '../dialect';

export const BATCH = 2;
export const INPUT_SIZE = 8;
export const CLASSES = 5;

/** A tensor [N, channels, size, size] of the graph being built. */
export interface FeatureMap {
  readonly name: string;
  readonly channels: number;
  readonly size: number;
}

/** A graph under construction. Productions take maps from it and put new ones in. */
export interface Workshop {
  readonly model: ModelBuilder;
  readonly random: Random;
  readonly opset: number;
  readonly dialect: Dialect;
  readonly maps: FeatureMap[];
}

/** Adds some nodes; does nothing, or something plainer, where the maps there are do not fit. */
export type Production = (workshop: Workshop) => void;

export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[random.integer(choices.length)] as T;
}

export function latest({ maps }: Workshop): FeatureMap {
  const last = maps.at(-1);
  if (last === undefined) throw new Error('the graph has its input at least');
  return last;
}

/** Mostly the last tensor, so that graphs grow deep. */
export function anyMap(workshop: Workshop): FeatureMap {
  return workshop.random.uniform() < 0.75 ? latest(workshop) : pick(workshop.random, workshop.maps);
}

export function push(workshop: Workshop, name: string, channels: number, size: number): FeatureMap {
  const map = { name, channels, size };
  workshop.maps.push(map);
  return map;
}

/** Another map of the same shape, or the map itself. */
export function partnerOf(workshop: Workshop, { channels, size }: FeatureMap): FeatureMap {
  return pick(
    workshop.random,
    workshop.maps.filter((map) => map.channels === channels && map.size === size),
  );
}

/** Weights come as initializers, as Constant nodes, or behind an Identity, a Transpose or a Reshape. */
export function weight({ model, random }: Workshop, dims: readonly number[]): string {
  const name = model.weights(dims);
  const kind = random.uniform();
  if (kind < 0.6) return name;
  if (kind < 0.7) return model.node('Identity', [name]);
  const count = dims.reduce((product, dim) => product * dim, 1);
  const values = Float32Array.from({ length: count }, () => random.normal() / Math.sqrt(count / (dims[0] ?? 1)));
  if (kind < 0.85 || dims.length < 2) return model.constant(float32Tensor(`${name}_node`, dims, values));
  if (kind < 0.9) return model.node('Reshape', [model.weights([count], values), model.ints(dims)]);
  return model.node('Transpose', [model.weights([...dims].reverse(), values)]);
}

/** Constant nodes hold whole numbers from operator set 9 on. */
export function ints({ model, random, opset }: Workshop, values: readonly number[]): string {
  const name = model.ints(values);
  return opset < 9 || random.uniform() < 0.5
    ? name
    : model.constant(int64Tensor(`${name}_node`, [values.length], values));
}

/** A convolution with random weights, its output one of the maps. */
export function convolve(
  workshop: Workshop,
  from: FeatureMap,
  outputs: number,
  kernel: number,
  group = 1,
  stride = 1,
): FeatureMap {
  const { model } = workshop;
  const operands = [from.name, weight(workshop, [outputs, from.channels / group, kernel, kernel])];
  if (workshop.random.uniform() < 0.7) operands.push(weight(workshop, [outputs]));
  const before = (kernel - 1) / 2;
  const attributes = {
    kernel_shape: [kernel, kernel],
    pads: [before, before, before, before],
    strides: [stride, stride],
    group,
  };
  return push(workshop, model.node('Conv', operands, attributes), outputs, Math.ceil(from.size / stride));
}

export function toChannelsLast({ model }: Workshop, x: string): string {
  return model.node('Transpose', [x], { perm: [0, 2, 3, 1] });
}

export function toChannelsFirst({ model }: Workshop, x: string): string {
  return model.node('Transpose', [x], { perm: [0, 3, 1, 2] });
}
