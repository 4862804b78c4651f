import { createHash } from 'node:crypto';
import { renderedDataset } from '../../src/activations/datasets/rendered';
import {
  RENDERED_CLASS_NAMES,
  RENDERED_SIDE,
  renderedLabel,
  renderSample,
  type RenderedSplit,
} from '../../src/activations/datasets/renderedImage';
import { bell, sampleRandom, unitVector } from '../../src/activations/datasets/renderedRandom';
import { randomShape, SHAPE_NAMES, type InsideTest } from '../../src/activations/datasets/renderedShapes';
import type { SieveError } from '../../src/errors';
import { createRandom } from '../../src/random';

const SPLITS: readonly RenderedSplit[] = ['train', 'calibration', 'test'];
const GOLDEN = ['c6763817b1d51ea8', '75f9f351db783a1c', '5a6549936da37614'];

function digest(split: RenderedSplit, seed: number, count: number): string {
  const hash = createHash('sha256');
  for (let index = 0; index < count; index++) hash.update(renderSample(split, index, seed).pixels);
  return hash.digest('hex').slice(0, 16);
}

describe('renderSample', () => {
  // The shipped network was trained on these pixels: a change here needs a new training run (docs/demo.md).
  test('draws the recorded bytes', () => {
    expect(SPLITS.map((split) => digest(split, 1, 100))).toEqual(GOLDEN);
  });

  test('does not depend on what was drawn before', () => {
    const alone = renderSample('test', 57, 3).pixels;
    renderSample('train', 12, 3);
    renderSample('test', 58, 3);
    expect(renderSample('test', 57, 3).pixels).toEqual(alone);
  });

  test('never repeats an image, within a split, between splits or between seeds', () => {
    const seen = new Set<string>();
    for (const seed of [0, 1, 2, -1, 2 ** 40]) {
      for (const split of SPLITS) {
        for (let index = 0; index < 15; index++) {
          seen.add(Buffer.from(renderSample(split, index, seed).pixels).toString('base64'));
        }
      }
    }
    expect(seen.size).toBe(5 * SPLITS.length * 15);
  });

  test('uses the range of a byte without clipping most of it', () => {
    let clipped = 0;
    let sum = 0;
    for (let index = 0; index < 80; index++) {
      for (const value of renderSample('train', index, 5).pixels) {
        sum += value;
        if (value === 0 || value === 255) clipped++;
      }
    }
    const values = 80 * RENDERED_SIDE * RENDERED_SIDE * 3;
    expect(sum / values).toBeGreaterThan(90);
    expect(sum / values).toBeLessThan(165);
    expect(clipped / values).toBeLessThan(0.15);
  });
});

describe('renderedDataset', () => {
  test('is an image source with balanced classes', async () => {
    const source = renderedDataset({ split: 'calibration', size: 50, seed: 9 });
    expect(source.count).toBe(50);
    expect(source.classNames).toEqual(RENDERED_CLASS_NAMES);
    const perClass = new Array<number>(10).fill(0);
    for (const label of source.labels) perClass[label]!++;
    expect(perClass).toEqual(new Array<number>(10).fill(5));

    const image = await source.read(23);
    const { label, pixels } = renderSample('calibration', 23, 9);
    expect(image).toEqual({ kind: 'pixels', width: 32, height: 32, channels: 3, layout: 'HWC', data: pixels });
    expect(source.labels[23]).toBe(label);
    expect(renderedLabel(23)).toBe(label);
    expect(source.name(23)).toContain('23');
  });

  test('lets the event loop turn between images', async () => {
    const source = renderedDataset({ split: 'test', size: 100 });
    let turns = 0;
    let reading = true;
    const turn = (): void => {
      turns++;
      if (reading) setImmediate(turn);
    };
    setImmediate(turn);
    for (let index = 0; index < source.count; index++) await source.read(index);
    reading = false;
    expect(turns).toBeGreaterThanOrEqual(90);
  });

  test.each([
    [{ split: 'test', size: 0 }, 'size'],
    [{ split: 'test', size: 1.5 }, 'size'],
    [{ split: 'test', size: 2 ** 21 + 1 }, 'size'],
    [{ split: 'test', size: 10, seed: 0.5 }, 'seed'],
    [{ split: 'test', size: 10, seed: NaN }, 'seed'],
  ] as const)('refuses %p', (options, subject) => {
    let message = '';
    try {
      renderedDataset(options);
    } catch (error) {
      message = `${(error as SieveError).code}: ${(error as SieveError).message}`;
    }
    expect(message).toMatch(/^ERR_OPTION: Expected an integer/);
    expect(message).toContain(subject);
  });
});

