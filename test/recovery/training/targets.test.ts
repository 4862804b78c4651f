import { checkLabels, checkSmoothing, writeTargets } from '../../../src/recovery/training/targets';
import { codeOf } from '../../support/errors';
import { hasPython, runPython } from '../../support/python';

const LABELS = Int32Array.from([2, 0, 1, 2, 3]);

test('rows are smoothed labels of the chosen samples', () => {
  const output = new Float32Array(2 * 4 + 1).fill(9);
  writeTargets(LABELS, Int32Array.from([4, 1]), 4, 0.2, output);
  expect([...output].map((value) => +value.toFixed(6))).toEqual([0.05, 0.05, 0.05, 0.85, 0.85, 0.05, 0.05, 0.05, 9]);
});

test("their cross-entropy is torch's with label smoothing", () => {
  if (!hasPython('torch')) return;
  const script = `
import json, torch
logits = torch.arange(20, dtype=torch.float64).reshape(5, 4).sin() * 3
labels = torch.tensor([2, 0, 1, 2, 3])
loss = [torch.nn.functional.cross_entropy(logits, labels, label_smoothing=s).item() for s in (0, .1, .9)]
print(json.dumps({'log': logits.log_softmax(1).flatten().tolist(), 'loss': loss}))
`;
  const { log, loss } = runPython(script) as { log: number[]; loss: number[] };
  [0, 0.1, 0.9].forEach((smoothing, position) => {
    const targets = new Float32Array(20);
    writeTargets(LABELS, Int32Array.from(LABELS.keys()), 4, smoothing, targets);
    const received = -log.reduce((sum, value, index) => sum + value * targets[index]!, 0) / 5;
    expect(received).toBeCloseTo(loss[position]!, 6);
  });
});

test('a label beyond the logits is named with its sample and class', () => {
  expect(() => checkLabels(LABELS, 4)).not.toThrow();
  expect(() => checkLabels(LABELS, 3, ['ant', 'bee', 'cat', 'dog'])).toThrow(
    expect.objectContaining({
      code: 'ERR_LABELS',
      message:
        'Expected labels from 0 to 2, one for each logit, for the training samples but received 3 ("dog") for sample 4',
    }) as Error,
  );
  expect(() => checkLabels(Int32Array.from([0, -1]), 3)).toThrow('received -1 for sample 1');
});

test('smoothing must leave something of the label', () => {
  for (const smoothing of [-0.1, 1, NaN]) expect(codeOf(() => checkSmoothing(smoothing))).toBe('ERR_OPTION');
  expect(codeOf(() => checkSmoothing(0))).toBe('no error');
});
