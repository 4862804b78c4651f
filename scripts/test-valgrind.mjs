// The addon's error paths under valgrind's memcheck (test/binding/valgrindCalls.cjs). Node itself makes plenty of
// reports; one fails the check where a frame of it lies in the addon: invalid reads and writes, uses of what was never
// written, invalid frees, and memory that the addon allocated and nothing points to any more. Takes the addon that tests
// take: build/Release, or what ONNX_SIEVE_ADDON names.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './native/stamp.mjs';

const addon = path.resolve(process.env.ONNX_SIEVE_ADDON || path.join(root, 'build', 'Release', 'onnx_sieve.node'));
if (!existsSync(addon)) {
  console.error(`Expected the addon at "${addon}" but found none: run \`npm run build\``);
  process.exit(2);
}

// Leaks are told by `kind`; "possibly lost" is what node's thread stacks look like.
const LEAKS = new Set(['Leak_DefinitelyLost', 'Leak_IndirectlyLost']);
const IGNORED = new Set(['Leak_PossiblyLost', 'Leak_StillReachable']);

// A promise can be settled only while its environment runs; of one that ended first Node keeps these few bytes.
const LOST_BY_NODE = 'napi_create_promise';

const ENTITIES = { '&lt;': '<', '&gt;': '>', '&amp;': '&' };
const text = (xml, tag) =>
  (new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(xml)?.[1] ?? '').replace(/&(lt|gt|amp);/g, (entity) => ENTITIES[entity]);

/** What the addon has to answer for among valgrind's errors, as printable text. */
function errorsOfAddon(xml) {
  return [...xml.matchAll(/<error>([\s\S]*?)<\/error>/g)].flatMap(([, error]) => {
    const kind = text(error, 'kind');
    if (IGNORED.has(kind)) return [];
    // The first stack is where it happened; those behind are where the memory was allocated or freed, or a value made.
    const stacks = [...error.matchAll(/<stack>([\s\S]*?)<\/stack>/g)].map(([, stack]) => frames(stack));
    const blamed = LEAKS.has(kind) ? stacks.slice(0, 1) : stacks;
    if (!blamed.some((stack) => stack.some(({ object }) => object === path.basename(addon)))) return [];
    if (LEAKS.has(kind) && stacks[0].some(({ name }) => name === LOST_BY_NODE)) return [];
    const what = text(error, 'what') || text(error, 'text');
    const lines = stacks[0].slice(0, 12).map(({ name, place }) => `    ${name} ${place}`);
    return [[`${kind}: ${what}`, ...lines].join('\n')];
  });
}

function frames(stack) {
  return [...stack.matchAll(/<frame>([\s\S]*?)<\/frame>/g)].map(([, frame]) => {
    const file = text(frame, 'file');
    return {
      object: path.basename(text(frame, 'obj')),
      name: text(frame, 'fn') || text(frame, 'ip'),
      place: file === '' ? `(${path.basename(text(frame, 'obj'))})` : `(${file}:${text(frame, 'line')})`,
    };
  });
}

const folder = mkdtempSync(path.join(os.tmpdir(), 'onnx-sieve-valgrind-'));
try {
  const report = path.join(folder, 'report.%p.xml');
  const { status, signal, stderr } = spawnSync(
    'valgrind',
    [
      ...['--tool=memcheck', '--leak-check=full', '--xml=yes', `--xml-file=${report}`, '--num-callers=40'],
      // V8 writes code while it runs; its interpreter alone makes less of it and is no slower here.
      ...['--smc-check=all-non-file', '--fair-sched=yes', '--error-limit=no', '--undef-value-errors=yes'],
      ...[process.execPath, '--jitless', '--expose-gc', path.join(root, 'test', 'binding', 'valgrindCalls.cjs'), addon],
    ],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'inherit', 'pipe'],
      maxBuffer: 2 ** 28,
      env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
    },
  );
  const reports = readdirSync(folder).map((name) => readFileSync(path.join(folder, name), 'utf8'));
  if (status !== 0 || reports.length === 0) {
    console.error(`valgrind ended with ${signal ?? `exit code ${status}`}\n${stderr}`);
    process.exitCode = 1;
  }
  // Cut off in the middle, it would be no report.
  if (!reports.every((xml) => xml.includes('</valgrindoutput>')))
    throw new Error('Expected a whole report of valgrind');
  const errors = reports.flatMap(errorsOfAddon);
  const all = reports.join('').match(/<error>/g)?.length ?? 0;
  for (const error of errors) console.error(error);
  console.log(`valgrind: ${errors.length} errors of the addon (${all - errors.length} of node alone)`);
  if (errors.length > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
