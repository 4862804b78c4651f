import { intAttribute, intsAttribute, stringAttribute } from '../../attributes';
import { readKnownWindow, type KnownWindow } from '../../shapes/windows';
import type { RuleScope } from '../rule';

/**
 * A convolution, or the one that a transposed convolution is the adjoint of, with every choice resolved.
 *
 * `wide` is the side that the window slides over (a Conv's input, a ConvTranspose's output), `narrow` the other one; a weight
 * is [narrow channels, wide channels / groups, ...kernel] for both operators.
 */
export interface ConvolutionGeometry extends KnownWindow {
  readonly batch: number;
  readonly groups: number;
  readonly wideChannels: number;
  readonly narrowChannels: number;
  /** Spatial sizes. */
  readonly wide: readonly number[];
  readonly narrow: readonly number[];
}

/** Geometry of a Conv node. */
export function conv(scope: RuleScope): ConvolutionGeometry {
  const { node, required, outputDims } = scope;
  const input = required(0).dims;
  const weight = required(1).dims;
  return {
    ...readKnownWindow(node, weight.slice(2), input.slice(2)),
    batch: input[0]!,
    groups: intAttribute(node, 'group', 1),
    wideChannels: input[1]!,
    narrowChannels: weight[0]!,
    wide: input.slice(2),
    narrow: outputDims[0]!.slice(2),
  };
}

/** Geometry of the Conv that a ConvTranspose node is the adjoint of. */
export function convTranspose(scope: RuleScope): ConvolutionGeometry {
  const { node, required, outputDims } = scope;
  const input = required(0).dims;
  const weight = required(1).dims;
  const rank = input.length - 2;
  const narrow = input.slice(2);
  const wide = outputDims[0]!.slice(2);
  const kernel = weight.slice(2);
  const { strides, dilations, ...stated } = readKnownWindow(node, kernel, narrow);
  const extra = intsAttribute(node, 'output_padding', new Array<number>(rank).fill(0));
  const groups = intAttribute(node, 'group', 1);
  const autoPad = stringAttribute(node, 'auto_pad', 'NOTSET');
  const followsOutput = intsAttribute(node, 'output_shape') !== undefined || autoPad.startsWith('SAME');
  const totals = kernel.map((size, axis) => {
    const reach = (size - 1) * dilations[axis]! + 1;
    return Math.max(0, (narrow[axis]! - 1) * strides[axis]! + extra[axis]! + reach - wide[axis]!);
  });
  // What the output's size leaves to cut off goes to both ends; the odd one to the begin, but for SAME_UPPER.
  const begins = totals.map((total) => (autoPad === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2)));
  return {
    batch: input[0]!,
    groups,
    wideChannels: weight[1]! * groups,
    narrowChannels: input[1]!,
    wide,
    narrow,
    kernel,
    strides,
    dilations,
    padsBegin: followsOutput ? begins : stated.padsBegin,
    padsEnd: followsOutput ? totals.map((total, axis) => total - begins[axis]!) : stated.padsEnd,
  };
}

/** Sites that a window covers along an axis, holes of a dilation included. */
export function reach({ kernel, dilations }: ConvolutionGeometry, axis: number): number {
  return (kernel[axis]! - 1) * dilations[axis]! + 1;
}

/** Sites behind the last window, and pads that it does not need: what a ConvTranspose has to add to come back. */
export function outputPadding(geometry: ConvolutionGeometry): readonly number[] {
  const { wide, narrow, strides, padsBegin, padsEnd } = geometry;
  return wide.map(
    (size, axis) =>
      size + padsBegin[axis]! + padsEnd[axis]! - (narrow[axis]! - 1) * strides[axis]! - reach(geometry, axis),
  );
}

/** The attributes of a Conv, without auto_pad. */
export function convAttributes({ kernel, strides, dilations, groups, padsBegin, padsEnd }: ConvolutionGeometry) {
  return { kernel_shape: kernel, strides, dilations, group: groups, pads: [...padsBegin, ...padsEnd] };
}
