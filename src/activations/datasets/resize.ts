import { setImmediate } from 'node:timers/promises';

/** Bytes of an image, channels last. */
export interface ByteImage {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Bits after the binary point of the weights: 8 more for a byte and one for the sign still fit into 32. */
const WEIGHT_BITS = 22;
/** Multiply-adds between two turns of the event loop: some 10 ms. */
const WORK_PER_TURN = 5e6;

/**
 * Resizes so that the image just covers `cover`, then cuts `crop` out of the middle: torchvision's
 * Resize (shorter side, bilinear with antialiasing) and CenterCrop on PIL images, to the last bit. Long work gives way to the event loop.
 *
 * Weights follow Pillow's resampling: a triangle as wide as the reduction factor, at least 1, in fixed point, first
 * along the rows and then along the columns, each rounded to bytes. O(pixels · reduction factor).
 */
export async function resizeAndCrop(image: ByteImage, cover: Size, crop: Size): Promise<Uint8Array> {
  const resized = coveringSize(image, cover);
  const left = middleOffset(resized.width, crop.width);
  const top = middleOffset(resized.height, crop.height);
  const columns = axisWeights(image.width, resized.width, left, crop.width);
  const rows = axisWeights(image.height, resized.height, top, crop.height);
  const narrowed = await resampleRows(image, columns);
  return resampleColumns({ ...image, width: crop.width, data: narrowed }, rows);
}

/** The smallest size of the same proportions, up to rounding down, that covers `cover`. */
function coveringSize({ width, height }: Size, cover: Size): Size {
  if (cover.width * height >= cover.height * width) {
    return { width: cover.width, height: Math.max(cover.height, Math.floor((cover.width * height) / width)) };
  }
  return { width: Math.max(cover.width, Math.floor((cover.height * width) / height)), height: cover.height };
}

/** Half the margin; halves go to the even number, as Python rounds. */
function middleOffset(length: number, cropLength: number): number {
  const margin = (length - cropLength) / 2;
  const floor = Math.floor(margin);
  if (margin === floor) return floor;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** For each output position, which inputs it reads and with what fixed-point weights. */
interface AxisWeights {
  readonly outputs: number;
  readonly first: Int32Array;
  readonly counts: Int32Array;
  /** [outputs, taps]; those beyond a position's count are 0. */
  readonly weights: Int32Array;
  readonly taps: number;
  /** The axis is not resized: outputs are inputs from first[0] on. */
  readonly isCopy: boolean;
}

function axisWeights(inputLength: number, resizedLength: number, offset: number, outputs: number): AxisWeights {
  const reduction = inputLength / resizedLength;
  const support = Math.max(1, reduction);
  const taps = 2 * Math.ceil(support) + 1;
  const first = new Int32Array(outputs);
  const counts = new Int32Array(outputs);
  const weights = new Int32Array(outputs * taps);
  for (let output = 0; output < outputs; output++) {
    const center = (offset + output + 0.5) * reduction;
    const start = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(inputLength, Math.trunc(center + support + 0.5));
    const exact = Array.from({ length: end - start }, (_, tap) =>
      Math.max(0, 1 - Math.abs((start + tap - center + 0.5) / support)),
    );
    const sum = exact.reduce((total, weight) => total + weight, 0);
    first[output] = start;
    counts[output] = end - start;
    weights.set(
      exact.map((weight) => Math.trunc((weight / sum) * 2 ** WEIGHT_BITS + 0.5)),
      output * taps,
    );
  }
  return { outputs, first, counts, weights, taps, isCopy: inputLength === resizedLength };
}

async function resampleRows(
  { width, height, channels, data }: ByteImage,
  { outputs, first, counts, weights, taps, isCopy }: AxisWeights,
): Promise<Uint8Array> {
  if (isCopy && outputs === width) return data;
  const result = new Uint8Array(outputs * height * channels);
  let work = 0;
  for (let row = 0; row < height; row++) {
    for (let output = 0; output < outputs; output++) {
      const count = counts[output]!;
      const weightStart = output * taps;
      const source = (row * width + first[output]!) * channels;
      const target = (row * outputs + output) * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 1 << (WEIGHT_BITS - 1);
        for (let tap = 0; tap < count; tap++)
          sum += data[source + tap * channels + channel]! * weights[weightStart + tap]!;
        result[target + channel] = sum >> WEIGHT_BITS;
      }
    }
    work += outputs * channels * taps;
    if (work >= WORK_PER_TURN) {
      work = 0;
      await setImmediate();
    }
  }
  return result;
}

async function resampleColumns(
  { width, height, channels, data }: ByteImage,
  { outputs, first, counts, weights, taps, isCopy }: AxisWeights,
): Promise<Uint8Array> {
  if (isCopy && outputs === height) return data;
  const rowValues = width * channels;
  const result = new Uint8Array(outputs * rowValues);
  let work = 0;
  for (let output = 0; output < outputs; output++) {
    const count = counts[output]!;
    const weightStart = output * taps;
    const source = first[output]! * rowValues;
    for (let column = 0; column < rowValues; column++) {
      let sum = 1 << (WEIGHT_BITS - 1);
      for (let tap = 0; tap < count; tap++)
        sum += data[source + tap * rowValues + column]! * weights[weightStart + tap]!;
      result[output * rowValues + column] = sum >> WEIGHT_BITS;
    }
    work += rowValues * taps;
    if (work >= WORK_PER_TURN) {
      work = 0;
      await setImmediate();
    }
  }
  return result;
}
