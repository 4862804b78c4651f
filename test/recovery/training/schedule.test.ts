import { createSchedule, type ScheduleSpec } from '../../../src/recovery/training/schedule';
import { codeOf } from '../../support/errors';
import { hasPython, runPython } from '../../support/python';

// torch drives an optimizer; what it would use at each step is what counts.
const SCRIPT = `
import json, sys, warnings, torch
warnings.simplefilter('ignore')
S = torch.optim.lr_scheduler
def follow(learning_rate, momentum, make, steps, steps_per_call=1):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=learning_rate, momentum=momentum)
    scheduler = make(optimizer)
    rows = []
    for step in range(steps):
        rows.append([optimizer.param_groups[0]['lr'], optimizer.param_groups[0]['momentum']])
        optimizer.step()
        if (step + 1) % steps_per_call == 0 and step + 1 < steps: scheduler.step()
    return rows
print(json.dumps({
  'cycle': follow(1, .9, lambda o: S.OneCycleLR(o, .4, total_steps=70, cycle_momentum=False), 70),
  'cycleMomentum': follow(1, .9, lambda o: S.OneCycleLR(o, .1, epochs=7, steps_per_epoch=10, pct_start=.2,
      div_factor=10, final_div_factor=1e3, base_momentum=.8, max_momentum=.97), 70),
  'cycleShort': follow(1, .9, lambda o: S.OneCycleLR(o, .1, total_steps=70, pct_start=0.0, cycle_momentum=False), 70),
  'cosine': follow(.2, .9, lambda o: S.CosineAnnealingLR(o, 70, eta_min=.01), 70),
  'cosineWarm': follow(.2, .9, lambda o: S.SequentialLR(o, [S.LinearLR(o, start_factor=.05, total_iters=15),
      S.CosineAnnealingLR(o, 55)], milestones=[15]), 70),
  'step': follow(.2, .8, lambda o: S.MultiStepLR(o, [2, 5, 6], gamma=.3), 70, 10),
}))
`;

const LENGTH = { epochs: 7, stepsPerEpoch: 10 };
const SPECS: Record<string, ScheduleSpec> = {
  cycle: { kind: 'one-cycle', learningRate: 0.4 },
  cycleMomentum: {
    kind: 'one-cycle',
    learningRate: 0.1,
    warmupFraction: 0.2,
    initialDivisor: 10,
    finalDivisor: 1e3,
    momentumRange: [0.8, 0.97],
  },
  cycleShort: { kind: 'one-cycle', learningRate: 0.1, warmupFraction: 0 },
  cosine: { kind: 'cosine', learningRate: 0.2, finalLearningRate: 0.01 },
  cosineWarm: { kind: 'cosine', learningRate: 0.2, warmupEpochs: 1.5, warmupStart: 0.05 },
  step: { kind: 'step', learningRate: 0.2, momentum: 0.8, milestones: [2, 5, 6], gamma: 0.3 },
};

test("schedules equal torch's", () => {
  if (!hasPython('torch')) return;
  const wanted = runPython(SCRIPT) as Record<string, [number, number][]>;
  for (const [name, spec] of Object.entries(SPECS)) {
    const schedule = createSchedule(spec, LENGTH);
    expect(wanted[name]).toHaveLength(70);
    wanted[name]!.forEach(([learningRate, momentum], step) => {
      const rates = schedule(step);
      // torch's cosine goes from step to step by recursion, which gathers rounding errors.
      const message = { name, step, learningRate: expect.closeTo(learningRate, 12) as number };
      expect({ name, step, learningRate: rates.learningRate }).toEqual(message);
      expect(rates.momentum).toBeCloseTo(momentum, 12);
    });
  }
});

test('a constant schedule stays', () => {
  const schedule = createSchedule({ kind: 'constant', learningRate: 0.3 }, LENGTH);
  expect(schedule(0)).toEqual({ learningRate: 0.3, momentum: 0.9 });
  expect(schedule(69)).toEqual(schedule(0));
});

test('the shortest runs have finite rates', () => {
  for (const spec of Object.values(SPECS)) {
    if (spec.kind === 'cosine' && spec.warmupEpochs !== undefined) continue;
    for (const steps of [1, 2, 3, 4]) {
      const schedule = createSchedule(spec, { epochs: 1, stepsPerEpoch: steps });
      for (let step = 0; step < steps; step++) {
        const { learningRate, momentum } = schedule(step);
        expect(learningRate).toBeGreaterThanOrEqual(0);
        expect(learningRate).toBeLessThanOrEqual(spec.learningRate);
        expect(momentum).toBeGreaterThan(0);
      }
    }
  }
  // A peak at step 0 leaves no way to it.
  const half = createSchedule(
    { kind: 'one-cycle', learningRate: 1, warmupFraction: 0.5 },
    { epochs: 1, stepsPerEpoch: 2 },
  );
  expect(half(0).learningRate).toBe(1);
});

test('values outside their range are refused', () => {
  const refused: unknown[] = [
    { kind: 'constant', learningRate: -1 },
    { kind: 'constant', learningRate: NaN },
    { kind: 'constant', learningRate: 1, momentum: 1 },
    { kind: 'one-cycle', learningRate: 1, warmupFraction: 1.5 },
    { kind: 'one-cycle', learningRate: 1, initialDivisor: 0 },
    { kind: 'one-cycle', learningRate: 1, finalDivisor: -1 },
    { kind: 'one-cycle', learningRate: 1, momentumRange: [0.8, 1] },
    { kind: 'cosine', learningRate: 1, warmupEpochs: 7 },
    { kind: 'cosine', learningRate: 1, warmupStart: 2 },
    { kind: 'cosine', learningRate: 1, finalLearningRate: -1 },
    { kind: 'step', learningRate: 1, milestones: [1.5] },
    { kind: 'step', learningRate: 1, milestones: [], gamma: 0 },
    { kind: 'linear', learningRate: 1 },
  ];
  for (const spec of refused) {
    expect([spec, codeOf(() => createSchedule(spec as ScheduleSpec, LENGTH))]).toEqual([spec, 'ERR_OPTION']);
  }
});
