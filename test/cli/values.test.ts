import * as values from '../../src/cli/values';

type Case = readonly [parser: values.ValueParser<unknown>, text: string, value: unknown];

const ACCEPTED: readonly Case[] = [
  [values.number('--x'), '-1.5e-3', -0.0015],
  [values.number('--x'), '.5', 0.5],
  [values.fraction('--flops'), '1', 1],
  [values.fraction('--flops'), '0.001', 0.001],
  [values.integer('--n', 0), '0', 0],
  [values.integer('--n', 1), '2000', 2000],
  [values.byteCount('--bytes'), '1500000', 1500000],
  [values.byteCount('--bytes'), '1.5MB', 1500000],
  [values.byteCount('--bytes'), '2GiB', 2147483648],
  [values.byteCount('--bytes'), '512 kib', 524288],
  [values.byteCount('--bytes'), '10B', 10],
  [values.choice('--c', ['a', 'b']), 'b', 'b'],
  [values.numberList('--mean'), '0.485, 0.456,0.406', [0.485, 0.456, 0.406]],
  [values.numberList('--mean'), '0', [0]],
  [values.nameList('--class-names'), 'cat, red fox', ['cat', 'red fox']],
  [values.imageSize('--size'), '32,48', [32, 48]],
  [values.imageSize('--size'), '224x160', [224, 160]],
  [values.imageSize('--size'), '64', [64, 64]],
  [values.scale('--scale'), '1/255', '1/255'],
  [values.scale('--scale'), ' 1 / 255 ', '1/255'],
  [values.scale('--scale'), '0.0039', 0.0039],
];

const REFUSED: readonly (readonly [parser: values.ValueParser<unknown>, text: string, message: string])[] = [
  [values.number('--x'), '1,5', 'Expected a number for --x but received "1,5"'],
  [values.number('--x'), '5px', 'Expected a number for --x'],
  [values.number('--x'), '', 'Expected a number for --x'],
  [values.number('--x'), '0x10', 'Expected a number for --x'],
  [values.number('--x'), 'Infinity', 'Expected a number for --x'],
  [values.number('--x'), '1e999', 'Expected a number for --x'],
  [values.fraction('--flops'), '0', 'Expected a fraction to keep, above 0 and at most 1'],
  [values.fraction('--flops'), '1.01', 'for --flops but received "1.01"'],
  [values.fraction('--flops'), '-0.5', 'for --flops'],
  [values.fraction('--flops'), '50%', 'for --flops'],
  [values.integer('--samples', 1), '0', 'Expected a whole number, 1 or more for --samples but received "0"'],
  [values.integer('--samples', 1), '1.5', 'for --samples'],
  [values.integer('--samples', 1), '99999999999999999999', 'for --samples'],
  [values.byteCount('--bytes'), '2G', 'Expected a size in bytes'],
  [values.byteCount('--bytes'), '0', 'for --bytes'],
  [values.byteCount('--bytes'), '-5MB', 'for --bytes'],
  [values.byteCount('--bytes'), 'MB', 'for --bytes'],
  [values.choice('--device', ['cpu', 'cuda']), 'CPU', 'Expected one of cpu, cuda for --device but received "CPU"'],
  [values.choice('--device', ['cpu']), 'constructor', 'for --device'],
  [values.numberList('--mean'), '1,,2', 'Expected numbers separated by commas for --mean but received "1,,2"'],
  [values.numberList('--std', (value) => value > 0), '1,0', 'Expected numbers above 0'],
  [values.nameList('--class-names'), 'cat,', 'Expected names separated by commas'],
  [values.imageSize('--size'), '0,32', 'Expected a height and a width in pixels'],
  [values.imageSize('--size'), '32,32,3', 'for --size'],
  [values.scale('--scale'), '1/0', 'Expected a number above 0 or a fraction such as 1/255'],
  [values.scale('--scale'), '1/2/3', 'for --scale'],
  [values.scale('--scale'), '-1', 'for --scale'],
];

test.each(ACCEPTED)('%# takes a value as it is meant: %p', (parser, text, value) => {
  expect(parser(text)).toEqual(value);
});

test.each(REFUSED)('%# refuses what can not be meant and names the option: %p', (parser, text, message) => {
  let failure: unknown;
  try {
    parser(text);
  } catch (error) {
    failure = error;
  }
  expect(failure).toMatchObject({ code: 'ERR_OPTION', category: 'usage' });
  expect((failure as Error).message).toContain(message);
});
