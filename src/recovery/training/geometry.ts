import { expected } from '../../errors';
import type { Random } from '../../random';
import type { Normalization } from '../../types';
import { checkFraction, checkInteger } from './checks';
import { type ImageFormat, imageLength, planesOf } from './images';

/** Crop of the image's own size from the image with `padding` pixels added on every side, as torchvision's RandomCrop. */
export interface RandomCrop {
  readonly padding: number;
  /** `black`: pixels of value 0, normalised. `reflect`: mirrored without repeating the edge. Default black. */
  readonly fill?: 'black' | 'reflect';
}

/** Where the image is read: `top` and `left` from −padding to padding, mirrored from left to right after that. */
export interface View {
  readonly top: number;
  readonly left: number;
  readonly flipped: boolean;
}

export interface ViewWriter {
  /** Writes one image through a view; the arrays must differ. */
  write(source: Float32Array, sourceOffset: number, target: Float32Array, targetOffset: number, view: View): void;
}

/** Errors: ERR_OPTION. */
export function checkGeometry(
  { height, width }: ImageFormat,
  crop: RandomCrop | undefined,
  flip: number | undefined,
): void {
  if (flip !== undefined) checkFraction(flip, 'the probability of a flip');
  if (crop === undefined) return;
  checkInteger(crop.padding, 0, 'the padding of the random crop');
  if (crop.fill !== undefined && crop.fill !== 'black' && crop.fill !== 'reflect') {
    throw expected('ERR_OPTION', 'black or reflect', 'the fill of the random crop', crop.fill);
  }
  const limit = Math.min(height, width) - 1;
  if (crop.fill === 'reflect' && crop.padding > limit) {
    throw expected('ERR_OPTION', `at most ${limit}, less than the image,`, 'the reflected padding', crop.padding);
  }
}

export function drawView(random: Random, crop: RandomCrop | undefined, flip: number): View {
  const padding = crop?.padding ?? 0;
  const offset = (): number => (padding === 0 ? 0 : random.integer(2 * padding + 1) - padding);
  return { top: offset(), left: offset(), flipped: flip > 0 && random.uniform() < flip };
}

/** One table of source columns serves all rows of an image, so that the inner loop only looks up. */
export function createViewWriter(
  format: ImageFormat,
  { mean, std }: Normalization,
  fill: 'black' | 'reflect',
): ViewWriter {
  const { height, width } = format;
  const { planes, planeLength, valuesPerPixel } = planesOf(format);
  const black = Float32Array.from({ length: format.channels }, (_, channel) => -mean[channel]! / std[channel]!);
  const columns = new Int32Array(width);
  const rowLength = width * valuesPerPixel;

  return {
    write(source, sourceOffset, target, targetOffset, { top, left, flipped }) {
      for (let column = 0; column < width; column++) {
        const wanted = (flipped ? width - 1 - column : column) + left;
        const found = sourceIndex(wanted, width, fill);
        columns[column] = found < 0 ? -1 : found * valuesPerPixel;
      }
      for (let plane = 0; plane < planes; plane++) {
        for (let row = 0; row < height; row++) {
          const to = targetOffset + plane * planeLength + row * rowLength;
          const sourceRow = sourceIndex(row + top, height, fill);
          const from = sourceOffset + plane * planeLength + sourceRow * rowLength;
          if (valuesPerPixel === 1) {
            const blackValue = black[plane]!;
            if (sourceRow < 0) target.fill(blackValue, to, to + rowLength);
            else copyRow(source, from, target, to, columns, blackValue);
          } else copyPixels(source, sourceRow < 0 ? -1 : from, target, to, columns, black);
        }
      }
    },
  };
}

/** −1 stands for a padded pixel that is black. */
function sourceIndex(index: number, size: number, fill: 'black' | 'reflect'): number {
  if (index >= 0 && index < size) return index;
  if (fill === 'black') return -1;
  return index < 0 ? -index : 2 * (size - 1) - index;
}

function copyRow(
  source: Float32Array,
  from: number,
  target: Float32Array,
  to: number,
  columns: Int32Array,
  blackValue: number,
): void {
  for (let column = 0; column < columns.length; column++) {
    const sourceColumn = columns[column]!;
    target[to + column] = sourceColumn < 0 ? blackValue : source[from + sourceColumn]!;
  }
}

/** `from` < 0: the whole row is black. */
function copyPixels(
  source: Float32Array,
  from: number,
  target: Float32Array,
  to: number,
  columns: Int32Array,
  black: Float32Array,
): void {
  let position = to;
  for (const sourceColumn of columns) {
    const isBlack = from < 0 || sourceColumn < 0;
    for (let channel = 0; channel < black.length; channel++, position++) {
      target[position] = isBlack ? black[channel]! : source[from + sourceColumn + channel]!;
    }
  }
}

/** A rectangle of pixels; `bottom` and `right` are outside it. */
export interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** A box of a height and width around a random centre, clipped at the image. */
export function drawBox(random: Random, format: ImageFormat, height: number, width: number): Box {
  const span = (size: number, length: number): readonly [number, number] => {
    const start = random.integer(size) - Math.floor(length / 2);
    return [Math.max(0, start), Math.min(size, start + length)];
  };
  const [top, bottom] = span(format.height, height);
  const [left, right] = span(format.width, width);
  return { top, left, bottom, right };
}

/** Calls `visit` with the runs of values of image `index` that lie in the box: one for each plane and row. */
export function forEachRun(
  format: ImageFormat,
  index: number,
  { top, left, bottom, right }: Box,
  visit: (start: number, length: number) => void,
): void {
  const { planes, planeLength, valuesPerPixel } = planesOf(format);
  const offset = index * imageLength(format);
  const length = (right - left) * valuesPerPixel;
  for (let plane = 0; plane < planes; plane++) {
    for (let row = top; row < bottom; row++) {
      visit(offset + plane * planeLength + (row * format.width + left) * valuesPerPixel, length);
    }
  }
}
