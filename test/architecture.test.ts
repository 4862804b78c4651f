import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import * as ts from 'typescript';

const ROOT = resolve(__dirname, '..');
const SOURCE = join(ROOT, 'src');

/** Layers from the top down; a file may import from its own folder and from layers BELOW its own, nothing else. */
const LAYERS: readonly (readonly string[])[] = [
  ['cli'],
  ['index.ts'],
  ['compress'],
  ['report', 'recovery', 'activations', 'separation', 'onnx'],
  ['binding'],
  ['random.ts', 'files.ts', 'packageRoot.ts'],
  ['errors.ts', 'types.ts'],
];

/** Packages that only these files may import. */
const OWNERS: readonly { readonly package: RegExp; readonly owner: RegExp }[] = [
  { package: /^onnxruntime-/, owner: /^activations\/(session|trainingSession|providers)\w*\.ts$/ },
  { package: /^@bufbuild\//, owner: /^onnx\/proto\// },
  { package: /^sharp$/, owner: /^activations\/datasets\// },
  { package: /^(commander|cli-progress|picocolors)$/, owner: /^cli\// },
];

interface Import {
  readonly from: string;
  readonly to: string;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sourceFiles(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

function importsOf(path: string): Import[] {
  const { importedFiles } = ts.preProcessFile(readFileSync(path, 'utf8'), true, true);
  return importedFiles.map(({ fileName }) => ({
    from: relative(SOURCE, path),
    to: fileName.startsWith('.') ? relative(SOURCE, resolve(dirname(path), fileName)) : fileName,
  }));
}

const part = (path: string): string => path.split('/')[0] ?? path;
const layerOf = (name: string): number =>
  LAYERS.findIndex((layer) => layer.includes(name) || layer.includes(`${name}.ts`));

const files = sourceFiles(SOURCE);
const imports = files.flatMap(importsOf);
const inner = imports.filter(
  ({ to }) =>
    !to.startsWith('node:') && (files.includes(join(SOURCE, `${to}.ts`)) || to.includes('/')) && layerOf(part(to)) >= 0,
);

test('every file of src belongs to a layer', () => {
  expect(files.map((path) => part(relative(SOURCE, path))).filter((name) => layerOf(name) < 0)).toEqual([]);
  expect(inner.length).toBeGreaterThan(20);
});

test('imports point one way, and siblings never import each other', () => {
  const wrong = inner.filter(({ from, to }) => part(from) !== part(to) && layerOf(part(to)) <= layerOf(part(from)));
  expect(wrong).toEqual([]);
});

test('each foreign package is imported by its one owner', () => {
  const wrong = imports.filter(({ from, to }) =>
    OWNERS.some((rule) => rule.package.test(to) && !rule.owner.test(from)),
  );
  expect(wrong).toEqual([]);
});

test('no file has grown past one responsibility', () => {
  const long = files
    .filter((path) => !path.includes('/generated/'))
    .filter((path) => readFileSync(path, 'utf8').split('\n').length > 600);
  expect(long).toEqual([]);
});
