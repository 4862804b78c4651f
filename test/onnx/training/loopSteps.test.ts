import { createTrainingSession } from '../../../src/activations/trainingSession';
import type { TensorValue } from '../../../src/activations/types';
import { graphIndex, neededTensors } from '../../../src/onnx/graphIndex';
import type { Model } from '../../../src/onnx/ir';
import { parseModel } from '../../../src/onnx/load';
import { serializeModel } from '../../../src/onnx/save';
import { float32Tensor } from '../../../src/onnx/tensor';
import { loopSteps } from '../../../src/onnx/training/loopSteps';
import { REGRESSION, regressionStep, waves } from '../../activations/support/stepModels';
import { codeOf } from '../../support/errors';
import { ModelBuilder } from '../../support/modelBuilder';
import { hasPython, onnxFullProblems } from '../../support/python';

const INTERFACE = {
  states: [
    { input: 'weights', output: 'weights_next' },
    { input: 'momentum', output: 'momentum_next' },
  ],
  results: ['loss', 'gradient_norm'],
};

/** Feeds of one step; a larger `steps` gives that many, one after the other. */
function feeds(model: Model, first: number, steps?: number): Record<string, TensorValue> {
  const isState = new Set(INTERFACE.states.map(({ input }) => input));
  const entries = model.graph.inputs.filter(({ name }) => !isState.has(name));
  return Object.fromEntries(
    entries.map(({ name, shape }, at) => {
      const dims = shape!.map((size) => (size === 'steps' ? steps! : Number(size)));
      const length = dims.slice(steps === undefined ? 0 : 1).reduce((product, dim) => product * dim, 1);
      const data = new Float32Array(length * (steps ?? 1));
      for (let step = 0; step < (steps ?? 1); step++) {
        const values = waves(length, 10 * (first + step) + at).map((value) => (length === 1 ? 0.05 * value : value));
        data.set(values, step * length);
      }
      return [name, { dims, data }];
    }),
  );
}

async function open(model: Model, length: number) {
  const states = INTERFACE.states.map((state, at) => ({ ...state, initial: waves(length, at) }));
  const options = { device: 'cpu' as const, threads: 1, states, results: INTERFACE.results };
  return createTrainingSession({ bytes: serializeModel(model) }, options);
}

describe('steps in a loop', () => {
  const step = regressionStep().build();
  const looped = loopSteps(step, INTERFACE);
  const length = REGRESSION.inputs * REGRESSION.outputs;

  test('compute what single steps do, bit for bit', async () => {
    const single = await open(step, length);
    const several = await open(looped, length);
    try {
      let done = 0;
      for (const steps of [5, 1, 3]) {
        const losses: number[] = [];
        const norms: number[] = [];
        for (let at = 0; at < steps; at++) {
          const { results } = await single.step(feeds(step, done + at));
          losses.push(results.get('loss')!.data[0]!);
          norms.push(results.get('gradient_norm')!.data[0]!);
        }
        const { results } = await several.step(feeds(looped, done, steps));
        expect(results.get('loss')).toEqual({ dims: [steps], data: Float32Array.from(losses) });
        expect(results.get('gradient_norm')).toEqual({ dims: [steps], data: Float32Array.from(norms) });
        expect(new Set(losses).size).toBe(steps);
        expect(await several.readState()).toEqual(await single.readState());
        done += steps;
      }
    } finally {
      await single.close();
      await several.close();
    }
  });

  test('are a model that the ONNX checker accepts', () => {
    if (!hasPython('onnx')) return;
    expect(onnxFullProblems({ 'loop.onnx': serializeModel(looped) })).toEqual({});
    const wrong = {
      ...looped,
      graph: { ...looped.graph, outputs: looped.graph.outputs.map((info) => ({ ...info, shape: [7, 7] })) },
    };
    expect(onnxFullProblems({ 'wrong.onnx': serializeModel(wrong) })).toHaveProperty(['wrong.onnx']);
  });

  test('keep the weights outside, which the graph knows that the loop reads', () => {
    const loop = looped.graph.nodes.at(-1);
    expect(looped.graph.nodes.map(({ opType }) => opType)).toEqual(['Shape', 'Gather', 'Loop']);
    for (const name of step.graph.initializers.keys()) {
      expect(looped.graph.initializers.get(name)).toBe(step.graph.initializers.get(name));
      expect(graphIndex(looped.graph).consumers.get(name)).toEqual([loop]);
      expect(neededTensors(looped.graph).has(name)).toBe(true);
    }
    expect(neededTensors(looped.graph).has('images')).toBe(true);
  });

  test('come back from a file as a subgraph that is carried along', () => {
    const bytes = serializeModel(looped);
    const read = parseModel(bytes);
    const body = read.graph.nodes.at(-1)!.attributes.get('body')!;
    expect(body.kind).toBe('opaque');
    expect(graphIndex(read.graph).consumers.keys()).toEqual(graphIndex(looped.graph).consumers.keys());
    const touched = { ...read, metadata: new Map([['touched', 'yes']]) };
    const again = parseModel(serializeModel(touched));
    expect(serializeModel({ ...again, metadata: new Map() })).toEqual(bytes);
  });

  test('refuse what can not be looped', () => {
    for (const wrong of [
      { ...INTERFACE, results: ['accuracy'] },
      { ...INTERFACE, results: ['loss', 'loss'] },
      { ...INTERFACE, results: ['weights_next'] },
      { ...INTERFACE, states: [{ input: 'bias', output: 'weights_next' }] },
    ])
      expect(codeOf(() => loopSteps(step, wrong))).toBe('ERR_USAGE');
    expect(codeOf(() => loopSteps(looped, INTERFACE))).toBe('ERR_MODEL_UNSUPPORTED');
  });
});

test('a subgraph may have initializers of its own, also in files of IR version 3', async () => {
  // y = x + 3 by a Loop over three rounds of + 1, with the 1 inside.
  const one = float32Tensor('one', [1], Float32Array.of(1));
  const node = (opType: string, inputs: string[], output: string) => ({
    ...{ name: output, key: output, opType, domain: '', inputs, outputs: [output], attributes: new Map() },
  });
  const info = (name: string, dataType: 'bool' | 'int64' | 'float32', shape: number[]) => ({ name, dataType, shape });
  const body = {
    name: 'body',
    inputs: [info('i', 'int64', []), info('go', 'bool', []), info('sum', 'float32', [1])],
    outputs: [info('go_on', 'bool', []), info('next', 'float32', [1])],
    nodes: [node('Identity', ['go'], 'go_on'), node('Add', ['sum', 'one'], 'next')],
    initializers: new Map([['one', one]]),
    valueInfo: new Map(),
  };
  for (const irVersion of [3, 8]) {
    const builder = new ModelBuilder({ irVersion, opset: irVersion === 3 ? 8 : 17 });
    const x = builder.input('x', [1]);
    const rounds = builder.ints(3);
    builder.output(
      builder.node('Loop', [rounds, '', x], { body: { kind: 'graph', value: body } }, { outputs: ['y'] }),
      [1],
    );
    const session = await createTrainingSession(
      { bytes: builder.bytes() },
      { device: 'cpu', states: [{ input: 'x', output: 'y', initial: Float32Array.of(0.5) }], results: [] },
    );
    await session.step({});
    expect([...(await session.readState()).get('x')!]).toEqual([3.5]);
    await session.close();
  }
});
