import { widenHalves } from '../float16';
import { mismatch, unreadable } from './errors';
import type { ImageSource, PixelImage } from './source';

/** Reads `length` bytes from `offset`; the result may be a view. */
export type ByteReader = (offset: number, length: number) => Promise<Uint8Array>;

export type ElementType = 'uint8' | 'float16' | 'float32' | 'float64';

const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = { uint8: 1, float16: 2, float32: 4, float64: 8 };

/** Where the pixels of an array of equal images lie; elements are little-endian. */
export interface PixelArray {
  /** The file, as the user named it. */
  readonly path: string;
  readonly count: number;
  readonly geometry: PixelGeometry;
  readonly element: ElementType;
  /** Byte position of sample 0, and the distance to the next one. */
  readonly offset: number;
  readonly strideBytes: number;
  readonly read: ByteReader;
}

export interface PixelGeometry {
  readonly layout: 'HWC' | 'CHW';
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/** What a model expects, to tell channels first from channels last where an array does not say. */
export interface ExpectedImage {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

export interface ArrayLabels {
  readonly labels: Int32Array;
  readonly classNames: readonly string[] | undefined;
}

/** An array of equal images and one label for each as an ImageSource. Errors: ERR_DATA_MISMATCH for other counts. */
export function arraySource(array: PixelArray, { labels, classNames }: ArrayLabels): ImageSource {
  const { path, geometry, element } = array;
  if (labels.length !== array.count) {
    throw mismatch(
      `${array.count} labels`,
      `the ${array.count} images of "${path}"`,
      `${labels.length}`,
      'Give one label for each image, in the same order.',
    );
  }
  const { width, height, channels } = geometry;
  const sampleBytes = width * height * channels * ELEMENT_BYTES[element];
  return {
    count: array.count,
    labels,
    classNames,
    pixels: { width, height, channels, element: element === 'uint8' ? 'uint8' : 'float' },
    name: (index) => `${path}[${index}]`,
    async read(index): Promise<PixelImage> {
      const bytes = await array.read(array.offset + index * array.strideBytes, sampleBytes);
      return { kind: 'pixels', ...geometry, data: decodeElements(bytes, element) };
    },
  };
}

/** Bytes as they are; any float type as float32. */
function decodeElements(bytes: Uint8Array, element: ElementType): Uint8Array | Float32Array {
  if (element === 'uint8') return bytes;
  const aligned = bytes.slice();
  switch (element) {
    case 'float16':
      return widenHalves(new Uint16Array(aligned.buffer));
    case 'float32':
      return new Float32Array(aligned.buffer);
    case 'float64':
      return Float32Array.from(new Float64Array(aligned.buffer));
  }
}

export function elementBytes(element: ElementType): number {
  return ELEMENT_BYTES[element];
}

/** A reader of bytes that are in memory already. */
export function memoryReader(bytes: Uint8Array): ByteReader {
  return (offset, length) => Promise.resolve(bytes.subarray(offset, offset + length));
}

/**
 * Which axis is which, of an array [samples, height, width], [samples, channels, height, width] (`NCHW`) or
 * [samples, height, width, channels] (`NHWC`). Without a layout: the one that gives the expected image, else the
 * one with 1 to 4 channels. Errors: ERR_DATA_UNREADABLE for another rank, or where that is ambiguous.
 */
export function pixelGeometry(
  shape: readonly number[],
  layout: 'NCHW' | 'NHWC' | undefined,
  image: ExpectedImage,
  path: string,
): PixelGeometry {
  const [, first, second, third] = shape;
  if (shape.length === 3) return { layout: 'HWC', height: first!, width: second!, channels: 1 };
  if (shape.length !== 4) {
    throw unreadable(
      'images of shape [samples, height, width] or with one axis of channels',
      path,
      `shape [${shape.join(', ')}]`,
      'Save the images as an array with three or four axes.',
    );
  }
  const channelsFirst: PixelGeometry = { layout: 'CHW', channels: first!, height: second!, width: third! };
  const channelsLast: PixelGeometry = { layout: 'HWC', height: first!, width: second!, channels: third! };
  if (layout !== undefined) return layout === 'NCHW' ? channelsFirst : channelsLast;

  for (const fits of [isExpected, hasFewChannels]) {
    const first = fits(channelsFirst, image);
    if (first !== fits(channelsLast, image)) return first ? channelsFirst : channelsLast;
  }
  throw unreadable(
    'a layout that follows from the shape',
    path,
    `shape [${shape.join(', ')}]`,
    'Give "layout": "NCHW" or "NHWC" (--layout).',
  );
}

function isExpected(geometry: PixelGeometry, image: ExpectedImage): boolean {
  return geometry.channels === image.channels && geometry.height === image.height && geometry.width === image.width;
}

function hasFewChannels(geometry: PixelGeometry): boolean {
  return geometry.channels >= 1 && geometry.channels <= 4;
}
