import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

/**
 * Whether node_modules under `root` holds what package-lock.json names, whoever installed it. npm keeps what it
 * installed in node_modules/.package-lock.json and writes that last, so an installation that was cut short has none.
 */
export function areDependenciesInstalled(root) {
  const installedFile = path.join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(installedFile)) return false;
  const wanted = readPackages(path.join(root, 'package-lock.json'));
  const installed = readPackages(installedFile);
  return Object.entries(wanted).every(([name, { version, integrity, optional }]) => {
    if (name === '') return true; // the project itself
    const found = installed[name];
    if (found === undefined) return optional === true; // for another platform
    return found.version === version && found.integrity === integrity;
  });
}

function readPackages(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages;
}