describe('shapes', () => {
  /** Share of a fine grid over [−1.2, 1.2]² that lies inside, as an area. */
  function area(inside: InsideTest): number {
    const cells = 120;
    let hits = 0;
    for (let row = 0; row < cells; row++) {
      for (let column = 0; column < cells; column++) {
        if (inside(((column + 0.5) / cells) * 2.4 - 1.2, ((row + 0.5) / cells) * 2.4 - 1.2)) hits++;
      }
    }
    return (hits / (cells * cells)) * 2.4 * 2.4;
  }

  // The areas follow from geometry; the grid is off by about its cell times the outline's length.
  test.each([
    ['disk', Math.PI],
    ['square', 2],
    ['triangle', (3 * Math.sqrt(3)) / 4],
    ['hexagon', (3 * Math.sqrt(3)) / 2],
  ] as const)('%s has its area', (name, expectedArea) => {
    expect(area(randomShape(name, createRandom(1)))).toBeCloseTo(expectedArea, 1);
  });

  test.each(SHAPE_NAMES)('%s lies within the unit circle and is not empty', (name) => {
    for (let seed = 0; seed < 20; seed++) {
      const inside = randomShape(name, createRandom(seed));
      expect(area(inside)).toBeGreaterThan(0.4);
      let outside = 0;
      for (let step = 0; step < 360; step++) {
        const angle = (step / 180) * Math.PI;
        for (const radius of [1.000001, 1.1, 2]) {
          if (!inside(radius * Math.cos(angle), radius * Math.sin(angle))) outside++;
        }
      }
      expect(outside).toBe(360 * 3);
    }
  });

  test('a star has five equal points', () => {
    const inside = randomShape('star', createRandom(4));
    const turn = (2 * Math.PI) / 5;
    let differences = 0;
    for (let u = -1; u <= 1; u += 0.02) {
      for (let v = -1; v <= 1; v += 0.02) {
        const turnedU = u * Math.cos(turn) - v * Math.sin(turn);
        const turnedV = u * Math.sin(turn) + v * Math.cos(turn);
        if (inside(u, v) !== inside(turnedU, turnedV)) differences++;
      }
    }
    expect(differences).toBeLessThan(5);
  });

  test.each(['stripes', 'checker'] as const)('%s fills about half of its outline', (name) => {
    let total = 0;
    for (let seed = 0; seed < 30; seed++) total += area(randomShape(name, createRandom(seed)));
    const meanOutline = (Math.PI + 2 + (3 * Math.sqrt(3)) / 2) / 3;
    expect(total / 30 / meanOutline).toBeGreaterThan(0.4);
    expect(total / 30 / meanOutline).toBeLessThan(0.6);
  });
});

describe('the draws of a picture', () => {
  test('bell has mean 0 and variance 1', () => {
    const random = createRandom(7);
    let sum = 0;
    let squares = 0;
    for (let draw = 0; draw < 100_000; draw++) {
      const value = bell(random);
      sum += value;
      squares += value * value;
    }
    expect(Math.abs(sum / 100_000)).toBeLessThan(0.02);
    expect(squares / 100_000).toBeCloseTo(1, 1);
  });

  test('unitVector has length 1 and no favoured quadrant', () => {
    const random = createRandom(8);
    const quadrants = [0, 0, 0, 0];
    let worst = 0;
    for (let draw = 0; draw < 20_000; draw++) {
      const [x, y] = unitVector(random);
      worst = Math.max(worst, Math.abs(x * x + y * y - 1));
      quadrants[(x > 0 ? 1 : 0) + (y > 0 ? 2 : 0)]!++;
    }
    expect(worst).toBeLessThan(1e-15);
    for (const count of quadrants) expect(Math.abs(count - 5000)).toBeLessThan(300);
  });

  test('samples next to each other start with unrelated numbers', () => {
    const firsts = Array.from({ length: 20_000 }, (_, index) => sampleRandom(1, 0, index).uniform());
    expect(new Set(firsts).size).toBe(20_000);
    const mean = firsts.reduce((sum, value) => sum + value, 0) / 20_000;
    let covariance = 0;
    let variance = 0;
    for (let index = 0; index < 19_999; index++) {
      covariance += (firsts[index]! - mean) * (firsts[index + 1]! - mean);
      variance += (firsts[index]! - mean) ** 2;
    }
    expect(Math.abs(covariance / variance)).toBeLessThan(0.03);
  });
});
