import type { Random } from '../../random';
import { between } from './renderedRandom';

/** Whether a point of the shape's own frame belongs to it. Every shape lies within the unit circle. */
export type InsideTest = (u: number, v: number) => boolean;

/** The classes in the order of their ids. */
export const SHAPE_NAMES = [
  'disk',
  'ring',
  'square',
  'triangle',
  'hexagon',
  'star',
  'cross',
  'crescent',
  'stripes',
  'checker',
] as const;
export type ShapeName = (typeof SHAPE_NAMES)[number];

const HALF_SQRT_3 = 0.8660254037844386;
const HALF_SQRT_2 = 0.7071067811865476;

/** Outward normals of a regular pentagon: cosines and sines of 90° + 72°·k, written out. */
const PENTAGON_NORMALS = [
  [0, 1],
  [-0.9510565162951535, 0.3090169943749474],
  [-0.5877852522924731, -0.8090169943749475],
  [0.5877852522924731, -0.8090169943749475],
  [0.9510565162951535, 0.3090169943749474],
] as const;

/** A shape of the named class with its free proportions drawn from `random`. */
export function randomShape(name: ShapeName, random: Random): InsideTest {
  switch (name) {
    case 'disk':
      return (u, v) => u * u + v * v <= 1;
    case 'ring':
      return ring(between(random, 0.5, 0.7));
    case 'square':
      return square;
    case 'triangle':
      return (u, v) => v >= -0.5 && HALF_SQRT_3 * u + 0.5 * v <= 0.5 && -HALF_SQRT_3 * u + 0.5 * v <= 0.5;
    case 'hexagon':
      return hexagon;
    case 'star':
      return star(between(random, 0.33, 0.42));
    case 'cross':
      return cross(between(random, 0.24, 0.36));
    case 'crescent':
      return crescent(between(random, 0.45, 0.6), between(random, 0.75, 0.9));
    case 'stripes':
      return within(randomOutline(random), stripes(between(random, 1.3, 2.1), random.uniform()));
    case 'checker':
      return within(randomOutline(random), checker(between(random, 1.2, 1.8), random.uniform(), random.uniform()));
  }
}

/** Outline of a patch, which says nothing about the texture that fills it. */
function randomOutline(random: Random): InsideTest {
  const choice = random.integer(3);
  if (choice === 0) return (u, v) => u * u + v * v <= 1;
  if (choice === 1) return square;
  return hexagon;
}

function within(outline: InsideTest, texture: InsideTest): InsideTest {
  return (u, v) => outline(u, v) && texture(u, v);
}

function square(u: number, v: number): boolean {
  return u <= HALF_SQRT_2 && u >= -HALF_SQRT_2 && v <= HALF_SQRT_2 && v >= -HALF_SQRT_2;
}

function ring(innerRadius: number): InsideTest {
  const innerSquared = innerRadius * innerRadius;
  return (u, v) => {
    const radiusSquared = u * u + v * v;
    return radiusSquared <= 1 && radiusSquared >= innerSquared;
  };
}

function hexagon(u: number, v: number): boolean {
  if (v > HALF_SQRT_3 || v < -HALF_SQRT_3) return false;
  const left = HALF_SQRT_3 * u + 0.5 * v;
  const right = HALF_SQRT_3 * u - 0.5 * v;
  return left <= HALF_SQRT_3 && left >= -HALF_SQRT_3 && right <= HALF_SQRT_3 && right >= -HALF_SQRT_3;
}

/** The points that lie beyond at most one side of a pentagon, within the unit circle. */
function star(sideDistance: number): InsideTest {
  return (u, v) => {
    if (u * u + v * v > 1) return false;
    let beyond = 0;
    for (const normal of PENTAGON_NORMALS) {
      if (normal[0] * u + normal[1] * v > sideDistance) beyond++;
    }
    return beyond <= 1;
  };
}

function cross(halfWidth: number): InsideTest {
  return (u, v) => {
    const across = u < 0 ? -u : u;
    const along = v < 0 ? -v : v;
    return (across <= halfWidth && along <= 0.93) || (along <= halfWidth && across <= 0.93);
  };
}

function crescent(offset: number, biteRadius: number): InsideTest {
  const biteSquared = biteRadius * biteRadius;
  return (u, v) => {
    const fromBite = u - offset;
    return u * u + v * v <= 1 && fromBite * fromBite + v * v > biteSquared;
  };
}

/** Bars of equal width and gap; `frequency` is periods per unit length. */
export function stripes(frequency: number, phase: number): InsideTest {
  return (u) => (Math.floor((u * frequency + phase) * 2) & 1) === 0;
}

/** Squares of two kinds in turn; `frequency` is periods per unit length. */
export function checker(frequency: number, phaseU: number, phaseV: number): InsideTest {
  return (u, v) => ((Math.floor((u * frequency + phaseU) * 2) + Math.floor((v * frequency + phaseV) * 2)) & 1) === 0;
}
