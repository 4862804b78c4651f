import { rmSync } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { throwIfAborted } from '../../errors';
import type { LabelledData } from './data';
import { PeerFailure, PeerProcess } from './peerProcess';
import type { PeerTrial } from './peerProcess';
import type { Contender } from './rounds';
import { medians } from './rounds';
import type { MissingPeer, PeerMeasurement, Timing } from './types';

/** What peer.py knows, by its names. All but the last search the nearest other row; that one only multiplies. */
export const PEERS = ['faiss IndexFlatL2', 'scikit-learn brute', 'torch mm + argmin', 'numpy sgemm alone'] as const;

/** Two libraries that round differently may disagree about near-ties; more than that is another computation. */
const SI_TOLERANCE = 1e-3;

/** OpenBLAS and OpenMP let idle threads spin for some 20 ms before they sleep. */
const SETTLE_MS = 50;

/** The interpreters to try: the environment variable PYTHON and no other, else the usual one and the distribution's. */
function interpreters(): readonly string[] {
  const chosen = process.env.PYTHON;
  return chosen === undefined || chosen === '' ? ['python3', '/usr/bin/python3'] : [chosen];
}

interface RunningPeer {
  readonly name: string;
  readonly version: string;
  readonly process: PeerProcess;
  readonly indices: number[];
  failure?: string;
}

/** The peers of one case: processes that have its data and wait. */
export class PeerGroup {
  private constructor(
    private readonly shape: { readonly rows: number; readonly dims: number },
    private readonly running: readonly RunningPeer[],
    private readonly missing: readonly MissingPeer[],
  ) {}

  /**
   * Starts every peer that this machine has on `data`. The file they read it from is gone when this returns.
   *
   * @throws SieveError ERR_CANCELLED; nothing is left running then.
   */
  static async start(data: LabelledData, threads: number, signal: AbortSignal | undefined): Promise<PeerGroup> {
    const shape = { rows: data.rows, dims: data.dims };
    const folder = await mkdtemp(join(tmpdir(), 'onnx-sieve-bench-'));
    const remove = (): void => rmSync(folder, { recursive: true, force: true });
    process.on('exit', remove);
    try {
      const file = join(folder, 'data.bin');
      await writeData(file, data, signal);
      const started = await Promise.all(PEERS.map((name) => startPeer(name, { file, ...shape, threads }, signal)));
      const group = new PeerGroup(
        shape,
        started.flatMap((peer) => ('process' in peer ? [peer] : [])),
        started.flatMap((peer) => ('notMeasured' in peer ? [{ ...peer, ...shape }] : [])),
      );
      if (signal?.aborted === true) await group.close();
      throwIfAborted(signal);
      return group;
    } finally {
      await rm(folder, { recursive: true, force: true });
      process.off('exit', remove);
    }
  }

  /** A peer that fails takes no further part; the others go on. */
  contenders(signal: AbortSignal | undefined): readonly Contender[] {
    return this.running.map((peer) => ({
      name: peer.name,
      run: async (): Promise<Timing> => {
        if (peer.failure === undefined) {
          try {
            const { si, ...timing }: PeerTrial = await peer.process.trial();
            if (si !== undefined) peer.indices.push(si);
            return timing;
          } catch (error) {
            throwIfAborted(signal);
            peer.failure = error instanceof Error ? error.message : String(error);
          }
        }
        return { cpuSeconds: Number.NaN, wallSeconds: Number.NaN };
      },
    }));
  }

  settle = (): Promise<unknown> => pause(SETTLE_MS);

  /** `timings` in the order of `contenders`; `ours` are the backends' CPU seconds and `si` their answer. */
  results(
    timings: readonly (readonly Timing[])[],
    ours: readonly { readonly backend: string; readonly cpuSeconds: number }[],
    si: number | undefined,
  ): readonly (PeerMeasurement | MissingPeer)[] {
    const { rows, dims } = this.shape;
    const measured = this.running.map((peer, i): PeerMeasurement | MissingPeer => {
      const { name, version, failure, indices } = peer;
      if (failure !== undefined) return { name, rows, dims, notMeasured: failure };
      const { cpuSeconds, wallSeconds } = medians(timings[i]!);
      const ratio = Object.fromEntries(ours.map((own) => [own.backend, cpuSeconds / own.cpuSeconds]));
      const gflops = (2 * rows * rows * dims) / wallSeconds / 1e9;
      const found = { name, version, rows, dims, trials: timings[i]!.length, cpuSeconds, wallSeconds, gflops, ratio };
      if (indices.length === 0) return found;
      const agrees = si !== undefined && indices.every((index) => Math.abs(index - si) <= SI_TOLERANCE);
      return { ...found, si: indices[0]!, ...(si !== undefined && { siAgrees: agrees }) };
    });
    return [...measured, ...this.missing];
  }

  async close(): Promise<void> {
    await Promise.all(this.running.map((peer) => peer.process.close()));
  }
}

/** The first interpreter that has the library. Never rejects. */
async function startPeer(
  name: string,
  input: { readonly file: string; readonly rows: number; readonly dims: number; readonly threads: number },
  signal: AbortSignal | undefined,
): Promise<RunningPeer | { readonly name: string; readonly notMeasured: string }> {
  const reasons: string[] = [];
  for (const python of interpreters()) {
    try {
      const { peer, version } = await PeerProcess.start(python, name, input, signal);
      return { name, version, process: peer, indices: [] };
    } catch (error) {
      if (!(error instanceof PeerFailure)) throw error;
      reasons.push(error.message);
      if (signal?.aborted === true) break;
    }
  }
  return { name, notMeasured: reasons.join('; ') };
}

/** float32 features, then int32 labels, in this machine's byte order. */
async function writeData(path: string, { features, labels }: LabelledData, signal?: AbortSignal): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    for (const part of [features, labels]) {
      const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
      for (let offset = 0; offset < bytes.byteLength;) {
        throwIfAborted(signal);
        offset += (await file.write(bytes, offset, Math.min(bytes.byteLength - offset, 1 << 24))).bytesWritten;
      }
    }
  } finally {
    await file.close();
  }
}
