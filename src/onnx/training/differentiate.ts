import { expected } from '../../errors';
import { constantTensor } from '../constants';
import { elementTypes } from '../elementTypes';
import type { DataType, Model, Node, Shape } from '../ir';
import { inferShapesAndValues, type Inference } from '../shapes/inferShapes';
import { isFloatType, tensorToNumbers } from '../tensor';
import { GENERATED_OPSET, type GraphBuilder, type Value } from './graphBuilder';
import { add } from './operations';
import type { Differentiable, GradientRule, GradientRules, RuleScope, RuleSettings } from './rule';

/** Tensors of the model that come from elsewhere: the images, the trained parameters, running statistics. */
export interface Leaves {
  /** By name in the model. Their sizes are the model's, a batch size filled in. */
  readonly values: ReadonlyMap<string, Value>;
  /** Those that gradients are wanted for. */
  readonly trained: ReadonlySet<string>;
}

interface Step {
  readonly node: Node;
  readonly result: Differentiable;
  readonly needsGradient: readonly boolean[];
}

/** A model written into a graph that is being built. */
export interface Forward {
  /** Value of any tensor of the model that was written. */
  valueOf(name: string): Value;
  /** New running statistics by the name of the stored tensor. */
  readonly statistics: ReadonlyMap<string, Value>;
  /**
   * Gradients of the trained leaves, given gradients of tensors of the model: reverse mode, each node visited once, so the
   * work is that of the rules. A leaf that nothing depends on has none.
   */
  backward(gradients: ReadonlyMap<string, Value>): ReadonlyMap<string, Value>;
}

/**
 * Writes the part of `model` that `outputs` depend on into `build`, through the rule of each operator.
 *
 * Float tensors are float32 in the generated graph, whatever they are in the model.
 * Errors: ERR_MODEL_UNSUPPORTED, naming the node, for an operator without a rule that a gradient must pass or that is not
 * constant; for a tensor whose size is not known.
 */
export function writeForward(
  build: GraphBuilder,
  model: Model,
  leaves: Leaves,
  outputs: readonly string[],
  rules: GradientRules,
  settings: RuleSettings,
): Forward {
  const { graph } = model;
  const overrides = Object.fromEntries(
    graph.inputs.flatMap(({ name }) => (leaves.values.has(name) ? [[name, leaves.values.get(name)!.dims]] : [])),
  );
  const inference = inferShapesAndValues(model, { overrides });
  const types = elementTypes(graph);

  const values = new Map<string, Value>(leaves.values);
  const depends = new Set<string>(leaves.values.keys());
  const needs = new Set<string>(leaves.trained);
  const statistics = new Map<string, Value>();
  const steps: Step[] = [];

  const valueOf = (name: string): Value => {
    const known = values.get(name);
    if (known !== undefined) return known;
    const value = constantOf(build, model, inference, types, name);
    if (value === undefined)
      throw expected('ERR_MODEL_UNSUPPORTED', 'a constant', `tensor "${name}" in training`, 'one that is computed');
    values.set(name, value);
    return value;
  };

  const wanted = nodesFor(graph.nodes, outputs);
  for (const node of graph.nodes) {
    if (!wanted.has(node)) continue;
    const isVariable = !isSize(node) && node.inputs.some((name) => depends.has(name));
    // What the data and the parameters have no part in is a constant, made where it is read.
    if (!isVariable && node.outputs.every((name) => name === '' || isKnown(model, inference, name))) continue;
    const needsGradient = node.inputs.map((name) => needs.has(name));
    const rule =
      node.domain === ''
        ? (rules[node.opType] ?? (needsGradient.includes(true) ? undefined : carried(model, types)))
        : undefined;
    if (rule === undefined)
      throw expected(
        'ERR_MODEL_UNSUPPORTED',
        `an operator with a gradient (${Object.keys(rules).sort().join(', ')})`,
        `node "${node.key}" in training`,
        node.opType,
        { remedy: 'Freeze the weights before it (--freeze), so that no gradient has to pass it.' },
      );
    const scope = scopeOf(node, model, build, settings, inference, valueOf, needsGradient);
    const result = rule(scope);
    for (const [position, name] of node.outputs.entries()) {
      const value = result.outputs[position];
      if (name === '' || value === undefined) continue;
      values.set(name, value);
      if (isVariable) depends.add(name);
      if (needsGradient.includes(true) && isFloatType(value.dataType)) needs.add(name);
    }
    for (const [input, value] of result.statistics ?? []) statistics.set(node.inputs[input] ?? '', value);
    if (needsGradient.includes(true)) steps.push({ node, result, needsGradient });
  }

  return {
    valueOf,
    statistics,
    backward(seeds) {
      const gradients = new Map<string, Value>(seeds);
      const accumulate = (name: string, gradient: Value): void => {
        const sum = gradients.get(name);
        gradients.set(name, sum === undefined ? gradient : add(build, sum, gradient));
      };
      for (const { node, result, needsGradient } of [...steps].reverse()) {
        const arriving = node.outputs.map((name) => gradients.get(name));
        if (arriving.every((gradient) => gradient === undefined)) continue;
        const found = result.backward(arriving);
        for (const [position, name] of node.inputs.entries()) {
          const gradient = found[position];
          if (gradient !== undefined && needsGradient[position] === true) accumulate(name, gradient);
        }
      }
      return new Map(
        [...leaves.trained].flatMap((name) => (gradients.has(name) ? [[name, gradients.get(name)!]] : [])),
      );
    },
  };
}

