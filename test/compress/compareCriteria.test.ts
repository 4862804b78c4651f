// The pure parts of scripts/compare-criteria.mjs.
import { resolve } from 'node:path';

interface Run {
  readonly task: Readonly<Record<string, unknown>>;
  readonly before: { readonly macs: number; readonly top1: number };
  readonly after: { readonly macs: number; readonly top1: number };
  readonly kept: readonly number[];
}
interface Row {
  readonly before: Run['before'];
  readonly macsLeft: number;
  readonly top1: readonly number[];
}

// eslint-disable-next-line @typescript-eslint/no-require-imports -- a script, not a module of the package
const { answers, rowOf, beforeOf, checkWidths } = require(
  resolve(__dirname, '../../scripts/compareCriteriaRuns.cjs'),
) as {
  answers: (task: Run['task'], entry: Partial<Run>) => boolean;
  rowOf: (runs: readonly (readonly Run[])[]) => Row;
  beforeOf: (rows: readonly Pick<Row, 'before'>[]) => Run['before'];
  checkWidths: (runs: readonly Pick<Run, 'kept'>[]) => void;
};

const TASK = { build: 'b', model: 'm', data: 'd', validation: 'v', samples: 2000, flops: 0.5, recover: 'refit' };
const finished = (top1: number, before = 0.9): Run => ({
  ...{ task: TASK, before: { macs: 100, top1: before }, after: { macs: 50, top1 }, kept: [8, 16] },
});

test('a kept run answers the same task only: other data, other settings and rows of old files do not', () => {
  expect(answers({ ...TASK }, finished(0.8))).toBe(true);
  for (const name of Object.keys(TASK)) expect(answers({ ...TASK, [name]: 'other' }, finished(0.8))).toBe(false);
  const { data, validation, ...old } = TASK;
  expect([data, validation]).toEqual(['d', 'v']);
  expect(answers(TASK, { task: old })).toBe(false);
  expect(answers(old, finished(0.8))).toBe(false);
  expect(answers(TASK, {})).toBe(false);
});

test('a row is that of its own runs: the mean over seeds for each recovery, and what was before the cut', () => {
  const row = rowOf([[finished(0.25), finished(0.5), finished(0.75)], [finished(0.875)]]);
  expect(row).toEqual({ before: { macs: 100, top1: 0.9 }, macsLeft: 0.5, top1: [0.5, 0.875] });
  expect(beforeOf([row, row])).toEqual({ macs: 100, top1: 0.9 });
});

test('what can not be compared is refused', () => {
  expect(() => rowOf([[finished(0.5)], [finished(0.5, 0.8)]])).toThrow(/top-1 0\.9 .* and top-1 0\.8 at/);
  expect(() => beforeOf([rowOf([[finished(0.5)]]), rowOf([[finished(0.5, 0.8)]])])).toThrow('the same network');
  expect(() => checkWidths([finished(0.5), { kept: [8, 15] }])).toThrow('received 8,16 and 8,15');
  expect(() => checkWidths([finished(0.5), finished(0.6)])).not.toThrow();
});
