import { createRandom, type Random } from '../../src/random';
import type { LinearLayer } from '../../src/types';

/** What the recovery tests share: layers, data, and plain float64 references. */

export interface LayerShape {
  readonly kind?: 'conv' | 'dense';
  readonly outputs: number;
  readonly inputsPerGroup: number;
  readonly groups?: number;
  readonly kernel?: readonly [number, number];
  readonly strides?: readonly [number, number];
  readonly dilations?: readonly [number, number];
  readonly pads?: readonly [number, number, number, number];
  readonly bias?: boolean;
}

export function randomLayer(shape: LayerShape, random: Random): LinearLayer {
  const kernel = shape.kernel ?? [1, 1];
  const size = shape.outputs * shape.inputsPerGroup * kernel[0] * kernel[1];
  return {
    node: 'layer',
    kind: shape.kind ?? 'conv',
    input: 'x',
    output: 'y',
    outputs: shape.outputs,
    inputsPerGroup: shape.inputsPerGroup,
    groups: shape.groups ?? 1,
    kernel,
    strides: shape.strides ?? [1, 1],
    dilations: shape.dilations ?? [1, 1],
    pads: shape.pads ?? [0, 0, 0, 0],
    weight: normals(size, random),
    bias: shape.bias === true ? normals(shape.outputs, random) : undefined,
  };
}

export function normals(length: number, random: Random, mean = 0): Float32Array {
  return Float32Array.from({ length }, () => random.normal() + mean);
}

export function outputDims(layer: LinearLayer, inputDims: readonly number[]): number[] {
  if (layer.kind === 'dense') return [...inputDims.slice(0, -1), layer.outputs];
  const size = (axis: 0 | 1, input: number): number =>
    Math.floor(
      (input + layer.pads[axis] + layer.pads[axis + 2]! - layer.dilations[axis] * (layer.kernel[axis] - 1) - 1) /
        layer.strides[axis],
    ) + 1;
  return [inputDims[0]!, layer.outputs, size(0, inputDims[2]!), size(1, inputDims[3]!)];
}

/** The regressors of every patch of one group, without the constant: [patches][d], in float64. */
export function patches(
  layer: LinearLayer,
  input: Float32Array,
  inputDims: readonly number[],
  group: number,
): number[][] {
  const { inputsPerGroup, kernel, strides, dilations, pads } = layer;
  if (layer.kind === 'dense') {
    const rows = input.length / inputsPerGroup;
    return Array.from({ length: rows }, (_, row) => [
      ...input.subarray(row * inputsPerGroup, (row + 1) * inputsPerGroup),
    ]);
  }
  const [samples, channels, height, width] = inputDims as [number, number, number, number];
  const [, , outputHeight, outputWidth] = outputDims(layer, inputDims) as [number, number, number, number];
  const result: number[][] = [];
  for (let n = 0; n < samples; n++) {
    for (let oh = 0; oh < outputHeight; oh++) {
      for (let ow = 0; ow < outputWidth; ow++) {
        const patch: number[] = [];
        for (let c = group * inputsPerGroup; c < (group + 1) * inputsPerGroup; c++) {
          for (let kh = 0; kh < kernel[0]; kh++) {
            for (let kw = 0; kw < kernel[1]; kw++) {
              const h = oh * strides[0] - pads[0] + kh * dilations[0];
              const w = ow * strides[1] - pads[1] + kw * dilations[1];
              const inside = h >= 0 && h < height && w >= 0 && w < width;
              patch.push(inside ? input[((n * channels + c) * height + h) * width + w]! : 0);
            }
          }
        }
        result.push(patch);
      }
    }
  }
  return result;
}

/** The layer's output for given weights, in float64. */
export function apply(
  layer: LinearLayer,
  weight: ArrayLike<number>,
  bias: ArrayLike<number> | undefined,
  input: Float32Array,
  inputDims: readonly number[],
): Float64Array {
  const dims = outputDims(layer, inputDims);
  const perGroup = layer.outputs / layer.groups;
  const map = layer.kind === 'dense' ? 1 : dims[2]! * dims[3]!;
  const result = new Float64Array(dims.reduce((product, dim) => product * dim, 1));
  for (let group = 0; group < layer.groups; group++) {
    for (const [index, patch] of patches(layer, input, inputDims, group).entries()) {
      const sample = Math.floor(index / map);
      for (let output = group * perGroup; output < (group + 1) * perGroup; output++) {
        let sum = bias?.[output] ?? 0;
        for (const [i, value] of patch.entries()) sum += value * weight[output * patch.length + i]!;
        result[(sample * layer.outputs + output) * map + (index % map)] = sum;
      }
    }
  }
  return result;
}

/** Solves a·x = b (one right-hand side) by Gaussian elimination with row pivoting. */
export function solve(a: readonly (readonly number[])[], b: readonly number[]): number[] {
  const rows = a.map((row, i) => [...row, b[i]!]);
  const n = rows.length;
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let i = column + 1; i < n; i++) {
      if (Math.abs(rows[i]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = i;
    }
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (let i = 0; i < n; i++) {
      if (i === column) continue;
      const factor = rows[i]![column]! / rows[column]![column]!;
      for (let j = column; j <= n; j++) rows[i]![j]! -= factor * rows[column]![j]!;
    }
  }
  return rows.map((row, i) => row[n]! / row[i]!);
}

/** Samples that moments hold back, and the others, of a batch that starts at sample 0. */
export function takeSamples(data: Float32Array, samples: number, heldBack: boolean): Float32Array {
  const size = data.length / samples;
  const kept: number[] = [];
  for (let n = 0; n < samples; n++) {
    if ((n % 4 === 3) === heldBack) kept.push(...data.subarray(n * size, (n + 1) * size));
  }
  return Float32Array.from(kept);
}

export function seeded(seed: number): Random {
  return createRandom(seed);
}
