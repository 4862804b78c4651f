import { intAttribute, intsAttribute, stringAttribute } from '../attributes';
import type { Dimension, Node, Shape } from '../ir';
import { validDimension } from './dimensions';
import type { RuleContext, ShapeRule, ShapeRules } from './rule';

/** Geometry of a sliding window over the spatial axes, with auto_pad resolved where the input size is known. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros before each spatial axis, then after each; undefined entries where auto_pad meets an unknown size. */
  readonly padsBegin: readonly (number | undefined)[];
  readonly padsEnd: readonly (number | undefined)[];
}

export interface KnownWindow extends Window {
  readonly padsBegin: readonly number[];
  readonly padsEnd: readonly number[];
}

/** Reads kernel, strides, dilations and pads of a Conv or pool; `spatial` are the input's spatial dimensions. */
export function readWindow(node: Node, kernel: readonly number[], spatial: readonly Dimension[]): Window {
  const rank = kernel.length;
  const filled = (name: string, value: number) => intsAttribute(node, name, new Array<number>(rank).fill(value));
  const strides = filled('strides', 1);
  const dilations = filled('dilations', 1);
  const autoPad = stringAttribute(node, 'auto_pad', 'NOTSET');
  const pads = intsAttribute(node, 'pads', new Array<number>(2 * rank).fill(0));
  if (autoPad === 'NOTSET' || autoPad === '')
    return { kernel, strides, dilations, padsBegin: pads.slice(0, rank), padsEnd: pads.slice(rank) };
  if (autoPad === 'VALID') {
    const none = new Array<number>(rank).fill(0);
    return { kernel, strides, dilations, padsBegin: none, padsEnd: none };
  }
  const totals = kernel.map((size, axis) => {
    const length = spatial[axis];
    if (typeof length !== 'number') return undefined;
    const stride = strides[axis] ?? 1;
    const covered = (Math.ceil(length / stride) - 1) * stride + ((size - 1) * (dilations[axis] ?? 1) + 1);
    return Math.max(0, covered - length);
  });
  const smaller = totals.map((total) => (total === undefined ? undefined : Math.floor(total / 2)));
  const larger = totals.map((total) => (total === undefined ? undefined : Math.ceil(total / 2)));
  return autoPad === 'SAME_LOWER'
    ? { kernel, strides, dilations, padsBegin: larger, padsEnd: smaller }
    : { kernel, strides, dilations, padsBegin: smaller, padsEnd: larger };
}

/** The same over an input of known sizes, all pads known. */
export function readKnownWindow(node: Node, kernel: readonly number[], spatial: readonly number[]): KnownWindow {
  const { padsBegin, padsEnd, ...window } = readWindow(node, kernel, spatial);
  return { ...window, padsBegin: padsBegin.map((pad) => pad ?? 0), padsEnd: padsEnd.map((pad) => pad ?? 0) };
}

/** Spatial output sizes of a convolution or pool. */
function slide(window: Window, spatial: readonly Dimension[], ceilMode: boolean): Dimension[] {
  return window.kernel.map((size, axis) => {
    const length = spatial[axis];
    const begin = window.padsBegin[axis];
    const end = window.padsEnd[axis];
    if (typeof length !== 'number' || begin === undefined || end === undefined) return undefined;
    const stride = window.strides[axis] ?? 1;
    const free = length + begin + end - ((size - 1) * (window.dilations[axis] ?? 1) + 1);
    if (!ceilMode) return validDimension(Math.floor(free / stride) + 1);
    const count = Math.ceil(free / stride) + 1;
    // A window that would start in the padding behind the image is left out, as runtimes do.
    return validDimension((count - 1) * stride >= length + begin ? count - 1 : count);
  });
}

function convolution(weightInput: number): ShapeRule {
  return (context) => {
    const input = context.shape(0);
    const weight = context.shape(weightInput);
    if (input === undefined || input.length < 3) return [];
    const spatial = input.slice(2);
    const kernel = kernelOf(context, weight, spatial.length);
    const channels = weight?.[0];
    if (kernel === undefined) return [[input[0], channels, ...spatial.map(() => undefined)]];
    return [[input[0], channels, ...slide(readWindow(context.node, kernel, spatial), spatial, false)]];
  };
}

function kernelOf(context: RuleContext, weight: Shape, rank: number): readonly number[] | undefined {
  const stated = intsAttribute(context.node, 'kernel_shape');
  if (stated !== undefined) return stated.length === rank ? stated : undefined;
  const fromWeight = weight?.slice(2);
  return fromWeight?.length === rank && fromWeight.every((size) => typeof size === 'number') ? fromWeight : undefined;
}

const convTranspose: ShapeRule = (context) => {
  const { node } = context;
  const input = context.shape(0);
  const weight = context.shape(1);
  if (input === undefined || input.length < 3) return [];
  const spatial = input.slice(2);
  const kernel = kernelOf(context, weight, spatial.length);
  const perGroup = weight?.[1];
  const channels = typeof perGroup === 'number' ? perGroup * intAttribute(node, 'group', 1) : undefined;
  const stated = intsAttribute(node, 'output_shape');
  if (stated !== undefined) return [[input[0], channels, ...stated.slice(-spatial.length)]];
  if (kernel === undefined) return [[input[0], channels, ...spatial.map(() => undefined)]];
  const window = readWindow(node, kernel, spatial);
  const extra = intsAttribute(node, 'output_padding', new Array<number>(spatial.length).fill(0));
  const autoPad = stringAttribute(node, 'auto_pad', 'NOTSET');
  const sizes = kernel.map((size, axis) => {
    const length = spatial[axis];
    const stride = window.strides[axis] ?? 1;
    if (typeof length !== 'number') return undefined;
    if (autoPad.startsWith('SAME')) return length * stride;
    const pads = (window.padsBegin[axis] ?? 0) + (window.padsEnd[axis] ?? 0);
    const reach = (size - 1) * (window.dilations[axis] ?? 1) + 1;
    return validDimension(stride * (length - 1) + (extra[axis] ?? 0) + reach - pads);
  });
  return [[input[0], channels, ...sizes]];
};

const pool: ShapeRule = (context) => {
  const input = context.shape(0);
  if (input === undefined || input.length < 3) return [];
  const spatial = input.slice(2);
  const kernel = intsAttribute(context.node, 'kernel_shape');
  if (kernel?.length !== spatial.length) return [[...input.slice(0, 2), ...spatial.map(() => undefined)]];
  const ceilMode = intAttribute(context.node, 'ceil_mode', 0) !== 0;
  const output = [...input.slice(0, 2), ...slide(readWindow(context.node, kernel, spatial), spatial, ceilMode)];
  return context.node.outputs.map(() => output); // MaxPool may write the indices as well
};

const globalPool: ShapeRule = (context) => {
  const input = context.shape(0);
  return input === undefined ? [] : [[...input.slice(0, 2), ...input.slice(2).map(() => 1)]];
};

export const WINDOW_RULES: ShapeRules = {
  Conv: convolution(1),
  ConvInteger: convolution(1),
  QLinearConv: convolution(3),
  ConvTranspose: convTranspose,
  MaxPool: pool,
  AveragePool: pool,
  LpPool: pool,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  GlobalLpPool: globalPool,
};
