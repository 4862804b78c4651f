import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { GRADIENT_RULES } from '../../../src/onnx/training/rules';

const DOCUMENT = readFileSync(resolve(__dirname, '../../../docs/training.md'), 'utf8');

/** Names in the first column of the table under "Operators". */
function documentedOperators(): string[] {
  const [, section = ''] = DOCUMENT.split('\n## Operators that gradients pass\n');
  const rows = (section.split('\n## ')[0] ?? '').split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map((match) => match[1] ?? ''));
}

test('docs/training.md lists every operator that has a gradient, once, and no other', () => {
  expect(documentedOperators().sort()).toEqual(Object.keys(GRADIENT_RULES).sort());
});
