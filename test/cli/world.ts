import { Writable } from 'node:stream';
import type { World } from '../../src/cli/run';

/** Keeps what was written; a terminal only where `isTTY` says so. */
export class Capture extends Writable {
  text = '';
  readonly columns = 100;
  constructor(readonly isTTY = false) {
    super({
      write: (chunk: Buffer, _encoding, done) => {
        this.text += chunk.toString();
        done();
      },
    });
  }
}

export interface FakeWorld extends World {
  readonly stdout: Capture;
  readonly stderr: Capture;
  readonly controller: AbortController;
}

export function fakeWorld(
  options: { readonly isTTY?: boolean; readonly environment?: NodeJS.ProcessEnv } = {},
): FakeWorld {
  const controller = new AbortController();
  return {
    stdout: new Capture(options.isTTY),
    stderr: new Capture(options.isTTY),
    environment: options.environment ?? {},
    signal: controller.signal,
    controller,
  };
}
