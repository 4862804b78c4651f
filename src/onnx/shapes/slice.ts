import { intsAttribute } from '../attributes';
import type { Shape } from '../ir';
import { normalizeAxis } from './dimensions';
import { numbersOf, type RuleContext } from './rule';

/** What Slice takes along one axis: `count` positions from `start` on, `step` apart (negative: backwards). */
export interface AxisSlice {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

export interface SliceBounds {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Bounds as stated, by axis; attribute form (before opset 10) and input form. undefined where they are not constant. */
export function sliceBounds(context: RuleContext, rank: number): SliceBounds[] | undefined {
  const fromAttributes = context.opset < 10;
  const { node } = context;
  const starts = fromAttributes ? intsAttribute(node, 'starts') : numbersOf(context, 1);
  const ends = fromAttributes ? intsAttribute(node, 'ends') : numbersOf(context, 2);
  if (starts === undefined || starts.length !== ends?.length) return undefined;
  const givenAxes = fromAttributes ? intsAttribute(node, 'axes') : context.has(3) ? numbersOf(context, 3) : undefined;
  if (!fromAttributes && context.has(3) && givenAxes === undefined) return undefined;
  const givenSteps = !fromAttributes && context.has(4) ? numbersOf(context, 4) : undefined;
  if (!fromAttributes && context.has(4) && givenSteps === undefined) return undefined;

  const bounds: SliceBounds[] = [];
  for (const [position, start] of starts.entries()) {
    const axis = normalizeAxis(givenAxes?.[position] ?? position, rank);
    const end = ends[position];
    const step = givenSteps?.[position] ?? 1;
    if (axis === undefined || end === undefined || step === 0) return undefined;
    bounds.push({ axis, start, end, step });
  }
  return bounds;
}

/** By axis, what is taken; undefined entries where the axis length is unknown, undefined when the bounds are. */
export function normalizeSlice(context: RuleContext, shape: Shape): (AxisSlice | undefined)[] | undefined {
  if (shape === undefined) return undefined;
  const bounds = sliceBounds(context, shape.length);
  if (bounds === undefined) return undefined;
  const slices = shape.map((length): AxisSlice | undefined =>
    typeof length === 'number' ? { start: 0, step: 1, count: length } : undefined,
  );
  for (const { axis, start, end, step } of bounds) {
    const length = shape[axis];
    slices[axis] = typeof length === 'number' ? clampSlice(length, start, end, step) : undefined;
  }
  return slices;
}

function clampSlice(length: number, start: number, end: number, step: number): AxisSlice {
  const fromFront = (position: number) => (position < 0 ? position + length : position);
  const lowest = step > 0 ? 0 : -1;
  const highest = step > 0 ? length : length - 1;
  const clamp = (position: number) => Math.min(Math.max(fromFront(position), lowest), highest);
  const first = step > 0 ? clamp(start) : Math.min(Math.max(fromFront(start), 0), length - 1);
  return { start: first, step, count: Math.max(0, Math.ceil((clamp(end) - first) / step)) };
}
