import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { SieveError } from '../errors';
import { PACKAGE_NAME, packageRoot } from '../packageRoot';
import type { NativeAddon } from './addon';

const FILE_NAME = 'onnx_sieve.node';

// Bundles for both module systems have __filename: tsup's shims give it to ESM.
const requireFromHere = createRequire(__filename);

let loaded: NativeAddon | undefined;

/**
 * The native addon, loaded once. The environment variable ONNX_SIEVE_ADDON names the file to take and no other;
 * otherwise what was built on this machine comes before a prebuilt one.
 *
 * @throws SieveError ERR_NATIVE_MISSING with every file tried and why it failed, and what to do about it.
 */
export function loadAddon(): NativeAddon {
  return (loaded ??= loadFirst(candidates()));
}

function candidates(): readonly string[] {
  const override = process.env.ONNX_SIEVE_ADDON;
  if (override !== undefined && override !== '') return [path.resolve(override)];
  const root = packageRoot().folder;
  return [
    path.join(root, 'build', 'Release', FILE_NAME),
    path.join(root, 'build', 'Debug', FILE_NAME),
    path.join(root, 'prebuilds', `${process.platform}-${process.arch}`, FILE_NAME),
  ];
}

function loadFirst(files: readonly string[]): NativeAddon {
  const failures: { readonly file: string; readonly cause: unknown }[] = [];
  for (const file of files) {
    if (!existsSync(file)) {
      failures.push({ file, cause: new Error('there is no such file') });
      continue;
    }
    try {
      return requireFromHere(file) as NativeAddon;
    } catch (cause) {
      failures.push({ file, cause });
    }
  }
  const reasons = failures.map(({ file, cause }) => `  ${file}: ${firstLine(cause)}`).join('\n');
  throw new SieveError(
    'ERR_NATIVE_MISSING',
    `Expected the native addon for ${process.platform}-${process.arch} (Node ${process.versions.node}) but none could be loaded:\n${reasons}`,
    {
      cause: new AggregateError(failures.map(({ cause }) => cause)),
      remedy:
        `Run \`npm rebuild ${PACKAGE_NAME}\` (in a checkout: \`npm run build\`); it needs a C++17 compiler and CMake 3.20 or newer. ` +
        `If npm blocks install scripts (npm 12 does), run \`npm approve-scripts ${PACKAGE_NAME}\` first.`,
    },
  );
}

function firstLine(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split('\n', 1)[0] ?? message;
}
