import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { RULED_OPERATORS } from '../../../src/onnx/channels/rules';
import { SUPPORTED_OPSETS } from '../../../src/onnx/support';

const DOCUMENT = readFileSync(resolve(__dirname, '../../../docs/operators.md'), 'utf8');

/** Names in the first column of the tables. */
function documentedOperators(): string[] {
  const rows = DOCUMENT.split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map((match) => match[1] ?? ''));
}

test('docs/operators.md lists every operator that has a rule, once, and no other', () => {
  expect(documentedOperators().sort()).toEqual([...RULED_OPERATORS].sort());
});

test('docs/operators.md names the operator sets that are taken', () => {
  const { first, last } = SUPPORTED_OPSETS;
  expect(DOCUMENT).toContain(`operator sets ${first} to ${last}`);
  expect(DOCUMENT.replaceAll('\n', ' ')).toContain(`operator sets below ${first} or above ${last}`);
});
