// The one list of native sources is complete, and both build systems know every part of it.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(__dirname, '../..');
const list = JSON.parse(readFileSync(path.join(root, 'native/sources.json'), 'utf8')) as {
  core: string[];
  addon: string[];
  tests: string[];
  instructionSets: { name: string; sources: string[]; flags: { gnu: string[]; msvc: string[] } }[];
};
const listed = [...list.core, ...list.addon, ...list.tests, ...list.instructionSets.flatMap(({ sources }) => sources)];

test('every listed file exists, and none is listed twice', () => {
  expect(listed.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
  expect(new Set(listed).size).toBe(listed.length);
});

test('every C++ file of native/ and test/native/ is listed, but those that consume the library', () => {
  const files = ['native', 'test/native'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(cc|c)$/.test(name) && !/^(consumer|examples)[\\/]/.test(name))
      .map((name) => `${folder}/${name.split(path.sep).join('/')}`),
  );
  expect(files.filter((file) => !listed.includes(file))).toEqual([]);
});

test('binding.gyp has a library for every instruction set with flags, and the script answers for each', () => {
  const gyp = readFileSync(path.join(root, 'binding.gyp'), 'utf8');
  const script = path.join(root, 'scripts/native/sources.mjs');
  const ask = (...args: string[]) =>
    execFileSync(process.execPath, [script, ...args], { encoding: 'utf8' })
      .trim()
      .split('\n');
  for (const { name, sources, flags } of list.instructionSets) {
    // What needs no flags of its own is compiled with the rest.
    expect(gyp).toContain(
      flags.gnu.length > 0 ? `'target_name': 'sieve_${name}'` : `<(sources_script) sources ${name})`,
    );
    expect(ask('sources', name)).toEqual(sources);
    expect(ask('flags', name, 'gnu').filter(Boolean)).toEqual(flags.gnu);
    expect(ask('flags', name, 'msvc').filter(Boolean)).toEqual(flags.msvc);
  }
  expect(ask('sources', 'core')).toEqual(list.core);
});
