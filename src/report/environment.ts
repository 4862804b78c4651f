import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';

/** Where a measurement was made: enough to judge whether two of them may be compared. */
export interface EnvironmentDescription {
  readonly cpuModel: string;
  /** Logical processors this process may use. */
  readonly cpuThreads: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly node: string;
  /** This package's version. */
  readonly version: string;
  /** `undefined` where the package can not be found. */
  readonly onnxruntime: string | undefined;
}

export function describeEnvironment(): EnvironmentDescription {
  return {
    cpuModel: cpus()[0]?.model.trim() ?? 'unknown',
    cpuThreads: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${platform()} ${release()} ${arch()}`,
    node: process.versions.node,
    version: packageVersion(),
    onnxruntime: installedVersion('onnxruntime-node'),
  };
}

/** The version in this package's own package.json, the nearest one above this file with its name. */
export function packageVersion(): string {
  for (let folder = dirname(__filename); ; folder = dirname(folder)) {
    const manifest = readManifest(join(folder, 'package.json'));
    if (manifest?.name === 'onnx-sieve') return manifest.version;
    if (dirname(folder) === folder) return 'unknown';
  }
}

function installedVersion(name: string): string | undefined {
  for (const folder of createRequire(__filename).resolve.paths(name) ?? []) {
    const manifest = readManifest(join(folder, name, 'package.json'));
    if (manifest !== undefined) return manifest.version;
  }
  return undefined;
}

function readManifest(path: string): { name: string; version: string } | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  return JSON.parse(text) as { name: string; version: string };
}
