import { Option } from 'commander';
import type { Command } from 'commander';
import type { DeviceChoice } from '../types';
import { byteCount, choice, integer } from './values';

/** The flags that every verb takes. */
export interface CommonFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly debug?: boolean;
  readonly device?: DeviceChoice;
  readonly threads?: number;
  readonly seed?: number;
}

/** The flags of verbs that run a model over samples. */
export interface RunFlags {
  readonly samples?: number;
  readonly batch?: number;
  readonly memory?: number;
}

const DEVICES = ['auto', 'cpu', 'cuda', 'webgpu'] as const satisfies readonly DeviceChoice[];

export function addCommonOptions(command: Command): Command {
  return command
    .optionsGroup('Every verb:')
    .addOption(new Option('--json', 'print the result as one JSON document on stdout, and nothing else there'))
    .addOption(new Option('--quiet', 'no progress and no messages'))
    .addOption(
      new Option('--device <name>', `where the model runs: ${DEVICES.join(', ')} (default: auto)`).argParser(
        choice('--device', DEVICES),
      ),
    )
    .addOption(
      new Option('--threads <n>', 'threads to use; 0 (default): as many as there are').argParser(
        integer('--threads', 0),
      ),
    )
    .addOption(
      new Option('--seed <n>', 'everything random follows from it (default: 0)').argParser(integer('--seed', 0)),
    )
    .addOption(new Option('--debug', 'show the stack and the causes of an error'))
    .helpOption('-h, --help', 'show this help');
}

export function addRunOptions(command: Command, defaultSamples: string): Command {
  return command
    .addOption(
      new Option('--samples <n>', `samples used, evenly from every class (default: ${defaultSamples})`).argParser(
        integer('--samples', 1),
      ),
    )
    .addOption(
      new Option('--batch <n>', 'samples a run (default: chosen by the memory budget)').argParser(
        integer('--batch', 1),
      ),
    )
    .addOption(
      new Option('--memory <size>', 'upper bound of the activations held at once (default: 2GiB)').argParser(
        byteCount('--memory'),
      ),
    );
}

/** What the flags say, as the verbs' options take it. Absent flags stay absent: defaults live with the verbs. */
export function readCommon(flags: CommonFlags): { device?: DeviceChoice; threads?: number; seed?: number } {
  return { device: flags.device, threads: flags.threads, seed: flags.seed };
}

export function readRun(flags: RunFlags): { samples?: number; batchSize?: number; memoryBudgetBytes?: number } {
  return { samples: flags.samples, batchSize: flags.batch, memoryBudgetBytes: flags.memory };
}
