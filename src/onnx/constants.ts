import { tensorAttribute } from './attributes';
import { graphIndex } from './graphIndex';
import type { Graph, Shape, Tensor } from './ir';
import { evaluateNode } from './shapes/evaluate';
import { applyRule, contextOf, type ShapeMap } from './shapes/inferShapes';
import { partialValueOfTensor, type PartialValue } from './shapes/partialValue';

/** A small constant: numbers, row-major. */
export interface ConstantValue {
  readonly dims: readonly number[];
  readonly values: readonly number[];
}

/** The tensor behind a name if it is an initializer or the `value` of a Constant node, also through Identity. */
export function constantTensor(graph: Graph, name: string): Tensor | undefined {
  const initializer = graph.initializers.get(name);
  if (initializer !== undefined) return initializer;
  const producer = graphIndex(graph).producers.get(name);
  if (producer?.domain !== '') return undefined;
  if (producer.opType === 'Constant') return tensorAttribute(producer, 'value');
  const source = producer.inputs[0];
  return producer.opType === 'Identity' && source !== undefined ? constantTensor(graph, source) : undefined;
}

export interface ConstantOptions {
  /** Known shapes: they make Shape nodes foldable. Without them only sizes of constants are. */
  readonly shapes?: ShapeMap;
  /** Version of the standard operator set; decides where Slice, Squeeze … find their arguments. Default 13. */
  readonly opset?: number;
}

/**
 * The values of a tensor that does not depend on the inputs' contents: initializers, Constant nodes and the
 * chains exporters build from them (Shape, Gather, Unsqueeze, Concat, Slice, Cast, Add, Mul, Div …), up to 4,096
 * elements. undefined when it is not such a tensor, or when one element is not known.
 */
export function constantValue(graph: Graph, name: string, options: ConstantOptions = {}): ConstantValue | undefined {
  const { producers } = graphIndex(graph);
  const found = new Map<string, PartialValue | undefined>();
  const valueOf = (tensor: string): PartialValue | undefined => {
    if (found.has(tensor)) return found.get(tensor);
    const value = compute(tensor);
    found.set(tensor, value);
    return value;
  };
  const shapeOf = (tensor: string): Shape =>
    options.shapes?.get(tensor) ?? constantTensor(graph, tensor)?.dims ?? valueOf(tensor)?.dims;
  const compute = (tensor: string): PartialValue | undefined => {
    const initializer = graph.initializers.get(tensor);
    if (initializer !== undefined) return partialValueOfTensor(initializer);
    const producer = producers.get(tensor);
    if (producer?.outputs[0] !== tensor) return undefined;
    const context = contextOf(producer, options.opset ?? 13, shapeOf, valueOf);
    return evaluateNode(context, options.shapes?.get(tensor) ?? applyRule(context)[0]);
  };
  const value = valueOf(name);
  const elements = value?.elements;
  if (value === undefined || !elements?.every((element) => typeof element === 'number')) return undefined;
  return { dims: value.dims, values: elements };
}
