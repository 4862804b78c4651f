import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../packageRoot';

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
    version: packageRoot().version,
    onnxruntime: installedVersion('onnxruntime-node'),
  };
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
