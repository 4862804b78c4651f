import { createGraphBuilder } from '../../../src/onnx/training/graphBuilder';
import { writeLoss, type Distillation } from '../../../src/onnx/training/loss';
import { hasPython, runPython } from '../../support/python';
import { largestDifference, runModel, sampleInput } from '../../support/runtime';

const BATCH = 5;
const CLASSES = 4;
const LABELS = [0, 3, 1, 1, 2];
const TARGETS = LABELS.flatMap((label) =>
  Array.from({ length: CLASSES }, (_, index) => (index === label ? 0.9 : 0) + 0.1 / CLASSES),
);
const LOGITS = [...sampleInput([BATCH, CLASSES], 3).data].map((value) => 4 * value);
const TEACHER = [...sampleInput([BATCH, CLASSES], 9).data].map((value) => 5 * value);

async function compute(logits: readonly number[], dims: readonly number[], distillation?: Distillation) {
  const build = createGraphBuilder();
  const values = build.input('logits', dims);
  const targets = build.input('targets', [BATCH, CLASSES]);
  const teacherLogits = build.input('teacher', [BATCH, CLASSES]);
  const loss = writeLoss(build, values, targets, distillation && { ...distillation, teacherLogits });
  build.output('loss', loss.loss);
  build.output('correct', loss.correct);
  build.output('gradient', loss.gradient);
  const results = await runModel(build.build('loss'), {
    logits: { dims, data: Float32Array.from(logits) },
    targets: { dims: [BATCH, CLASSES], data: Float32Array.from(TARGETS) },
    teacher: { dims: [BATCH, CLASSES], data: Float32Array.from(TEACHER) },
  });
  return {
    loss: Number(results.get('loss')!.data[0]),
    correct: Number(results.get('correct')!.data[0]),
    gradient: results.get('gradient')!,
  };
}

function torchLoss(weight: number, temperature: number): { loss: number; correct: number; gradient: number[] } {
  return runPython(`
import json, torch, torch.nn.functional as F
z, t, teacher = [torch.tensor(v, dtype=torch.float64).view(${BATCH}, ${CLASSES}) for v in json.loads('''${JSON.stringify([LOGITS, TARGETS, TEACHER])}''')]
z.requires_grad_()
T, w = ${temperature}, ${weight}
ce = F.cross_entropy(z, t)
kd = F.kl_div(F.log_softmax(z / T, 1), F.softmax(teacher / T, 1), reduction='batchmean') * T * T
loss = (1 - w) * ce + w * kd
loss.backward()
correct = (z.argmax(1) == t.argmax(1)).sum()
print(json.dumps({'loss': loss.item(), 'correct': correct.item(), 'gradient': z.grad.flatten().tolist()}))
`) as { loss: number; correct: number; gradient: number[] };
}

test.each([
  [0, 1],
  [0.7, 1],
  [0.5, 4],
  [1, 2],
])(
  'loss, hits and gradient are those of torch: share of the teacher %d, temperature %d',
  async (weight, temperature) => {
    if (!hasPython('torch')) return;
    const expected = torchLoss(weight, temperature);
    for (const dims of [
      [BATCH, CLASSES],
      [BATCH, CLASSES, 1, 1],
    ]) {
      const found = await compute(LOGITS, dims, weight === 0 ? undefined : { weight, temperature });
      expect(Math.abs(found.loss - expected.loss)).toBeLessThan(1e-6);
      expect(found.correct).toBe(expected.correct);
      expect(found.gradient.dims).toEqual(dims);
      expect(largestDifference(found.gradient.data, expected.gradient)).toBeLessThan(1e-6);
    }
  },
);

test('logits far beyond what exp can hold give a finite loss', async () => {
  const { loss, gradient } = await compute(
    LOGITS.map((value) => 1000 * value),
    [BATCH, CLASSES],
    { weight: 0.5, temperature: 2 },
  );
  expect(Number.isFinite(loss)).toBe(true);
  expect([...(gradient.data as Float32Array)].every(Number.isFinite)).toBe(true);
});
