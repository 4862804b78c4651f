import { Presets, SingleBar } from 'cli-progress';
import { formatSeconds, printable } from '../report/format';
import type { ProgressEvent } from '../types';
import type { TextStream } from './output';

/** Shows how far a verb is. `stop` must be called before anything else is printed and before the process ends. */
export interface Progress {
  readonly onProgress: (event: ProgressEvent) => void;
  readonly onMessage: (text: string) => void;
  readonly stop: () => void;
}

/** Bars where a person watches, plain lines where the output is kept, nothing with `quiet`. */
export function createProgress(stream: TextStream & NodeJS.WritableStream, quiet: boolean): Progress {
  if (quiet) return { onProgress: () => undefined, onMessage: () => undefined, stop: () => undefined };
  return stream.isTTY === true ? createBars(stream) : createLines(stream);
}

const LINE_STEP = 0.1;
const LINE_PAUSE_MS = 1000;
/** Shorter stages leave no line behind on a terminal. */
const LISTED_SECONDS = 0.5;

/**
 * One line when a stage begins and one when it ends; between them one every tenth, at most one a second. A stage
 * that begins anew (the same pass over another part) is announced again only by the lines of a long run.
 */
export function createLines(stream: TextStream, now: () => number = () => performance.now()): Progress {
  interface Stage {
    startedMs: number;
    printed: number;
    ended: boolean;
    runs: number;
  }
  const stages = new Map<string, Stage>();
  let lastLineMs = Number.NEGATIVE_INFINITY;
  const line = (text: string): void => {
    lastLineMs = now();
    stream.write(`${printable(text)}\n`);
  };
  const begin = (stage: string, fraction: number, detail: string): void => {
    stages.set(stage, { startedMs: now(), printed: fraction, ended: fraction >= 1, runs: 1 });
    line(`${stage}${detail}${fraction >= 1 ? ': done' : ''}`);
  };
  return {
    onProgress: ({ stage, fraction, message }) => {
      const detail = message === undefined ? '' : ` (${message})`;
      const known = stages.get(stage);
      if (known === undefined) {
        begin(stage, fraction, detail);
        return;
      }
      if (fraction < known.printed || (known.ended && fraction < 1)) {
        Object.assign(known, { startedMs: now(), printed: fraction, ended: false, runs: known.runs + 1 });
      }
      const waited = now() - lastLineMs >= LINE_PAUSE_MS;
      if (fraction >= 1) {
        const due = known.runs === 1 || (waited && now() - known.startedMs >= LINE_PAUSE_MS);
        if (due && !known.ended) line(`${stage}: done after ${formatSeconds((now() - known.startedMs) / 1000)}`);
        known.ended = true;
      } else if (waited && fraction >= known.printed + LINE_STEP) {
        known.printed = fraction;
        line(`${stage}: ${Math.floor(100 * fraction)} %${detail}`);
      }
    },
    onMessage: line,
    stop: () => undefined,
  };
}

/** A bar for the current stage, a line for each stage that is over. Messages are written above the bar. */
function createBars(stream: NodeJS.WritableStream): Progress {
  const bar = new SingleBar(
    {
      stream,
      format: '{bar} {percentage}% {stage} {detail}',
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      // Interruption is handled in one place, for every verb.
      gracefulExit: false,
      fps: 10,
    },
    Presets.shades_classic,
  );
  let current: { readonly stage: string; readonly startedMs: number; fraction: number; detail: string } | undefined;
  const show = ({ stage, fraction, detail }: NonNullable<typeof current>): void =>
    bar.start(1, fraction, { stage, detail });
  const finish = (): void => {
    if (current === undefined) return;
    bar.stop();
    const seconds = (performance.now() - current.startedMs) / 1000;
    if (seconds >= LISTED_SECONDS) stream.write(`✓ ${current.stage} ${formatSeconds(seconds)}\n`);
    current = undefined;
  };
  return {
    onProgress: (event) => {
      const stage = printable(event.stage);
      const detail = printable(event.message ?? '');
      if (current?.stage === stage) {
        Object.assign(current, { fraction: event.fraction, detail });
        bar.update(event.fraction, { detail });
        return;
      }
      finish();
      current = { stage, startedMs: performance.now(), fraction: event.fraction, detail };
      show(current);
    },
    onMessage: (text) => {
      if (current !== undefined) bar.stop();
      stream.write(`${printable(text)}\n`);
      if (current !== undefined) show(current);
    },
    stop: finish,
  };
}
