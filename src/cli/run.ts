import { inspect as describeValue } from 'node:util';
import { isSieveError } from '../errors';
import { printable } from '../report/format';
import { parseCommandLine } from './commandLine';
import { EXIT, exitCodeOf } from './exitCodes';
import type { ExitCode } from './exitCodes';
import { printableLines, renderJson, styleFor } from './output';
import type { TextStream } from './output';
import { createProgress } from './progress';

/** The world of one run: where it prints, and what tells it to stop. */
export interface World {
  readonly stdout: TextStream;
  readonly stderr: TextStream & NodeJS.WritableStream;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/**
 * Runs one command line and resolves to its exit code; never rejects. stdout gets the result and nothing else: text,
 * or with --json one document, which is `{"error": {code, message, remedy, exitCode}}` when the verb failed. Progress,
 * messages and errors for people go to stderr.
 */
export async function runCommandLine(args: readonly string[], world: World): Promise<ExitCode> {
  // Looked up by hand, because what failed may be the parsing.
  const json = hasFlag(args, '--json');
  let stop = (): void => undefined;
  try {
    const parsed = parseCommandLine(args);
    if (parsed.kind === 'text') {
      world.stdout.write(parsed.text);
      return EXIT.done;
    }
    const progress = createProgress(world.stderr, parsed.flags.quiet === true);
    stop = progress.stop;
    const outcome = await parsed.prepared.run({
      signal: world.signal,
      onProgress: progress.onProgress,
      onMessage: progress.onMessage,
      command: ['onnx-sieve', ...args].map(quoteForShell).join(' '),
    });
    stop();
    if (json) world.stdout.write(renderJson(outcome.document, world.stdout.isTTY === true ? 2 : 0));
    else world.stdout.write(outcome.text(styleFor(world.stdout, world.environment)));
    return outcome.exitCode ?? EXIT.done;
  } catch (error) {
    stop();
    // Whatever an interrupted part says about its end, the cause is the interruption.
    const exitCode = world.signal.aborted ? EXIT.interrupted : exitCodeOf(error);
    const described = describeError(error, exitCode);
    const style = styleFor(world.stderr, world.environment);
    world.stderr.write(`${style.red(printableLines(described.message))}\n`);
    if (described.remedy !== undefined) world.stderr.write(`${printable(described.remedy)}\n`);
    if (hasFlag(args, '--debug')) world.stderr.write(`${describeValue(error)}\n`);
    if (json)
      world.stdout.write(renderJson({ error: { ...described, exitCode } }, world.stdout.isTTY === true ? 2 : 0));
    return exitCode;
  }
}

interface DescribedError {
  readonly code: string;
  readonly message: string;
  readonly remedy: string | undefined;
}

function describeError(error: unknown, exitCode: ExitCode): DescribedError {
  if (exitCode === EXIT.interrupted) return { code: 'ERR_CANCELLED', message: 'Interrupted', remedy: undefined };
  if (isSieveError(error)) return { code: error.code, message: error.message, remedy: error.remedy };
  return {
    code: 'ERR_RUNTIME',
    message: `Unexpected failure: ${error instanceof Error ? error.message : String(error)}`,
    remedy: 'Run the same command with --debug to see where it happened, and report it with that output.',
  };
}

function hasFlag(args: readonly string[], flag: string): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes(flag);
}

function quoteForShell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
