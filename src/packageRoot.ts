import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SieveError } from './errors';

export const PACKAGE_NAME = 'onnx-sieve';

export interface PackageRoot {
  /** Folder of this package's own package.json. */
  readonly folder: string;
  readonly version: string;
}

/**
 * Finds the package's own folder, from src, from dist or from wherever a bundle lies inside the package.
 *
 * @throws SieveError ERR_RUNTIME where the code was bundled away from its package.
 */
export function packageRoot(): PackageRoot {
  for (let folder = __dirname; ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file)) {
      const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string };
      if (name === PACKAGE_NAME) return { folder, version: version ?? 'unknown' };
    }
    if (folder === dirname(folder)) {
      throw new SieveError(
        'ERR_RUNTIME',
        `Expected the package.json of ${PACKAGE_NAME} above "${__dirname}" but found none`,
        { remedy: `Keep ${PACKAGE_NAME} out of your bundle: mark it as external.` },
      );
    }
  }
}
