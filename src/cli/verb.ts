import type { Command } from 'commander';
import type { ProgressListener } from '../types';
import type { ExitCode } from './exitCodes';
import type { CommonFlags } from './options';
import type { Style } from './output';

/** What a verb may use while it runs. */
export interface RunContext {
  readonly signal: AbortSignal;
  readonly onProgress: ProgressListener;
  readonly onMessage: (text: string) => void;
  /** The command as it was typed, ready to be typed again. */
  readonly command: string;
}

/** What a verb found: the same result for programs and for people. */
export interface Outcome {
  readonly document: unknown;
  readonly text: (style: Style) => string;
  /** 0 where it is left out. */
  readonly exitCode?: ExitCode;
}

/**
 * One verb of the command line. `define` declares arguments and flags, `read` turns what was typed into the request
 * (plain data; throws ERR_USAGE or ERR_OPTION), `run` hands the request to src/compress.
 */
export interface VerbDefinition<Flags extends CommonFlags, Request> {
  readonly define: () => Command;
  readonly read: (positional: readonly string[], flags: Flags) => Request;
  readonly run: (request: Request, context: RunContext) => Promise<Outcome>;
}

/** A verb's request, read and ready. */
export interface Prepared {
  readonly request: unknown;
  readonly run: (context: RunContext) => Promise<Outcome>;
}

export interface Verb {
  readonly define: () => Command;
  readonly prepare: (command: Command) => Prepared;
}

/** Hides the types of one verb's flags and request, so that all verbs fit in one list. */
export function verb<Flags extends CommonFlags, Request>(definition: VerbDefinition<Flags, Request>): Verb {
  return {
    define: definition.define,
    prepare: (command) => {
      const positional = command.processedArgs.filter((value): value is string => typeof value === 'string');
      const request = definition.read(positional, command.opts<Flags>());
      return { request, run: (context) => definition.run(request, context) };
    },
  };
}
