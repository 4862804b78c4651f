import { channelBlockOf } from '../../../src/onnx/training/channelBlock';
import { measureChannelBlock } from './channelBlock';

/** What ReorderInput makes of 16 channels of two sites for a block of `block` channels. */
function blocked(block: number): number[] {
  const result: number[] = [];
  for (let first = 0; first < 16; first += block)
    for (const site of [0, 1])
      for (let channel = first; channel < first + block; channel += 1) result.push(2 * channel + site);
  return result;
}

test('the block is told from the layout', () => {
  expect(channelBlockOf(blocked(8))).toBe(8);
  expect(channelBlockOf(blocked(16))).toBe(16);
  expect(channelBlockOf(blocked(4))).toBeUndefined();
  expect(channelBlockOf(Array.from({ length: 32 }, (_, at) => at))).toBeUndefined();
  expect(channelBlockOf([])).toBeUndefined();
});

test('ONNX Runtime has a block on x64', async () => {
  const block = await measureChannelBlock();
  if (process.arch === 'x64') expect([8, 16]).toContain(block);
  else expect([undefined, 8, 16]).toContain(block);
});
