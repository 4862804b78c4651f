import type { ModelBuilder } from '../../support/modelBuilder';

/** Operators whose arguments moved between attributes and inputs, written as the operator set of `opset` wants them. */
export interface Dialect {
  readonly model: ModelBuilder;
  readonly opset: number;
  /** Where a list of whole numbers comes from; an initializer unless it is given. */
  readonly ints?: (values: readonly number[]) => string;
}

function listOf(dialect: Dialect, values: readonly number[]): string {
  return dialect.ints?.(values) ?? dialect.model.ints(values);
}

export interface SliceArguments {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly number[];
  /** Steps exist from operator set 10 on. */
  readonly steps?: readonly number[];
}

export function slice(dialect: Dialect, x: string, { starts, ends, axes, steps }: SliceArguments): string {
  const { model, opset } = dialect;
  if (opset < 10) return model.node('Slice', [x], { starts, ends, axes });
  const lists = [starts, ends, axes, ...(steps === undefined ? [] : [steps])];
  return model.node('Slice', [x, ...lists.map((values) => listOf(dialect, values))]);
}

/** `before` and `after` are added to `axis` of a tensor of four. */
export function pad(
  dialect: Dialect,
  x: string,
  amounts: { readonly axis: number; readonly before: number; readonly after: number; readonly value?: number },
): string {
  const { model, opset } = dialect;
  const { axis, before, after, value = 0 } = amounts;
  const pads = [0, 0, 0, 0, 0, 0, 0, 0];
  pads[axis] = before;
  pads[axis + 4] = after;
  if (opset < 11) return model.node('Pad', [x], { pads, value: { kind: 'float', value } });
  const constant = value === 0 ? '' : model.weights([], [value]);
  if (opset >= 18) return model.node('Pad', [x, listOf(dialect, [before, after]), constant, model.ints([axis])]);
  return model.node('Pad', [x, listOf(dialect, pads), ...(constant === '' ? [] : [constant])]);
}

/** Equal parts need no sizes in any operator set. */
export function split(
  dialect: Dialect,
  x: string,
  sizes: readonly number[],
  isEqual: boolean,
  outputs: string[],
): void {
  const { model, opset } = dialect;
  if (isEqual) model.node('Split', [x], { axis: 1, ...(opset < 18 ? {} : { num_outputs: sizes.length }) }, { outputs });
  else if (opset < 13) model.node('Split', [x], { axis: 1, split: sizes }, { outputs });
  else model.node('Split', [x, listOf(dialect, sizes)], { axis: 1 }, { outputs });
}

export function clip({ model, opset }: Dialect, x: string, low: number, high: number): string {
  if (opset < 11) return model.node('Clip', [x], { min: low, max: high });
  return model.node('Clip', [x, model.weights([], [low]), model.weights([], [high])]);
}

export function dropout({ model, opset }: Dialect, x: string): string {
  if (opset < 12) return model.node('Dropout', [x], { ratio: 0.3 });
  return model.node('Dropout', [x, model.weights([], [0.3])]);
}

/** Twice as many rows and columns. */
export function enlarge({ model, opset }: Dialect, x: string): string {
  const scales = [1, 1, 2, 2];
  if (opset < 9) return model.node('Upsample', [x], { mode: 'nearest', scales });
  if (opset < 11)
    return model.node(opset < 10 ? 'Upsample' : 'Resize', [x, model.weights([4], scales)], { mode: 'nearest' });
  const attributes = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };
  const region = opset < 13 ? model.weights([0], []) : '';
  return model.node('Resize', [x, region, model.weights([4], scales)], attributes);
}

/** The axes are an input from operator set 18 on, of ReduceSum from 13 on. */
export function reduce(dialect: Dialect, kind: string, x: string, axes: readonly number[], keepdims: number): string {
  const { model, opset } = dialect;
  if (opset < (kind === 'ReduceSum' ? 13 : 18)) return model.node(kind, [x], { axes, keepdims });
  return model.node(kind, [x, listOf(dialect, axes)], { keepdims });
}

export function unsqueeze(dialect: Dialect, x: string, axes: readonly number[]): string {
  if (dialect.opset < 13) return dialect.model.node('Unsqueeze', [x], { axes });
  return dialect.model.node('Unsqueeze', [x, listOf(dialect, axes)]);
}

export function squeeze(dialect: Dialect, x: string, axes: readonly number[]): string {
  if (dialect.opset < 13) return dialect.model.node('Squeeze', [x], { axes });
  return dialect.model.node('Squeeze', [x, listOf(dialect, axes)]);
}
