import { createGraphBuilder } from '../../../src/onnx/training/graphBuilder';
import {
  initialState,
  stateRows,
  updateFeed,
  updateFeedDims,
  writeUpdate,
  type OptimizerSettings,
} from '../../../src/onnx/training/optimizer';
import { hasPython, runPython } from '../../support/python';
import { largestDifference, runModel, sampleInput } from '../../support/runtime';

const PARAMETERS = 7;
const STEPS = 6;
const SCHEDULE = Array.from({ length: STEPS }, (_, index) => ({
  learningRate: 0.1 / (index + 1),
  momentum: 0.9 - 0.05 * index,
  step: index + 1,
}));
const START = [...sampleInput([PARAMETERS], 5).data];
const GRADIENTS = SCHEDULE.map(({ step }) => [...sampleInput([PARAMETERS], step).data]);

/** Parameters (and their average) after all steps, by the generated graph. */
async function train(settings: OptimizerSettings, decays: boolean) {
  const rows = stateRows(settings);
  const build = createGraphBuilder();
  const gradient = build.input('gradient', [1, PARAMETERS]);
  const state = build.input('state', [rows.count, PARAMETERS]);
  const feed = build.input('feed', updateFeedDims(settings));
  build.output('next', writeUpdate(build, settings, gradient, state, feed, undefined));
  const model = build.build('update');
  let values = initialState(settings, Float32Array.from(START));
  for (const [index, step] of SCHEDULE.entries()) {
    const results = await runModel(model, {
      gradient: { dims: [1, PARAMETERS], data: Float32Array.from(GRADIENTS[index]!) },
      state: { dims: [rows.count, PARAMETERS], data: values },
      feed: { dims: updateFeedDims(settings), data: updateFeed(settings, decays, step) },
    });
    values = Float32Array.from(results.get('next')!.data as Float32Array);
  }
  const row = (index: number) => values.subarray(index * PARAMETERS, (index + 1) * PARAMETERS);
  return { parameters: row(rows.parameters), average: rows.average === undefined ? undefined : row(rows.average) };
}

function torchTrain(optimizer: string, setup: string): number[] {
  const script = `
import json, torch
torch.set_default_dtype(torch.float64)
start, gradients, schedule = json.loads('''${JSON.stringify([START, GRADIENTS, SCHEDULE])}''')
w = torch.tensor(start, requires_grad=True)
optimizer = torch.optim.${optimizer}
for g, step in zip(gradients, schedule):
    for group in optimizer.param_groups:
        group['lr'] = step['learningRate']
        ${setup}
    w.grad = torch.tensor(g)
    optimizer.step()
print(json.dumps(w.tolist()))
`;
  return runPython(script) as number[];
}

const sgd = { kind: 'sgd', nesterov: false, weightDecay: 0, decoupled: false } as const;
const adam = { kind: 'adamw', beta1: 0.9, beta2: 0.99, epsilon: 1e-6, weightDecay: 0.02 } as const;
const MOMENTUM = "group['momentum'] = step['momentum']";

const cases: readonly (readonly [string, OptimizerSettings, boolean, string, string])[] = [
  ['SGD', { rule: sgd }, true, 'SGD([w], lr=1, momentum=0.9)', MOMENTUM],
  [
    'SGD, decay',
    { rule: { ...sgd, weightDecay: 0.05 } },
    true,
    'SGD([w], lr=1, momentum=0.9, weight_decay=0.05)',
    MOMENTUM,
  ],
  ['SGD, spared by decay', { rule: { ...sgd, weightDecay: 0.05 } }, false, 'SGD([w], lr=1, momentum=0.9)', MOMENTUM],
  [
    'Nesterov, decay',
    { rule: { ...sgd, nesterov: true, weightDecay: 0.05 } },
    true,
    'SGD([w], lr=1, momentum=0.9, weight_decay=0.05, nesterov=True)',
    MOMENTUM,
  ],
  ['AdamW', { rule: adam }, true, 'AdamW([w], lr=1, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.02)', 'pass'],
  [
    'AdamW, spared by decay',
    { rule: adam },
    false,
    'AdamW([w], lr=1, betas=(0.9, 0.99), eps=1e-6, weight_decay=0)',
    'pass',
  ],
];

test.each(cases)(
  '%s takes the steps of torch, alone and beside an average',
  async (_, settings, decays, optimizer, setup) => {
    if (!hasPython('torch')) return;
    const expected = torchTrain(optimizer, setup);
    expect(largestDifference((await train(settings, decays)).parameters, expected)).toBeLessThan(1e-6);
    const averaged = await train({ ...settings, averageDecay: 0.8 }, decays);
    expect(largestDifference(averaged.parameters, expected)).toBeLessThan(1e-6);
  },
);

test.each([
  ['SGD', { rule: { ...sgd, nesterov: true, weightDecay: 0.05 } }],
  ['AdamW', { rule: adam }],
] as const)('the average of %s follows the parameters', async (_, settings) => {
  // After one step more: a' = d a + (1 − d) w', from what fewer steps give.
  const decay = 0.8;
  const { average } = await train({ ...settings, averageDecay: decay }, true);
  let expected = START;
  for (let steps = 1; steps <= STEPS; steps += 1) {
    const all = SCHEDULE.splice(steps);
    const { parameters } = await train(settings, true);
    SCHEDULE.push(...all);
    expected = expected.map((value, index) => decay * value + (1 - decay) * parameters[index]!);
  }
  expect(largestDifference(average!, expected)).toBeLessThan(1e-6);
});

test('decoupled decay shrinks weights apart from their momentum', async () => {
  const settings: OptimizerSettings = { rule: { ...sgd, weightDecay: 0.05, decoupled: true } };
  const { parameters } = await train(settings, true);
  let weights = START;
  let moments = START.map(() => 0);
  for (const [index, { learningRate, momentum }] of SCHEDULE.entries()) {
    moments = moments.map((moment, at) => momentum * moment + GRADIENTS[index]![at]!);
    weights = weights.map((weight, at) => weight * (1 - learningRate * 0.05) - learningRate * moments[at]!);
  }
  expect(largestDifference(parameters, weights)).toBeLessThan(1e-6);
});
