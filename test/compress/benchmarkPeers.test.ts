import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchmark } from '../../src/compress/benchmark/benchmark';
import { makeData } from '../../src/compress/benchmark/data';
import { PEERS } from '../../src/compress/benchmark/peers';
import type { BenchmarkOptions, PeerMeasurement } from '../../src/compress/benchmark/types';
import { separationIndex } from '../../src/separation';
import { hasPython } from '../support/python';

jest.setTimeout(60_000);

const SMALL: BenchmarkOptions = {
  rows: 300,
  dims: 20,
  repeats: 2,
  threads: 2,
  kernels: ['separationIndex'],
  data: 'clustered',
  peers: true,
};
const before = { PYTHON: process.env.PYTHON, TMPDIR: process.env.TMPDIR };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sieve-peers-'));
  process.env.TMPDIR = folder;
});
afterEach(() => {
  for (const [name, value] of Object.entries(before)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  rmSync(folder, { recursive: true });
});

/** Puts a shell script in the interpreter's place; "$2" is the name of the peer. */
function pretend(script: string): void {
  const file = join(folder, 'python');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  process.env.PYTHON = file;
}

/** What the run has left behind in its temporary folder. */
const leftFiles = (): readonly string[] => readdirSync(folder).filter((name) => name !== 'python' && name !== 'pids');

/** Those of the processes that wrote their number to `pids` which still run. */
function leftProcesses(): readonly number[] {
  const started = readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n').map(Number);
  expect(started.length).toBeGreaterThan(0);
  return started.filter((pid) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  });
}

const ANSWER = (si: number): string => `echo '{"cpuSeconds": 0.5, "wallSeconds": 0.25, "si": ${si}}'`;

test('without Python every peer is listed with the reason', async () => {
  process.env.PYTHON = join(folder, 'no-such-python');
  const { results, peers } = await benchmark(SMALL);
  expect(results.length).toBeGreaterThan(0);
  expect(peers).toHaveLength(PEERS.length);
  for (const [i, peer] of peers!.entries()) {
    expect(peer).toEqual({
      name: PEERS[i],
      rows: 300,
      dims: 20,
      notMeasured: expect.stringContaining('ENOENT') as unknown,
    });
  }
  expect(leftFiles()).toEqual([]);
});

test('only the kernel that peers have is compared with them', async () => {
  process.env.PYTHON = join(folder, 'no-such-python');
  expect((await benchmark({ ...SMALL, kernels: ['centerSeparationIndex'] })).peers).toEqual([]);
  expect((await benchmark({ ...SMALL, order: 2 })).peers).toEqual([]);
});

test('a peer that dies takes no part, one that finds something else is named', async () => {
  const { features, labels } = await makeData('clustered', 300, 20, 0, undefined);
  const { si } = await separationIndex(features, labels, { rows: 300, dims: 20 });
  pretend(`
    echo $$ >> "${join(folder, 'pids')}"
    case "$2" in
      faiss*) echo '{"missing": "No module named faiss"}'; exit ;;
      scikit*) echo '{"version": "1"}'; read line; echo 'Traceback' >&2; echo 'MemoryError' >&2; exit 1 ;;
      torch*) echo '{"version": "2"}'; while read line; do ${ANSWER(si - 0.0011)}; done ;;
      *) echo '{"version": "3"}'; while read line; do ${ANSWER(si + 0.0009)}; done ;;
    esac`);
  const { peers, results } = await benchmark(SMALL);
  const shape = { rows: 300, dims: 20 };
  const [faiss, sklearn, torch, numpy] = PEERS.map((name) => peers!.find((peer) => peer.name === name));
  expect(faiss).toEqual({
    name: PEERS[0],
    ...shape,
    notMeasured: expect.stringMatching(/No module named faiss$/) as unknown,
  });
  expect(sklearn).toEqual({ name: PEERS[1], ...shape, notMeasured: 'MemoryError' });
  const times = { cpuSeconds: 0.5, wallSeconds: 0.25, trials: 2 };
  expect(torch).toMatchObject({ version: '2', ...shape, ...times, si: si - 0.0011, siAgrees: false });
  expect(numpy).toMatchObject({ version: '3', ...times, si: si + 0.0009, siAgrees: true });
  const { ratio } = torch as PeerMeasurement;
  expect(ratio).toEqual(Object.fromEntries(results.map(({ backend, cpuSeconds }) => [backend, 0.5 / cpuSeconds])));
  expect(leftFiles()).toEqual([]);
  expect(leftProcesses()).toEqual([]);
});

test.each([
  ['while peers start', `exec sleep 1000`],
  ['while a peer searches', `echo '{"version": "1"}'; read line; exec sleep 1000`],
])('an abort %s leaves no file and no process', async (_, script) => {
  pretend(`echo $$ >> "${join(folder, 'pids')}"\n${script}`);
  const controller = new AbortController();
  const running = benchmark({ ...SMALL, signal: controller.signal });
  const pids = join(folder, 'pids');
  const timer = setInterval(() => {
    if (!existsSync(pids) || readFileSync(pids, 'utf8').split('\n').length <= PEERS.length) return;
    clearInterval(timer);
    setTimeout(() => controller.abort(), 300);
  }, 20);
  await expect(running).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  expect(leftFiles()).toEqual([]);
  expect(leftProcesses()).toEqual([]);
});

test('peers find what the kernels find', async () => {
  if (!hasPython('numpy', 'faiss', 'sklearn', 'torch')) return;
  process.env.PYTHON = process.env.SIEVE_TEST_PYTHON ?? '/usr/bin/python3';
  const { peers } = await benchmark({ ...SMALL, data: 'random' });
  expect(peers!.map(({ name }) => name)).toEqual(PEERS);
  for (const peer of peers!) {
    expect(peer).toMatchObject({
      rows: 300,
      dims: 20,
      trials: 2,
      version: expect.stringMatching(/^\d+\.\d+/) as unknown,
    });
    const { cpuSeconds, wallSeconds, si, siAgrees } = peer as PeerMeasurement;
    expect(cpuSeconds).toBeGreaterThan(0);
    expect(wallSeconds).toBeGreaterThan(0);
    expect([si === undefined, siAgrees]).toEqual(peer.name === PEERS.at(-1) ? [true, undefined] : [false, true]);
  }
  expect(leftFiles()).toEqual([]);
});
