import { expected } from '../../errors';
import { freshName, takenNames } from '../graphIndex';
import type { Graph, Model, Node, Shape, ValueInfo } from '../ir';
import { subgraphReferences } from '../subgraphs';
import { int64Tensor } from '../tensor';

export interface StepInterface {
  /** An output that is the next step's input of the same shape; the state keeps its names and shape. */
  readonly states: readonly { readonly input: string; readonly output: string }[];
  /** Outputs that are wanted of every step; [steps, ...] here, one after the other. */
  readonly results: readonly string[];
}

/** The symbolic size of the axis in front of feeds and results. */
const STEPS = 'steps';

/**
 * A model that takes as many training steps in one run as it is fed, in a Loop: for providers where the state would be copied
 * to the device and back for every run. Every input that is no state is fed for all steps at once, [steps, ...]. Weights stay
 * in the graph around the Loop. The steps compute exactly what the given model computes.
 *
 * Errors: ERR_USAGE for a state or result that the model lacks, or that is another one too, and for a model with states
 * alone; ERR_MODEL_UNSUPPORTED where a subgraph of the model reads its inputs or outputs.
 */
export function loopSteps(step: Model, { states, results }: StepInterface): Model {
  const { graph } = step;
  const isState = new Set(states.map(({ input }) => input));
  const stateInputs = states.map(({ input }) => find(graph.inputs, input, 'an input'));
  const stateOutputs = states.map(({ output }) => find(graph.outputs, output, 'an output'));
  const resultOutputs = results.map((result) => find(graph.outputs, result, 'an output'));
  const feeds = graph.inputs.filter(({ name }) => !isState.has(name));
  const [counted] = feeds;
  if (counted === undefined) throw expected('ERR_USAGE', 'an input that is no state', 'steps in a loop', 'none');
  checkOutputs(graph, [...stateOutputs, ...resultOutputs]);

  const taken = takenNames(graph);
  const first = freshName('first_axis', taken);
  const sizes = freshName('sizes', taken);
  const iterations = freshName('iterations', taken);
  const body = bodyOf(graph, taken, stateInputs, feeds, [...stateOutputs, ...resultOutputs]);
  const loop: Node = {
    name: 'loop',
    key: 'loop',
    opType: 'Loop',
    domain: '',
    inputs: [iterations, '', ...stateInputs.map(({ name }) => name)],
    outputs: [...stateOutputs, ...resultOutputs].map(({ name }) => name),
    attributes: new Map([['body', { kind: 'graph', value: body }]]),
  };
  const stacked = (info: ValueInfo): ValueInfo => plainInfo(info.name, info, info.shape && [STEPS, ...info.shape]);
  return {
    ...step,
    graph: {
      name: graph.name,
      inputs: [...feeds.map(stacked), ...stateInputs],
      outputs: [...stateOutputs, ...resultOutputs.map(stacked)],
      nodes: [plainNode('Shape', [counted.name], sizes), plainNode('Gather', [sizes, first], iterations), loop],
      initializers: new Map([...graph.initializers, [first, int64Tensor(first, [], [0])]]),
      valueInfo: new Map(),
    },
  };
}

/** Each is an output of the Loop, so it must be a tensor of its own. */
function checkOutputs(graph: Graph, outputs: readonly ValueInfo[]): void {
  const unused = new Set(graph.nodes.flatMap((node) => node.outputs));
  for (const { name } of outputs)
    if (!unused.delete(name))
      throw expected('ERR_USAGE', 'outputs of nodes, each for one purpose,', 'the states and results of a step', name);
}

/**
 * The step under names of its own wherever the graph around it has the same: a name may be defined only once in both.
 * Inputs: the iteration, the condition, the states. Outputs: the condition, the next states, the results.
 */
function bodyOf(
  graph: Graph,
  taken: Set<string>,
  states: readonly ValueInfo[],
  feeds: readonly ValueInfo[],
  outputs: readonly ValueInfo[],
): Graph {
  const iteration = freshName('iteration', taken);
  const condition = freshName('condition', taken);
  const isTrue = freshName('condition_next', taken);
  const inner = new Map<string, string>();
  for (const { name } of [...states, ...feeds, ...outputs]) inner.set(name, freshName(`${name}_of_step`, taken));
  const rename = (name: string): string => inner.get(name) ?? name;
  const ofStep = (info: ValueInfo): ValueInfo => plainInfo(rename(info.name), info, info.shape);

  return {
    name: `${graph.name}_step`,
    inputs: [
      { name: iteration, dataType: 'int64', shape: [] },
      { name: condition, dataType: 'bool', shape: [] },
      ...states.map(ofStep),
    ],
    outputs: [{ name: isTrue, dataType: 'bool', shape: [] }, ...outputs.map(ofStep)],
    nodes: [
      plainNode('Identity', [condition], isTrue),
      ...feeds.map(({ name }) => plainNode('Gather', [name, iteration], rename(name))),
      ...graph.nodes.map((node) => renamed(node, inner)),
    ],
    initializers: new Map(),
    valueInfo: new Map([...graph.valueInfo.values()].map(ofStep).map((info) => [info.name, info])),
  };
}

function renamed(node: Node, inner: ReadonlyMap<string, string>): Node {
  const hidden = subgraphReferences(node).find((name) => inner.has(name));
  if (hidden !== undefined)
    throw expected(
      'ERR_MODEL_UNSUPPORTED',
      'subgraphs that read no input or output of the step',
      `node "${node.key}" of a looped step`,
      hidden,
    );
  const rename = (name: string): string => inner.get(name) ?? name;
  return { ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) };
}

function plainNode(opType: string, inputs: readonly string[], output: string): Node {
  return { name: output, key: output, opType, domain: '', inputs, outputs: [output], attributes: new Map() };
}

function plainInfo(name: string, { dataType }: ValueInfo, shape: Shape): ValueInfo {
  return { name, dataType, shape };
}

function find(infos: readonly ValueInfo[], name: string, what: string): ValueInfo {
  const found = infos.find((info) => info.name === name);
  if (found !== undefined) return found;
  throw expected('ERR_USAGE', `${what} of the step (${infos.map((info) => info.name).join(', ')})`, 'the loop', name);
}
