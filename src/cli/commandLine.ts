import { Command, CommanderError } from 'commander';
import { SieveError } from '../errors';
import { packageRoot } from '../packageRoot';
import { analyzeVerb } from './commands/analyze';
import { benchVerb } from './commands/bench';
import { compressVerb } from './commands/compress';
import { demoVerb } from './commands/demo';
import { doctorVerb } from './commands/doctor';
import { evaluateVerb } from './commands/evaluate';
import { finetuneVerb } from './commands/finetune';
import { inspectVerb } from './commands/inspect';
import type { CommonFlags } from './options';
import type { Prepared, Verb } from './verb';

const VERBS: readonly Verb[] = [
  inspectVerb,
  analyzeVerb,
  compressVerb,
  finetuneVerb,
  evaluateVerb,
  benchVerb,
  doctorVerb,
  demoVerb,
];

/** What a command line asks for: to run a verb, or to print a text (help, version) and end. */
export type Parsed =
  | { readonly kind: 'run'; readonly verb: string; readonly flags: CommonFlags; readonly prepared: Prepared }
  | { readonly kind: 'text'; readonly text: string };

/**
 * Reads the arguments after the program's name. Nothing runs and nothing is printed here.
 * Errors: ERR_USAGE (unknown verb or option, something missing), ERR_OPTION (a value that can not be meant).
 */
export function parseCommandLine(args: readonly string[]): Parsed {
  let parsed: Parsed | undefined;
  let printed = '';
  const program = new Command('onnx-sieve')
    .description('Makes CNN classifiers smaller and faster from their .onnx file alone, with the Separation Index.')
    .version(packageRoot().version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [verb]', 'show the help of a verb')
    .usage('<verb> [options]')
    .showSuggestionAfterError(true)
    .addHelpText('after', EPILOGUE);
  for (const entry of VERBS) {
    const command = entry.define();
    command.action(() => {
      const prepared = entry.prepare(command);
      parsed = { kind: 'run', verb: command.name(), flags: command.opts<CommonFlags>(), prepared };
    });
    program.addCommand(command);
  }
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .allowExcessArguments(false)
      .configureOutput({
        writeOut: (text) => (printed += text),
        writeErr: () => undefined,
        getOutHelpWidth: () => 100,
      });
  }
  if (args.length === 0) {
    throw new SieveError('ERR_USAGE', 'Expected a verb but received nothing', {
      remedy: `Run one of ${VERB_NAMES.join(', ')}; "onnx-sieve --help" explains them.`,
    });
  }
  try {
    program.parse([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { kind: 'text', text: printed };
    throw usageError(error, args[0]!);
  }
  if (parsed === undefined) return { kind: 'text', text: printed };
  return parsed;
}

export const VERB_NAMES: readonly string[] = VERBS.map((entry) => entry.define().name());

const EPILOGUE = `
Exit codes:
  0 done   1 the budget or tolerance could not be met   2 wrong usage
  3 the model or the data can not be used   4 a device or runtime failed   130 interrupted

Start with:
  $ onnx-sieve doctor                 what this machine offers
  $ onnx-sieve demo                   the whole method, without any data of yours
  $ onnx-sieve inspect model.onnx     what can be cut`;

/** Puts commander's messages into the one phrase of all validation errors. */
function usageError(error: CommanderError, first: string): SieveError {
  const help = VERB_NAMES.includes(first) ? `onnx-sieve ${first} --help` : 'onnx-sieve --help';
  const [line = '', suggestion] = error.message.split('\n');
  const quoted = /'([^']*)'/.exec(line)?.[1] ?? '';
  const phrases: Record<string, string> = {
    'commander.unknownOption': `Expected a known option but received "${quoted}"`,
    'commander.unknownCommand': `Expected a known verb but received "${quoted}"`,
    'commander.missingArgument': `Expected a value for <${quoted}> but received nothing`,
    'commander.optionMissingArgument': `Expected a value for "${quoted}" but received nothing`,
    'commander.excessArguments': `Expected fewer arguments: ${line.replace(/^error: /, '')}`,
  };
  const guess = /\(Did you mean (.*)\?\)/.exec(suggestion ?? '')?.[1];
  return new SieveError('ERR_USAGE', phrases[error.code] ?? line.replace(/^error: /, ''), {
    cause: error,
    remedy: `${guess === undefined ? '' : `Did you mean ${guess}? `}Run "${help}".`,
  });
}