/** First operator set from which on operators without a rule mean what they mean in the generated graph's. */
const FIRST_CARRIED_OPSET = 13;

/** An operator that no gradient passes, as it is; undefined where the model's operator set may define it differently. */
function carried(model: Model, types: ReadonlyMap<string, DataType>): GradientRule | undefined {
  const opset = model.opsets.get('') ?? GENERATED_OPSET;
  if (opset < FIRST_CARRIED_OPSET || opset > GENERATED_OPSET) return undefined;
  return ({ node, build, inputs }) => {
    const dataTypes = node.outputs.map((name) => {
      const type = types.get(name) ?? 'float32';
      return isFloatType(type) ? 'float32' : type;
    });
    const options = { outputs: node.outputs.length, dataTypes };
    const outputs = build.emit(node.opType, inputs, Object.fromEntries(node.attributes), options);
    return { outputs, backward: () => [] };
  };
}

function nodesFor(nodes: readonly Node[], outputs: readonly string[]): ReadonlySet<Node> {
  const needed = new Set(outputs);
  const wanted = new Set<Node>();
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    wanted.add(node);
    for (const name of node.inputs) needed.add(name);
  }
  return wanted;
}

/** Sizes are fixed, whatever the data. */
function isSize({ opType, domain }: Node): boolean {
  return domain === '' && (opType === 'Shape' || opType === 'Size');
}

function isKnown(model: Model, { values }: Inference, name: string): boolean {
  const value = values.get(name);
  if (value !== undefined) return value.elements.every((element) => typeof element === 'number');
  return constantTensor(model.graph, name) !== undefined;
}

/** A stored or computed-from-shapes tensor as a constant of the generated graph. */
function constantOf(
  build: GraphBuilder,
  model: Model,
  { values }: Inference,
  types: ReadonlyMap<string, DataType>,
  name: string,
): Value | undefined {
  const tensor = constantTensor(model.graph, name);
  if (tensor !== undefined) return build.stored({ ...tensor, name });
  const value = values.get(name);
  const elements = value?.elements;
  if (value === undefined || !elements?.every((element) => typeof element === 'number')) return undefined;
  return isFloatType(types.get(name) ?? (value.integer ? 'int64' : 'float32'))
    ? build.constant(elements, value.dims)
    : build.integers(elements, value.dims);
}

function scopeOf(
  node: Node,
  model: Model,
  build: GraphBuilder,
  settings: RuleSettings,
  { shapes, values }: Inference,
  valueOf: (name: string) => Value,
  needsGradient: readonly boolean[],
): RuleScope {
  const inputs = node.inputs.map((name) => (name === '' ? undefined : valueOf(name)));
  const missing = (what: string, received: unknown): Error =>
    expected('ERR_MODEL_UNSUPPORTED', what, `${node.opType} node "${node.key}" in training`, received);
  return {
    node,
    opset: model.opsets.get('') ?? GENERATED_OPSET,
    build,
    settings,
    inputs,
    needsGradient,
    outputCount: node.outputs.length,
    outputDims: node.outputs.map((name) => (name === '' ? [] : knownDims(shapes.get(name), missing))),
    numbers(input) {
      const name = node.inputs[input] ?? '';
      const tensor = constantTensor(model.graph, name);
      const elements = tensor === undefined ? values.get(name)?.elements : tensorToNumbers(tensor);
      if (elements?.every((element) => typeof element === 'number')) return elements;
      throw missing(`known numbers as input ${input}`, 'a computed tensor');
    },
    required(input) {
      const value = inputs[input];
      if (value === undefined) throw missing(`input ${input}`, 'none');
      return value;
    },
  };
}

function knownDims(shape: Shape, missing: (what: string, received: unknown) => Error): readonly number[] {
  if (shape?.every((size): size is number => typeof size === 'number')) return shape;
  throw missing('outputs of known sizes', shape === undefined ? 'an unknown rank' : `[${shape.join(', ')}]`);
}
