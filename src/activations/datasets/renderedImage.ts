import type { Random } from '../../random';
import { bell, between, sampleRandom, unitVector } from './renderedRandom';
import { checker, randomShape, SHAPE_NAMES, stripes, type InsideTest } from './renderedShapes';

export type RenderedSplit = 'train' | 'calibration' | 'test';

/** Height and width of a rendered image, in pixels. */
export const RENDERED_SIDE = 32;
export const RENDERED_CLASS_NAMES: readonly string[] = SHAPE_NAMES;

const SPLITS: readonly RenderedSplit[] = ['train', 'calibration', 'test'];

/** Sub-pixel positions, along each axis, at which a pixel asks whether it lies inside a shape. */
const SUB_PIXELS = [1 / 6, 1 / 2, 5 / 6] as const;
const HITS_PER_PIXEL = SUB_PIXELS.length * SUB_PIXELS.length;
const PIXELS = RENDERED_SIDE * RENDERED_SIDE;

type Colour = readonly [red: number, green: number, blue: number];

/** Where a shape lies: centre and radius in pixels, its u axis as a unit vector, and the stretch along v (at most 1). */
interface Placement {
  readonly centreX: number;
  readonly centreY: number;
  readonly radius: number;
  readonly axis: readonly [x: number, y: number];
  readonly stretch: number;
}

export interface RenderedSample {
  /** Index into RENDERED_CLASS_NAMES. */
  readonly label: number;
  /** [RENDERED_SIDE, RENDERED_SIDE, 3], red, green, blue, row-major. */
  readonly pixels: Uint8Array;
}

/** The class of a sample: classes take turns, so every run of ten samples holds each class once. */
export function renderedLabel(index: number): number {
  return index % SHAPE_NAMES.length;
}

/**
 * Draws one image: an uneven, textured background, small distractors, one shape of the sample's class with random
 * place, size, rotation, stretch and colours, often something that covers a part of it, and sensor noise.
 *
 * The same arguments give the same bytes on every engine: only integer operations, + − × ÷, floor and square root
 * are used, all of which IEEE 754 and ECMAScript define to the bit.
 *
 * @param index 0 to RENDERED_LIMIT − 1
 * @param seed any integer
 */
export function renderSample(split: RenderedSplit, index: number, seed: number): RenderedSample {
  const random = sampleRandom(seed, SPLITS.indexOf(split), index);
  const label = renderedLabel(index);
  const canvas = new Float64Array(PIXELS * 3);

  const backgroundColour = randomColour(random);
  const shapeColour = contrastingColour(random, backgroundColour);
  paintBackground(canvas, backgroundColour, random);

  const distractors = random.integer(4);
  for (let count = 0; count < distractors; count++) paintDistractor(canvas, random);

  const placement = randomPlacement(random);
  const shape = randomShape(SHAPE_NAMES[label] ?? 'disk', random);
  paintShape(canvas, shape, placement, shapeColour, between(random, 0.6, 1), random);

  if (random.uniform() < 0.6) paintOccluder(canvas, placement, random);
  return { label, pixels: develop(canvas, random) };
}

function randomColour(random: Random): Colour {
  return [random.uniform(), random.uniform(), random.uniform()];
}

function contrastingColour(random: Random, from: Colour): Colour {
  for (;;) {
    const colour = randomColour(random);
    if (difference(colour, from) >= 0.5) return colour;
  }
}

/** Sum of the absolute differences, 0 to 3. */
function difference(left: Colour, right: Colour): number {
  return Math.abs(left[0] - right[0]) + Math.abs(left[1] - right[1]) + Math.abs(left[2] - right[2]);
}

function randomPlacement(random: Random): Placement {
  const radius = between(random, 6, 12);
  const slack = RENDERED_SIDE / 2 - radius * 0.9;
  return {
    centreX: RENDERED_SIDE / 2 + between(random, -slack, slack),
    centreY: RENDERED_SIDE / 2 + between(random, -slack, slack),
    radius,
    axis: unitVector(random),
    stretch: between(random, 0.75, 1),
  };
}

/** A slope between two shades, smooth patches, and in many images a faint regular texture. */
function paintBackground(canvas: Float64Array, colour: Colour, random: Random): void {
  const [slopeX, slopeY] = unitVector(random);
  const slope = between(random, 0, 0.35) / RENDERED_SIDE;
  const patches = smoothField(random);
  const patchStrength = between(random, 0.05, 0.4);
  const tint = randomColour(random);
  const texture = random.uniform() < 0.5 ? randomTexture(random) : undefined;
  const textureStrength = between(random, 0.05, 0.22);

  for (let y = 0; y < RENDERED_SIDE; y++) {
    for (let x = 0; x < RENDERED_SIDE; x++) {
      const pixel = y * RENDERED_SIDE + x;
      const shade = ((x - 15.5) * slopeX + (y - 15.5) * slopeY) * slope;
      const blend = patchStrength * (patches[pixel] ?? 0);
      const dim = texture?.(x, y) ? textureStrength : 0;
      for (let channel = 0; channel < 3; channel++) {
        const base = colour[channel as 0 | 1 | 2];
        const mixed = base + (tint[channel as 0 | 1 | 2] - base) * blend;
        canvas[pixel * 3 + channel] = mixed + shade - dim;
      }
    }
  }
}

