import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/** Debian's interpreter carries the oracles; another python3 first in PATH may not. */
const PYTHON = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

/** undefined where the modules are there, else the reason to print. */
export function pythonLacks(modules: string): string | undefined {
  const { status, stderr, error } = spawnSync(PYTHON, ['-c', `import ${modules}`], { encoding: 'utf8' });
  if (status === 0) return undefined;
  return `python3 with ${modules} is missing: ${error?.message ?? stderr.trim().split('\n').at(-1) ?? ''}`;
}

export function python(script: string, args: readonly string[] = []): string {
  return execFileSync(PYTHON, ['-c', script, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
}

/** A file beside the project that is there on machines that have the real data, else undefined. */
export function sharedFile(path: string): string | undefined {
  const file = resolve(__dirname, '../../../../shared', path);
  return existsSync(file) ? file : undefined;
}
