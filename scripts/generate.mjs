// Generates src/onnx/proto/generated from src/onnx/proto/onnx.proto. Offline: both programs are devDependencies.
//   node scripts/generate.mjs          write the files
//   node scripts/generate.mjs --check  fail when the committed files are not what the schema gives
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const schemaFolder = path.join(root, 'src/onnx/proto');
const generatedFolder = path.join(schemaFolder, 'generated');
const bin = path.join(root, 'node_modules/.bin');

function generateInto(folder) {
  const template = {
    version: 'v2',
    plugins: [{ local: path.join(bin, 'protoc-gen-es'), out: folder, opt: ['target=ts', 'import_extension=none'] }],
  };
  execFileSync(path.join(bin, 'buf'), ['generate', schemaFolder, '--template', JSON.stringify(template)], {
    cwd: root,
    stdio: 'inherit',
  });
}

const contentsOf = (folder) =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]));

if (process.argv.includes('--check')) {
  const folder = mkdtempSync(path.join(tmpdir(), 'onnx-sieve-generate-'));
  try {
    generateInto(folder);
    if (JSON.stringify(contentsOf(folder)) !== JSON.stringify(contentsOf(generatedFolder))) {
      console.error('src/onnx/proto/generated differs from what the schema gives: run node scripts/generate.mjs');
      process.exitCode = 1;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
} else {
  generateInto(generatedFolder);
}
