// The pure parts of compare-criteria.mjs: which finished run answers a task, and what the table says of the runs.

/** Whether a run that was kept answers a task: everything that decides its result is the same. */
function answers(task, entry) {
  const names = new Set([...Object.keys(task), ...Object.keys(entry.task ?? {})]);
  return [...names].every((name) => entry.task?.[name] === task[name]);
}

/**
 * A row of the table from its runs, those of all seeds for each recovery. The networks before the cut are the same in
 * all of them, or the row compares what can not be compared.
 */
function rowOf(runsByRecovery) {
  const runs = runsByRecovery.flat();
  const [{ before, after }] = runs;
  const other = runs.find((run) => run.before.top1 !== before.top1 || run.before.macs !== before.macs);
  if (other !== undefined) throw differing('network before the cut', describe(before), describe(other.before));
  const mean = (list) => list.reduce((sum, run) => sum + run.after.top1, 0) / list.length;
  return { before, macsLeft: after.macs / before.macs, top1: runsByRecovery.map(mean) };
}

/** What all rows were before the cut; the table has one line for it. */
function beforeOf(rows) {
  const [first, ...others] = rows.map(({ before }) => before);
  const other = others.find(({ top1 }) => top1 !== first.top1);
  if (other !== undefined) throw differing('network before the cut', describe(first), describe(other));
  return first;
}

/** Criteria are compared at equal widths only. */
function checkWidths(runs) {
  const [first, other] = new Set(runs.map(({ kept }) => kept.join()));
  if (other !== undefined) throw differing('widths for all criteria', first, other);
}

const describe = ({ top1, macs }) => `top-1 ${top1} at ${macs} MACs`;

function differing(what, first, second) {
  return new Error(`Expected the same ${what} but received ${first} and ${second}`);
}

module.exports = { answers, rowOf, beforeOf, checkWidths };
