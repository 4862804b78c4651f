import type { Node, Shape } from '../ir';
import type { PartialValue } from './partialValue';

/** What a shape rule sees of a node. Inputs are counted from 0; a left-out input has no shape and no value. */
export interface RuleContext {
  readonly node: Node;
  /** Version of the standard operator set. */
  readonly opset: number;
  has(input: number): boolean;
  shape(input: number): Shape;
  /** The values of a small constant or computed-from-shapes tensor, as far as they are known. */
  value(input: number): PartialValue | undefined;
}

/** Shapes of the outputs, in order; missing entries are unknown. */
export type ShapeRule = (context: RuleContext) => readonly Shape[];
export type ShapeRules = Readonly<Record<string, ShapeRule>>;

/** The values of an integer input if all are known numbers. */
export function numbersOf(context: RuleContext, input: number): readonly number[] | undefined {
  const elements = context.value(input)?.elements;
  return elements?.every((element) => typeof element === 'number') ? elements : undefined;
}
