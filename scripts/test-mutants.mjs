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

const CONDITIONING = 'native/core/conditioning.cc';
const LISTS = 'native/core/candidate_lists.h';
const JUDGE = 'native/core/candidate_judge.cc';
const SEARCH = 'native/core/neighbour_search.cc';
const PRODUCT = 'native/core/tile_product.cc';

const CENTER_PRODUCTS = 'native/core/center_products.cc';
const CENTER_SEARCH = 'native/core/center_search.cc';
const CENTER_MARGINS = 'native/core/center_margins.cc';
const WALK = 'native/core/selection_walk.cc';
const BALLS = 'native/core/selection_balls.cc';
const GREEDY = 'native/core/selection_greedy.cc';
const STREAM_CANDIDATES = 'native/core/column_stream_candidates.cc';
const STREAM_PRODUCTS = 'native/core/column_stream_products.cc';

/** Of nearest neighbours. [name, file, text that occurs once, what takes its place] */
const NEIGHBOUR_MUTANTS = [
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

/** Of the nearest class means, for all columns (search) and for sets of filters (margins). */
const CENTER_MUTANTS = [
  ['CSI: products exact', CENTER_PRODUCTS, 'product_share_ = 2.02 * (', 'product_share_ = 0.0 * ('],
  [
    'CSI: chain of products 0',
    CENTER_PRODUCTS,
    'product_share_ = 2.02 * (chain',
    'product_share_ = 2.02 * (0.0 * chain',
  ],
  ['CSI: a fifth of the bound', CENTER_PRODUCTS, 'product_share_ = 2.02 * (', 'product_share_ = 0.4 * ('],
  ['CSI: reference exact', CENTER_PRODUCTS, 'reference_share_ = (', 'reference_share_ = 0.0 * ('],
  ['CSI: nothing below the normal range', CENTER_PRODUCTS, 'underflow_ = (', 'underflow_ = 0.0 * ('],
  ['CSI: norms of centres 0', CENTER_PRODUCTS, 'std::sqrt(square_norms[c]) * (1.0 + 0x1p-20)', '0.0'],
  [
    'CSI: least upper bound without the bound',
    CENTER_SEARCH,
    'std::min(least_upper, upper)',
    'std::min(least_upper, estimate)',
  ],
  ['CSI: lower bounds without the bound', CENTER_SEARCH, 'lower_[c] = estimate - bound', 'lower_[c] = estimate'],
  ['CSI: overflow decides', CENTER_SEARCH, 'limit_ = finite ? least_upper : kInfinity', 'limit_ = least_upper'],
  ['CSI: ties to the highest class', CENTER_SEARCH, 'if (distances[lane] >= least)', 'if (distances[lane] > least)'],
  [
    'CSI: contenders left out',
    CENTER_SEARCH,
    'if (lower_[c] <= limit_) wanted[',
    'if (lower_[c] < limit_ * 0.999999) wanted[',
  ],
  ['CSI: margins rounded without a bound', CENTER_MARGINS, 'kRounding = 4.0 * 0x1p-24', 'kRounding = 0.0'],
  ['CSI: margins with no bound of their terms', CENTER_MARGINS, '(term_bounds[q] + 2.0', '(0.0 * term_bounds[q] + 2.0'],
  ['CSI: hits without a bound', CENTER_MARGINS, 'hit = least[q] > bound', 'hit = least[q] > 0.0f'],
  ['CSI: misses without a bound', CENTER_MARGINS, '!(least[q] < -bound)', '!(least[q] < 0.0f)'],
];

/** Of the forward selection's balls. */
const SELECTION_MUTANTS = [
  ['balls: no slack', WALK, '+ ball.slack)', '+ 0.0f * ball.slack)'],
  ['balls: always large enough', WALK, 'if (!(ball.radius > reach) || visited', 'if (visited'],
  ['balls: grow twice as fast', WALK, '(least_upper - nearest + eta)', '(least_upper - 2.0 * nearest + eta)'],
  ['balls: only the nearest contends', WALK, 'if (distances_[i] <= limit)', 'if (distances_[i] <= smallest_.back())'],
  ['balls: the first contenders are the nearest', WALK, 'found.back().distance == 0.0', 'found.back().distance >= 0.0'],
  ['balls: filled without slack', BALLS, 'std::max(bounds.slacks[queries[i]], largest_slack)', '0.0f * largest_slack'],
  [
    'balls: no smaller radius for fewer members',
    BALLS,
    'radius = std::min(radius, last->distance)',
    'radius = std::max(radius, last->distance)',
  ],
  [
    'balls: age without growing',
    GREEDY,
    'ball.members[i].distance += added[i]',
    'ball.members[i].distance += 0.0f * added[i]',
  ],
  ['balls: the radius grows twice', GREEDY, 'ball.radius += nearest[query]', 'ball.radius += 2.0f * nearest[query]'],
  [
    'balls: what an abandoned candidate could add',
    GREEDY,
    'candidate.possible -= problem_.order - earned',
    'candidate.possible -= problem_.order',
  ],
  [
    'balls: equals go to the highest filter',
    GREEDY,
    'credit == other_credit && filter < other_filter',
    'credit == other_credit && filter > other_filter',
  ],
];

/** Of columns that come in blocks. */
const STREAM_MUTANTS = [
  [
    'columns: chain of one block',
    STREAM_PRODUCTS,
    'longest_panel_ + panels_, conditioning',
    'longest_panel_, conditioning',
  ],
  [
    'columns: chain of the blocks alone',
    STREAM_PRODUCTS,
    'longest_panel_ + panels_, conditioning',
    'panels_, conditioning',
  ],
  ['columns: exact to 2^26', STREAM_PRODUCTS, 'kLargestExactNorm = 0x1p22', 'kLargestExactNorm = 0x1p26'],
  ['columns: products keep their scale', STREAM_PRODUCTS, 'std::ldexp(1.0f, 2 * step)', 'std::ldexp(1.0f, 0 * step)'],
  [
    'columns: norms keep their scale',
    STREAM_PRODUCTS,
    'norm = std::ldexp(norm, 2 * change)',
    'norm = std::ldexp(norm, 0 * change)',
  ],
  ['columns: nothing oversized', STREAM_PRODUCTS, 'oversized_[row] = 1', 'oversized_[row] = 0'],
  [
    'columns: upper bounds without slack',
    STREAM_CANDIDATES,
    '(bounds_.slacks[query] + bounds_.slacks[reference])',
    '0.0f * (bounds_.slacks[query] + bounds_.slacks[reference])',
  ],
  [
    'columns: label certificate without the dropped',
    STREAM_CANDIDATES,
    '(complete || lists_.dropped_label(query) == first)',
    'true',
  ],
  ['columns: lists always complete', STREAM_CANDIDATES, 'complete = lists_.complete(query)', 'complete = true'],
  [
    'columns: one copy too few',
    STREAM_CANDIDATES,
    'size_t rank = answers.order; rank <',
    'size_t rank = answers.order - 1; rank <',
  ],
  ['columns: oversized out of reach', STREAM_CANDIDATES, '!(gap * gap * (1.0 - 1e-5) > threshold)', 'false'],
];

const GROUPS = [
  { tests: ['bounds_test', 'separation_test', 'fuzz_test'], mutants: NEIGHBOUR_MUTANTS },
  { tests: ['center_test', 'filters_test'], mutants: CENTER_MUTANTS },
  { tests: ['filters_test'], mutants: SELECTION_MUTANTS },
  { tests: ['column_stream_test'], mutants: STREAM_MUTANTS },
];
const MUTANTS = GROUPS.flatMap(({ tests, mutants }) =>
  mutants.map(([name, file, from, to]) => ({ name, file, from, to, tests })),
);

function run(command, args, options = {}) {
  return spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28, ...options });
}

