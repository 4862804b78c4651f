import { expected } from '../../errors';
import { tensorAttribute } from '../attributes';
import type { Dimension, Graph, Model, Node, Shape } from '../ir';
import { validDimension } from './dimensions';
import { ELEMENTWISE_RULES } from './elementwise';
import { evaluateNode } from './evaluate';
import { LINEAR_RULES } from './linear';
import { partialValueOfTensor, type PartialValue } from './partialValue';
import { REARRANGEMENT_RULES } from './rearrangements';
import { REDUCTION_RULES } from './reductions';
import type { RuleContext, ShapeRules } from './rule';
import { WINDOW_RULES } from './windows';

/** Shapes by tensor name: inputs, initializers and every node output. */
export type ShapeMap = ReadonlyMap<string, Shape>;

export interface InferOptions {
  /** Shapes to assume for inputs, e.g. {input: [8, 3, 32, 32]}. ERR_OPTION when a name or a stated size contradicts. */
  readonly overrides?: Readonly<Record<string, readonly number[]>>;
}

export interface Inference {
  readonly shapes: ShapeMap;
  /** Values of small tensors, as far as they are known: shapes that the graph computes, constants. */
  readonly values: ReadonlyMap<string, PartialValue>;
}

const RULES: ShapeRules = {
  ...WINDOW_RULES,
  ...ELEMENTWISE_RULES,
  ...LINEAR_RULES,
  ...REDUCTION_RULES,
  ...REARRANGEMENT_RULES,
  Constant: ({ node }) => {
    const tensor = tensorAttribute(node, 'value');
    if (tensor !== undefined) return [tensor.dims];
    const list = [...node.attributes.values()].find((entry) => ['ints', 'floats', 'strings'].includes(entry.kind));
    if (list?.kind === 'ints' || list?.kind === 'floats' || list?.kind === 'strings') return [[list.value.length]];
    return node.attributes.size === 1 && !node.attributes.has('sparse_value') ? [[]] : [];
  },
};

/**
 * The shape of every tensor, in one pass. Symbolic dimensions ("batch") are carried through; operators that are not
 * known take what the file states in value_info. Time and memory linear in the graph.
 */
export function inferShapes(model: Model, options: InferOptions = {}): ShapeMap {
  return inferShapesAndValues(model, options).shapes;
}

/** As inferShapes, with the values that were found on the way. */
export function inferShapesAndValues(model: Model, options: InferOptions = {}): Inference {
  const { graph } = model;
  const shapes = new Map<string, Shape>();
  const values = new Map<string, PartialValue>();
  for (const tensor of graph.initializers.values()) shapes.set(tensor.name, tensor.dims);
  const stated = statedShapes(graph, options.overrides ?? {}, shapes);
  const opset = model.opsets.get('') ?? 0;

  const valueOf = (name: string): PartialValue | undefined => {
    const known = values.get(name);
    if (known !== undefined) return known;
    const tensor = graph.initializers.get(name);
    const value = tensor && partialValueOfTensor(tensor);
    if (value !== undefined) values.set(name, value);
    return value;
  };
  for (const node of graph.nodes) {
    const context = contextOf(node, opset, (name) => shapes.get(name), valueOf);
    const results = applyRule(context);
    for (const [position, name] of node.outputs.entries())
      if (name !== '') shapes.set(name, complete(results[position], stated(name)));
    const [first] = node.outputs;
    const value = first === undefined ? undefined : evaluateNode(context, shapes.get(first));
    if (first !== undefined && value !== undefined) values.set(first, value);
  }
  return { shapes, values };
}

/** What the operator's definition says about the shapes of its outputs; empty for operators without a rule. */
export function applyRule(context: RuleContext): readonly Shape[] {
  const { node } = context;
  return node.domain === '' ? (RULES[node.opType]?.(context) ?? []) : [];
}

/** A rule's view of a node, given what is known of its inputs. */
export function contextOf(
  node: Node,
  opset: number,
  shapeOf: (name: string) => Shape,
  valueOf: (name: string) => PartialValue | undefined,
): RuleContext {
  const nameOf = (input: number) => {
    const name = node.inputs[input];
    return name === '' ? undefined : name;
  };
  return {
    node,
    opset,
    has: (input) => nameOf(input) !== undefined,
    shape: (input) => {
      const name = nameOf(input);
      return name === undefined ? undefined : shapeOf(name);
    },
    value: (input) => {
      const name = nameOf(input);
      return name === undefined ? undefined : valueOf(name);
    },
  };
}

/**
 * Sets the input shapes, and answers what the file states about other tensors. Overrides replace symbols in
 * those statements; where an override contradicts a stated size, they no longer hold and none is used.
 */
function statedShapes(
  graph: Graph,
  overrides: Readonly<Record<string, readonly number[]>>,
  shapes: Map<string, Shape>,
): (name: string) => Shape {
  const unknownName = Object.keys(overrides).find((name) => !graph.inputs.some((input) => input.name === name));
  if (unknownName !== undefined)
    throw expected(
      'ERR_OPTION',
      `one of the inputs ${graph.inputs.map((input) => input.name).join(', ')}`,
      'a shape override',
      unknownName,
    );
  const symbols = new Map<string, number>();
  let contradicted = false;
  for (const input of graph.inputs) {
    const override = overrides[input.name];
    shapes.set(input.name, override ?? input.shape);
    if (override === undefined || input.shape === undefined) continue;
    if (override.length !== input.shape.length)
      throw expected('ERR_OPTION', `${input.shape.length} dimensions`, `the shape of input "${input.name}"`, override);
    input.shape.forEach((dimension, axis) => {
      const size = override[axis];
      if (typeof dimension === 'string' && size !== undefined) symbols.set(dimension, size);
      if (typeof dimension === 'number' && dimension !== size) contradicted = true;
    });
  }
  const bySymbol = (dimension: Dimension) =>
    typeof dimension === 'string' ? (symbols.get(dimension) ?? dimension) : dimension;
  const given = new Map([...graph.valueInfo.values(), ...graph.outputs].map((info) => [info.name, info.shape]));
  return (name) => (contradicted ? undefined : given.get(name)?.map(bySymbol));
}

/** What a rule found, completed by what the file states where the rule could not tell. */
function complete(found: Shape, stated: Shape): Shape {
  if (found === undefined) return stated;
  const possible = found.map((dimension) => (typeof dimension === 'number' ? validDimension(dimension) : dimension));
  if (stated?.length !== found.length) return possible;
  return possible.map((dimension, axis) => dimension ?? stated[axis]);
}
