import { createRandom } from '../../../src/random';
import { type ImageFormat, imageLength } from '../../../src/recovery/training/images';
import { applyMix, checkMix, drawBeta, drawMix } from '../../../src/recovery/training/mix';
import { codeOf } from '../../support/errors';
import { at, randomPixels } from './images';

const FORMAT: ImageFormat = { layout: 'NHWC', channels: 3, height: 12, width: 10 };
const LENGTH = imageLength(FORMAT);
const COUNT = 5;
const CLASSES = 4;

function batch(): { images: Float32Array; targets: Float32Array } {
  const targets = new Float32Array(COUNT * CLASSES);
  for (let row = 0; row < COUNT; row++) targets[row * CLASSES + (row % CLASSES)] = 1;
  return { images: randomPixels(FORMAT, COUNT), targets };
}

test('mixup blends each image and its targets with its mirror position', () => {
  const before = batch();
  const after = batch();
  const share = 0.7;
  applyMix({ kind: 'mixup', share }, after.images, after.targets, FORMAT, COUNT);
  for (const [values, old, length] of [
    [after.images, before.images, LENGTH],
    [after.targets, before.targets, CLASSES],
  ] as const) {
    for (let row = 0; row < COUNT; row++) {
      for (let index = 0; index < length; index++) {
        const own = old[row * length + index]!;
        const other = old[(COUNT - 1 - row) * length + index]!;
        // The one in the middle is its own mirror and stays as it is.
        expect(values[row * length + index]).toBeCloseTo(share * own + (1 - share) * other, 4);
      }
    }
  }
});

test('cutmix swaps a box, and the targets by its area', () => {
  const random = createRandom(6);
  for (let draw = 0; draw < 50; draw++) {
    const mix = drawMix(random, { cutmix: 1 }, FORMAT)!;
    if (mix.kind !== 'cutmix') throw new Error('drew something else');
    const before = batch();
    const after = batch();
    applyMix(mix, after.images, after.targets, FORMAT, COUNT);
    const { top, left, bottom, right } = mix.box;
    expect(mix.share).toBeCloseTo(1 - ((bottom - top) * (right - left)) / 120, 12);
    for (let row = 0; row < COUNT; row++) {
      for (let y = 0; y < FORMAT.height; y++) {
        for (let x = 0; x < FORMAT.width; x++) {
          const inside = y >= top && y < bottom && x >= left && x < right;
          const from = inside ? COUNT - 1 - row : row;
          const index = at(FORMAT, 1, y, x);
          expect(after.images[row * LENGTH + index]).toBe(before.images[from * LENGTH + index]);
        }
      }
      const total = after.targets.subarray(row * CLASSES, (row + 1) * CLASSES).reduce((sum, value) => sum + value, 0);
      expect(total).toBeCloseTo(1, 6);
    }
    expect(after.targets[1 * CLASSES + 1]).toBeCloseTo(mix.share, 6);
    expect(after.targets[1 * CLASSES + 3]).toBeCloseTo(1 - mix.share, 6);
  }
});

test('Beta(α, α) has its mean, variance and quartiles', () => {
  for (const alpha of [0.05, 0.2, 1, 3]) {
    const random = createRandom(7);
    const draws = Float64Array.from({ length: 40_000 }, () => drawBeta(random, alpha));
    const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length;
    const variance = draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / draws.length;
    expect(mean).toBeCloseTo(0.5, 1.7);
    // Five standard errors of a variance of at most 1/4.
    expect(Math.abs(variance - 1 / (4 * (2 * alpha + 1)))).toBeLessThan(0.005);
    if (alpha === 1) expect(draws.filter((value) => value < 0.25).length / draws.length).toBeCloseTo(0.25, 1.7);
    expect(draws.every((value) => value >= 0 && value <= 1)).toBe(true);
  }
});

test('with both, each batch takes one of them', () => {
  const random = createRandom(9);
  const kinds = Array.from({ length: 400 }, () => drawMix(random, { mixup: 0.2, cutmix: 1 }, FORMAT)!.kind);
  const mixups = kinds.filter((kind) => kind === 'mixup').length;
  expect(Math.abs(mixups - 200)).toBeLessThan(60);
  expect(drawMix(random, {}, FORMAT)).toBeUndefined();
});

test('concentrations must be positive', () => {
  for (const value of [0, -1, NaN]) {
    expect(codeOf(() => checkMix({ mixup: value }))).toBe('ERR_OPTION');
    expect(codeOf(() => checkMix({ cutmix: value }))).toBe('ERR_OPTION');
  }
});
