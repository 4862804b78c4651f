import { selectChannels, slotFeatures } from '../../src/compress/slotFeatures';

const iota = (length: number) => Float32Array.from({ length }, (_, index) => index);

describe('slotFeatures', () => {
  test('uses a [N, C, H, W] activation in place where every channel is its own slot', () => {
    const activation = iota(2 * 3 * 4);
    const result = slotFeatures(activation, [2, 3, 2, 2], 1, [0, 1, 2], 3);
    expect(result.features).toBe(activation);
    expect(result).toMatchObject({ rows: 2, slots: 3, dims: 4 });
  });

  test('uses a flattened activation in place, each slot with its whole map', () => {
    const activation = iota(2 * 6);
    const result = slotFeatures(activation, [2, 6], 1, [0, 0, 0, 1, 1, 1], 2);
    expect(result.features).toBe(activation);
    expect(result).toMatchObject({ slots: 2, dims: 3 });
  });

  test('reorders and leaves out positions of other groups', () => {
    const result = slotFeatures(iota(2 * 4 * 2), [2, 4, 1, 2], 1, [1, -1, 0, -1], 2);
    expect([...result.features]).toEqual([4, 5, 0, 1, 12, 13, 8, 9]);
  });

  test('gathers channels that lie last', () => {
    const result = slotFeatures(iota(1 * 2 * 3), [1, 2, 3], 2, [0, 1, 2], 3);
    expect([...result.features]).toEqual([0, 3, 1, 4, 2, 5]);
  });

  test('fills a slot with fewer positions up with zeros', () => {
    const result = slotFeatures(iota(3), [1, 3], 1, [0, 0, 1], 2);
    expect([...result.features]).toEqual([0, 1, 2, 0]);
  });
});

test('selectChannels keeps the chosen indices in order', () => {
  expect([...selectChannels(iota(12), [2, 3, 2], 1, [2, 0])]).toEqual([4, 5, 0, 1, 10, 11, 6, 7]);
  const all = iota(4);
  expect(selectChannels(all, [2, 2], 1, [0, 1])).toBe(all);
});