function compile(tests) {
  const threads = String(os.availableParallelism());
  return run('cmake', ['--build', build, '--parallel', threads, '--target', ...tests]);
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
function firstFailure(tests) {
  for (const test of tests) {
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
function judge({ file, from, to, tests }) {
  const target = path.join(sources, file);
  const original = readFileSync(target, 'utf8');
  if (original.split(from).length !== 2) return { outcome: 'broken', detail: `"${from}" is not once in ${file}` };
  writeFileSync(
    target,
    original.replace(from, () => to),
  );
  try {
    const { status, stdout } = compile(tests);
    if (status !== 0) return { outcome: 'broken', detail: stdout.slice(-2000) };
    const killer = firstFailure(tests);
    return killer === undefined ? { outcome: 'survived', detail: '' } : { outcome: 'killed', detail: killer };
  } finally {
    writeFileSync(target, original);
  }
}

const asked = process.argv.slice(2);
const chosen = MUTANTS.filter(({ name }) => asked.length === 0 || asked.includes(name));
if (asked.length > 0 && chosen.length !== asked.length) {
  console.error(`Expected mutants among ${MUTANTS.map(({ name }) => `"${name}"`).join(', ')}`);
  process.exit(2);
}
copySources();
const used = [...new Set(chosen.flatMap(({ tests }) => tests))];
if (compile(used).status !== 0) throw new Error('the unchanged sources do not compile');
const unchanged = firstFailure(used);
if (unchanged !== undefined) throw new Error(`the unchanged sources fail: ${unchanged}`);
let failures = 0;
for (const mutant of chosen) {
  const { outcome, detail } = judge(mutant);
  if (outcome !== 'killed') ++failures;
  console.log(`${mutant.name.padEnd(50)}${outcome.padEnd(10)}${detail}`);
}
console.log(`${chosen.length - failures} of ${chosen.length} mutants killed`);
process.exitCode = failures > 0 ? 1 : 0;
