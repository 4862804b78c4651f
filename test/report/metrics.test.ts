import { spawnSync } from 'node:child_process';
import { createRandom } from '../../src/random';
import { classificationMetrics } from '../../src/report/metrics';

describe('classificationMetrics', () => {
  test('three samples worked out by hand', () => {
    // Rows: right and certain; class 2 is second; class 0 is last.
    const outputs = Float32Array.from([2, 0, 0, 0, 3, 1, -1, 4, 0]);
    const result = classificationMetrics(outputs, [0, 2, 0], 3);
    const loss =
      -Math.log(Math.exp(2) / (Math.exp(2) + 2)) -
      Math.log(Math.exp(1) / (1 + Math.exp(3) + Math.exp(1))) -
      Math.log(Math.exp(-1) / (Math.exp(-1) + Math.exp(4) + 1));
    expect(result.top1).toBeCloseTo(1 / 3, 12);
    expect(result.top5).toBe(1);
    expect(result.loss).toBeCloseTo(loss / 3, 12);
    expect(result.outputs).toBe('logits');
    expect([...result.predictions]).toEqual([0, 1, 1]);
    expect(result.confusion.map((row) => [...row])).toEqual([
      [1, 1, 0],
      [0, 0, 0],
      [0, 1, 0],
    ]);
    expect(result.perClass).toEqual([
      { samples: 2, top1: 0.5 },
      { samples: 0, top1: Number.NaN },
      { samples: 1, top1: 0 },
    ]);
  });

  test('equal outputs rank by class id', () => {
    const constant = new Float32Array(8);
    expect(classificationMetrics(constant, [0], 8).top1).toBe(1);
    expect(classificationMetrics(constant, [1], 8).top1).toBe(0);
    expect(classificationMetrics(constant, [4], 8).top5).toBe(1);
    expect(classificationMetrics(constant, [5], 8).top5).toBe(0);
  });

  test('rows that sum to one are probabilities, and a certain wrong answer has a finite loss', () => {
    const result = classificationMetrics(Float32Array.from([0.25, 0.75, 1, 0]), [1, 1], 2);
    expect(result.outputs).toBe('probabilities');
    expect(result.loss).toBeCloseTo((-Math.log(0.75) + 126 * Math.LN2) / 2, 10);
  });

  test('log-softmax outputs give the loss of their logits', () => {
    const logits = [1.5, -0.5, 0.25];
    const norm = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0));
    const fromLogits = classificationMetrics(Float32Array.from(logits), [1], 3);
    const fromLogs = classificationMetrics(Float32Array.from(logits.map((value) => value - norm)), [1], 3);
    expect(fromLogs.outputs).toBe('logits');
    expect(fromLogs.loss).toBeCloseTo(fromLogits.loss, 6);
  });

  test('large logits do not overflow', () => {
    expect(classificationMetrics(Float32Array.from([3e38, -3e38]), [0], 2).loss).toBe(0);
  });

  test('refuses what does not fit, and names the sample', () => {
    expect(() => classificationMetrics(new Float32Array(5), [0, 1], 3)).toThrow(/Expected 2 × 3 output values/);
    expect(() => classificationMetrics(new Float32Array(0), [], 3)).toThrow(/at least one sample/);
    expect(() => classificationMetrics(new Float32Array(6), [0, 3], 3)).toThrow(/a label in 0..2 for sample 1/);
    let failure: unknown;
    try {
      classificationMetrics(Float32Array.from([0, 1, Number.NaN, 0]), [0, 0], 2);
    } catch (error) {
      failure = error;
    }
    expect(failure).toMatchObject({ code: 'ERR_NON_FINITE', message: expect.stringContaining('sample 1') as string });
  });

  test('agrees with scikit-learn on random outputs', () => {
    const script = `
import json, sys
try:
    import numpy as np
    from sklearn.metrics import accuracy_score, top_k_accuracy_score, log_loss, confusion_matrix
except ImportError as error:
    print(json.dumps({'missing': str(error)})); sys.exit(0)
given = json.load(sys.stdin)
classes = given['classes']; ids = list(range(classes))
x = np.array(given['outputs'], dtype=np.float64).reshape(-1, classes); y = np.array(given['labels'])
p = np.exp(x - x.max(1, keepdims=True)); p /= p.sum(1, keepdims=True)
print(json.dumps({'top1': accuracy_score(y, x.argmax(1)), 'top5': top_k_accuracy_score(y, x, k=5, labels=ids),
  'loss': log_loss(y, p, labels=ids), 'confusion': confusion_matrix(y, x.argmax(1), labels=ids).tolist()}))
`;
    const random = createRandom(7);
    const classes = 11;
    const labels = Array.from({ length: 400 }, () => random.integer(classes));
    const outputs = Float32Array.from({ length: labels.length * classes }, () => 2 * random.normal());
    const python = spawnSync('/usr/bin/python3', ['-c', script], {
      input: JSON.stringify({ classes, labels, outputs: [...outputs] }),
      encoding: 'utf8',
    });
    const oracle = (python.status === 0 ? JSON.parse(python.stdout) : { missing: python.stderr || 'no python3' }) as {
      missing?: string;
      top1: number;
      top5: number;
      loss: number;
      confusion: number[][];
    };
    if (oracle.missing !== undefined) {
      console.warn(`Not compared with scikit-learn: ${oracle.missing}`);
      return;
    }
    const result = classificationMetrics(outputs, labels, classes);
    expect(result.top1).toBeCloseTo(oracle.top1, 12);
    expect(result.top5).toBeCloseTo(oracle.top5, 12);
    expect(result.loss).toBeCloseTo(oracle.loss, 9);
    expect(result.confusion.map((row) => [...row])).toEqual(oracle.confusion);
  });
});
