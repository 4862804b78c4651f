#!/usr/bin/env node
import { exitNow } from '../binding/exit';
import { EXIT } from './exitCodes';
import { runCommandLine } from './run';

const controller = new AbortController();

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The first asks for an orderly end; who asks twice does not want to wait for it.
    if (controller.signal.aborted) exitNow(EXIT.interrupted);
    controller.abort(signal);
  });
}

// A reader that went away (`| head`) wants no more output; the work itself, such as writing a model, still ends well.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exit(EXIT.runtime);
  });
}

void runCommandLine(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  signal: controller.signal,
}).then((exitCode) => {
  process.exitCode = exitCode;
  // Both streams may still hold output for a slow reader. What else keeps the process alive is not waited for.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(exitCode)));
});
