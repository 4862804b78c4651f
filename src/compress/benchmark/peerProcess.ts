import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { packageRoot } from '../../packageRoot';
import type { Timing } from './types';

/** What a peer works on: a file as peer.py describes it. */
export interface PeerInput {
  readonly file: string;
  readonly rows: number;
  readonly dims: number;
  readonly threads: number;
}

export interface PeerTrial extends Timing {
  readonly si?: number;
}

/** Why a peer can not be measured, in words for the user. */
export class PeerFailure extends Error {}

const KEPT_OUTPUT = 4096;

/** The package ships src/assets, so the path is the same as in a checkout. */
const script = (): string => join(packageRoot().folder, 'src', 'assets', 'bench', 'peer.py');

/**
 * A peer in a Python process of its own, which waits until it is asked for a trial. It ends with `close`, and by itself
 * when this process ends in whatever way, because its stdin does too.
 */
export class PeerProcess {
  private readonly lines: AsyncIterator<string>;
  private readonly closed: Promise<unknown>;
  private errors = '';
  private failure: Error | undefined;

  private constructor(private readonly child: ChildProcessWithoutNullStreams) {
    this.closed = once(child, 'close').catch((error: Error) => (this.failure ??= error));
    child.on('error', (error) => (this.failure ??= error));
    // A process that has died can not be asked; its end is reported where the answer is missing.
    child.stdin.on('error', (error) => (this.failure ??= error));
    child.stderr.on('data', (text: Buffer) => (this.errors = (this.errors + text.toString()).slice(-KEPT_OUTPUT)));
    this.lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    process.on('exit', this.kill);
  }

  /**
   * Starts `name` under the interpreter `python` and waits until it has read its input.
   *
   * @throws PeerFailure where the interpreter or the library is missing, or the process fails.
   */
  static async start(
    python: string,
    name: string,
    { file, rows, dims, threads }: PeerInput,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly peer: PeerProcess; readonly version: string }> {
    const limit = String(threads);
    const limits = { OMP_NUM_THREADS: limit, OPENBLAS_NUM_THREADS: limit, MKL_NUM_THREADS: limit };
    const child = spawn(python, [script(), name, file, ...[rows, dims, threads].map(String)], {
      env: { ...process.env, ...limits, PYTHONDONTWRITEBYTECODE: '1' },
    });
    const peer = new PeerProcess(child);
    signal?.addEventListener('abort', peer.kill, { once: true });
    if (signal?.aborted === true) peer.kill();
    void peer.closed.then(() => signal?.removeEventListener('abort', peer.kill));
    try {
      const { version, missing } = (await peer.answer()) as { version?: string; missing?: string };
      if (version === undefined) throw new PeerFailure(`${python}: ${missing ?? 'it did not tell its version'}`);
      return { peer, version };
    } catch (error) {
      await peer.close();
      if (error instanceof PeerFailure) throw error;
      throw new PeerFailure(`${python}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /** One search. @throws Error where the process fails. */
  async trial(): Promise<PeerTrial> {
    this.child.stdin.write('\n');
    return (await this.answer()) as PeerTrial;
  }

  /** Ends the process and waits until it is gone. */
  async close(): Promise<void> {
    this.kill();
    await this.closed;
    process.off('exit', this.kill);
  }

  private readonly kill = (): void => {
    this.child.kill('SIGKILL');
  };

  private async answer(): Promise<unknown> {
    const line = await this.lines.next();
    if (line.done !== true) return JSON.parse(line.value);
    await this.closed;
    if (this.failure !== undefined) throw this.failure;
    const reason = this.errors.trim().split('\n').at(-1) ?? '';
    throw new Error(
      reason === '' ? `it ended with ${this.child.signalCode ?? `exit code ${this.child.exitCode}`}` : reason,
    );
  }
}