/** Stripes or a checker over the whole image, so that texture alone does not tell those classes from the others. */
function randomTexture(random: Random): InsideTest {
  const [axisX, axisY] = unitVector(random);
  const frequency = 1 / between(random, 4, 10);
  const texture =
    random.uniform() < 0.5
      ? stripes(frequency, random.uniform())
      : checker(frequency, random.uniform(), random.uniform());
  return (x, y) => texture(x * axisX + y * axisY, y * axisX - x * axisY);
}

/** Bilinear interpolation of a 6 × 6 grid of random values, [PIXELS], each 0 to 1. */
function smoothField(random: Random): Float64Array {
  const knots = 6;
  const grid = new Float64Array(knots * knots);
  for (let knot = 0; knot < grid.length; knot++) grid[knot] = random.uniform();

  const field = new Float64Array(PIXELS);
  const step = (knots - 1) / RENDERED_SIDE;
  for (let y = 0; y < RENDERED_SIDE; y++) {
    const row = Math.floor(y * step);
    const down = y * step - row;
    for (let x = 0; x < RENDERED_SIDE; x++) {
      const column = Math.floor(x * step);
      const right = x * step - column;
      const corner = row * knots + column;
      const top = lerp(grid[corner] ?? 0, grid[corner + 1] ?? 0, right);
      const bottom = lerp(grid[corner + knots] ?? 0, grid[corner + knots + 1] ?? 0, right);
      field[y * RENDERED_SIDE + x] = lerp(top, bottom, down);
    }
  }
  return field;
}

function lerp(from: number, to: number, fraction: number): number {
  return from + (to - from) * fraction;
}

/** A small piece of some kind anywhere in the image: dots, bars and corners that belong to no class. */
function paintDistractor(canvas: Float64Array, random: Random): void {
  const placement: Placement = {
    centreX: between(random, 0, RENDERED_SIDE),
    centreY: between(random, 0, RENDERED_SIDE),
    radius: between(random, 1.5, 4.5),
    axis: unitVector(random),
    stretch: between(random, 0.25, 1),
  };
  const kind = (['disk', 'square', 'triangle', 'cross'] as const)[random.integer(4)] ?? 'disk';
  paintShape(canvas, randomShape(kind, random), placement, randomColour(random), between(random, 0.5, 1), random);
}

/** A bar that crosses the shape off its centre. */
function paintOccluder(canvas: Float64Array, target: Placement, random: Random): void {
  const [awayX, awayY] = unitVector(random);
  const distance = target.radius * between(random, 0.25, 0.95);
  const halfWidth = target.radius * between(random, 0.12, 0.32);
  const radius = target.radius * 2;
  const stretch = halfWidth / radius;
  const bar: InsideTest = (u, v) => v <= 1 && v >= -1 && u * u + v * v * stretch * stretch <= 1;
  const placement: Placement = {
    centreX: target.centreX + awayX * distance,
    centreY: target.centreY + awayY * distance,
    radius,
    axis: [-awayY, awayX],
    stretch,
  };
  paintShape(canvas, bar, placement, randomColour(random), between(random, 0.75, 1), random);
}

/** Blends a shape into the canvas, with anti-aliased edges and a slight change of shade across it. */
function paintShape(
  canvas: Float64Array,
  inside: InsideTest,
  placement: Placement,
  colour: Colour,
  opacity: number,
  random: Random,
): void {
  const { centreX, centreY, radius, stretch } = placement;
  const [axisX, axisY] = placement.axis;
  const shading = between(random, -0.15, 0.15);
  const perU = 1 / radius;
  const perV = 1 / (radius * stretch);
  // A shape lies in the circle of its radius and in the box that its stretch leaves of it.
  const reachX = radius * Math.min(1, Math.abs(axisX) + Math.abs(axisY) * stretch);
  const reachY = radius * Math.min(1, Math.abs(axisY) + Math.abs(axisX) * stretch);
  const left = Math.max(0, Math.floor(centreX - reachX));
  const right = Math.min(RENDERED_SIDE - 1, Math.floor(centreX + reachX));
  const top = Math.max(0, Math.floor(centreY - reachY));
  const bottom = Math.min(RENDERED_SIDE - 1, Math.floor(centreY + reachY));

  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      let hits = 0;
      for (const subY of SUB_PIXELS) {
        const dy = y + subY - centreY;
        for (const subX of SUB_PIXELS) {
          const dx = x + subX - centreX;
          if (inside((dx * axisX + dy * axisY) * perU, (dy * axisX - dx * axisY) * perV)) hits++;
        }
      }
      if (hits === 0) continue;
      const blend = (opacity * hits) / HITS_PER_PIXEL;
      const shade = shading * ((x - centreX) * axisX + (y - centreY) * axisY) * perU;
      const at = (y * RENDERED_SIDE + x) * 3;
      for (let channel = 0; channel < 3; channel++) {
        canvas[at + channel] = lerp(canvas[at + channel] ?? 0, colour[channel as 0 | 1 | 2] + shade, blend);
      }
    }
  }
}

/** Exposure and noise of a camera, then 8 bits. */
function develop(canvas: Float64Array, random: Random): Uint8Array {
  const gain = between(random, 0.75, 1.15);
  const offset = between(random, -0.08, 0.08);
  const noise = between(random, 0.01, 0.11);
  const pixels = new Uint8Array(canvas.length);
  for (let at = 0; at < canvas.length; at++) {
    const value = (canvas[at] ?? 0) * gain + offset + noise * bell(random);
    pixels[at] = Math.floor(Math.min(1, Math.max(0, value)) * 255 + 0.5);
  }
  return pixels;
}
