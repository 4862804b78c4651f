import {
  formatBytes,
  formatCount,
  formatNumber,
  formatPercent,
  formatPoints,
  formatQuantity,
  formatRatio,
  formatSeconds,
  printable,
  shorten,
} from '../../src/report/format';
import { renderMarkdownTable } from '../../src/report/markdown';

test('numbers as people read them', () => {
  expect(formatCount(269722)).toBe('269,722');
  expect(formatQuantity(40813184)).toBe('40.8 M');
  expect(formatQuantity(999)).toBe('999');
  expect(formatQuantity(999999)).toBe('1.00 M');
  expect(formatQuantity(0)).toBe('0');
  expect(formatBytes(1117389)).toBe('1.07 MiB');
  expect(formatBytes(1023)).toBe('1023 B');
  expect(formatPercent(0.88125)).toBe('88.13 %');
  expect(formatPercent(Number.NaN)).toBe('–');
  expect(formatPoints(-0.0125)).toBe('−1.25');
  expect(formatPoints(0.02)).toBe('+2.00');
  expect(formatPoints(-0.00001)).toBe('±0.00');
  expect(formatRatio(1.284)).toBe('1.28×');
  expect(formatNumber(0.01234)).toBe('0.0123');
  expect(formatNumber(5410.4)).toBe('5,410');
  expect(formatNumber(0)).toBe('0');
  expect(formatSeconds(2.25)).toBe('2.3 s');
  expect(formatSeconds(95.3)).toBe('1 min 35 s');
  expect(formatSeconds(7500)).toBe('2 h 5 min');
});

test('names from models can not steer a terminal or reorder text', () => {
  expect(printable('a\u001b[31mred\u0007')).toBe('a\\u{1b}[31mred\\u{7}');
  expect(printable('one\r\ntwo')).toBe('one two');
  expect(printable('\u202egnp')).toBe('\\u{202e}gnp');
  expect(printable('größer 層')).toBe('größer 層');
});

test('long names keep their end', () => {
  expect(shorten('layer1.0.conv1', 20)).toBe('layer1.0.conv1');
  expect(shorten('/layer1/layer1.0/conv1', 10)).toBe('…1.0/conv1');
});

test('Markdown tables are aligned and escape what Markdown would interpret', () => {
  expect(
    renderMarkdownTable(
      [{ title: 'Name' }, { title: 'Top-1', align: 'right' }],
      [
        ['a|b', '88.1 %'],
        ['<b>', '7 %'],
      ],
    ),
  ).toBe(['| Name |  Top-1 |', '| ---- | -----: |', '| a\\|b | 88.1 % |', '| \\<b> |    7 % |', ''].join('\n'));
});
