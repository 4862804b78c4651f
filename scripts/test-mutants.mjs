// Can the native tests fail? Builds the core with one bound or certificate wrong at a time (and the AMX kernels
// emulated, so that all backends of x64 run) and shows which test notices. A mutant that survives fails the script, as
// does one whose text is no longer there. Minutes; not part of `npm run test:full`. Names as arguments run these only.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './native/stamp.mjs';

const folder = path.join(root, 'build-mutants');
const sources = path.join(folder, 'sources');
const build = path.join(folder, 'build');
const TESTS = ['bounds_test', 'fuzz_test', 'separation_test'];

const CONDITIONING = 'native/core/conditioning.cc';
const LISTS = 'native/core/candidate_lists.h';
const JUDGE = 'native/core/candidate_judge.cc';
const SEARCH = 'native/core/neighbour_search.cc';
const PRODUCT = 'native/core/tile_product.cc';

/** [name, file, text that occurs once, what takes its place] */
const MUTANTS = [
  ['beta 0', CONDITIONING, 'exact ? 0.0 : 1.01 * (operations', 'exact ? 0.0 : 0.0 * (operations'],
  ['beta halved', CONDITIONING, 'exact ? 0.0 : 1.01 * (operations', 'exact ? 0.0 : 0.5 * (operations'],
  ['eta 0', CONDITIONING, '(count + 1.0) * 0x1p-120', '0.0'],
  ['residuals halved', CONDITIONING, '1.001 * std::sqrt(', '0.5 * std::sqrt('],
  ['residuals less a tenth', CONDITIONING, '1.001 * std::sqrt(', '0.9 * std::sqrt('],
  ['slack 0', CONDITIONING, 'round_up(2.0 * beta * norm + 2.0 * rounding + 2.0 * eta)', '0.0f'],
  ['slack without rounding', CONDITIONING, '+ 2.0 * rounding + 2.0 * eta', '+ 2.0 * eta'],
  ['slack without accumulation', CONDITIONING, '2.0 * beta * norm + 2.0 * rounding', '2.0 * rounding'],
  ['growth 1', CONDITIONING, '(1.0 + quotient) / (1.0 - quotient) *', '1.0 *'],
  ['unit without the quotient', CONDITIONING, 'scale * scale / (1.0 - quotient)', 'scale * scale'],
  ['exact mode to 2^26', CONDITIONING, 'std::ldexp(0x1p22,', 'std::ldexp(0x1p26,'],
  ['chain of float32 halved', PRODUCT, 'std::min(count, kPanelDepth) +', 'std::min(count, kPanelDepth) / 2 +'],
  ['chain of float32: 1', PRODUCT, 'std::min(count, kPanelDepth) +', '0 * std::min(count, kPanelDepth) +'],
  ['chain of 16 bits: 1', PRODUCT, '2 * longest +', '0 * longest +'],
  ['chain of 16 bits by 3', PRODUCT, '2 * longest +', '2 * longest / 3 +'],
  ['AMX sums to 8u', 'test/native/amx_emulation.h', '~uint64_t{0x1fffffff}', '~uint64_t{0x7fffffff}'],
  ['label certificate without the dropped', JUDGE, '(complete || lists_.dropped_label(query) == first)', 'true'],
  ['contenders without tolerance', JUDGE, '8.0 * (static_cast<double>', '0.0 * (static_cast<double>'],
  [
    'lists always complete',
    LISTS,
    'return !(summaries_[query].dropped_lower <= threshold(query));',
    'return query < summaries_.size();',
  ],
  ['last dropped label counts', LISTS, 'summary.dropped_label == label ? label', 'true ? label'],
  ['last dropped bound counts', LISTS, 'std::min(summary.dropped_lower, lower)', 'lower'],
  ['threshold from the nearest', LISTS, 'list[shape_.order - 1].upper', 'list[0].upper'],
  ['one copy too few', SEARCH, 'if (rank >= problem.order) left_out', 'if (rank + 1 >= problem.order) left_out'],
  ['oversized out of reach', SEARCH, '!(gap * gap * (1.0 - 1e-5) > threshold)', 'false'],
  [
    'the sample itself takes a place',
    'native/core/shard_neighbours.cc',
    '(may_meet_itself && !leave_one_out ? 1 : 0)',
    '(may_meet_itself && !leave_one_out ? 0 : 0)',
  ],
];

function run(command, args, options = {}) {
  return spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28, ...options });
}

function compile() {
  const threads = String(os.availableParallelism());
  return run('cmake', ['--build', build, '--parallel', threads, '--target', ...TESTS]);
}

function copySources() {
  rmSync(folder, { recursive: true, force: true }); // objects of an earlier mutant would look up to date
  for (const name of ['CMakeLists.txt', 'LICENSE', 'native', 'test/native']) {
    mkdirSync(path.dirname(path.join(sources, name)), { recursive: true });
    cpSync(path.join(root, name), path.join(sources, name), { recursive: true, preserveTimestamps: true });
  }
  const settings = [
    '-DCMAKE_BUILD_TYPE=Release',
    '-DSIEVE_BUILD_TESTS=ON',
    '-DSIEVE_INSTALL=OFF',
    '-DSIEVE_EMULATE_AMX=ON',
  ];
  const configured = run('cmake', ['-S', sources, '-B', build, ...settings], { stdio: 'inherit' });
  if (configured.status !== 0) throw new Error('cmake could not configure the mutants');
}

/** The first test that fails, with its first words; undefined where all pass. */
function firstFailure() {
  for (const test of TESTS) {
    const { status, signal, stdout } = run(path.join(build, test), [], {
      env: { ...process.env, SIEVE_TEST_TRIMMED: '1' },
      timeout: 600_000,
    });
    if (status === 0) continue;
    const failures = stdout.split('\n').filter((line) => /_(test|check)\.(cc|h):\d+:/.test(line));
    return `${test}: ${failures.length} failures, ${signal ?? failures[0]?.replace(/^.*?: /, '').slice(0, 90) ?? status}`;
  }
  return undefined;
}

/** What came of one mutant; `survived` and `broken` are failures. */
function judge([, file, from, to]) {
  const target = path.join(sources, file);
  const original = readFileSync(target, 'utf8');
  if (original.split(from).length !== 2) return { outcome: 'broken', detail: `"${from}" is not once in ${file}` };
  writeFileSync(
    target,
    original.replace(from, () => to),
  );
  try {
    const { status, stdout } = compile();
    if (status !== 0) return { outcome: 'broken', detail: stdout.slice(-2000) };
    const killer = firstFailure();
    return killer === undefined ? { outcome: 'survived', detail: '' } : { outcome: 'killed', detail: killer };
  } finally {
    writeFileSync(target, original);
  }
}

const asked = process.argv.slice(2);
const chosen = MUTANTS.filter(([name]) => asked.length === 0 || asked.includes(name));
if (asked.length > 0 && chosen.length !== asked.length) {
  console.error(`Expected mutants among ${MUTANTS.map(([name]) => `"${name}"`).join(', ')}`);
  process.exit(2);
}
copySources();
if (compile().status !== 0) throw new Error('the unchanged sources do not compile');
const unchanged = firstFailure();
if (unchanged !== undefined) throw new Error(`the unchanged sources fail: ${unchanged}`);
let failures = 0;
for (const mutant of chosen) {
  const { outcome, detail } = judge(mutant);
  if (outcome !== 'killed') ++failures;
  console.log(`${mutant[0].padEnd(40)}${outcome.padEnd(10)}${detail}`);
}
console.log(`${chosen.length - failures} of ${chosen.length} mutants killed`);
process.exitCode = failures > 0 ? 1 : 0;
