import sharp from 'sharp';
import { SieveError } from '../../errors';
import { mismatch, reasonOf } from './errors';
import { resizeAndCrop } from './resize';
import type { EncodedImage, PixelImage } from './source';

/** The samples that a model takes. */
export interface ImageTarget {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** What images are resized to before the target is cut from the middle; undefined: the target's own size. */
  readonly resize: { readonly width: number; readonly height: number } | undefined;
}

interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Channels last. */
  readonly data: Uint8Array | Float32Array;
}

/**
 * One sample as the model wants it, channels last: bytes, or floats where the data are floats.
 *
 * Grey becomes RGB by repeating it, RGB becomes grey by ITU-R 601 luma with PIL's rounding; transparency is dropped. An
 * image of another size is resized so that it covers the target, and the middle is cut out (see resizeAndCrop). EXIF
 * orientation and colour profiles are left aside, as torchvision's ImageFolder does.
 *
 * Errors: ERR_IMAGE_CORRUPT naming the image (truncated, or damaged in a way that the decoder notices: a flipped bit
 * among the pixels of a JPEG is none of them); ERR_DATA_MISMATCH where channels can not be converted, or floats
 * resized.
 */
export async function decodeSample(
  image: EncodedImage | PixelImage,
  target: ImageTarget,
  name: string,
): Promise<Uint8Array | Float32Array> {
  const pixels = image.kind === 'encoded' ? await decodeFile(image, name) : channelsLast(image);
  return fitSize(convertChannels(pixels, target.channels, name), target, name);
}

async function decodeFile(image: EncodedImage, name: string): Promise<Pixels> {
  try {
    const { data, info } = await sharp(image.bytes, { failOn: 'warning', ignoreIcc: true })
      .removeAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return { data, width: info.width, height: info.height, channels: info.channels };
  } catch (error) {
    throw new SieveError(
      'ERR_IMAGE_CORRUPT',
      `Expected a readable image for "${name}" but received one that can not be decoded (${reasonOf(error)})`,
      {
        cause: error,
        remedy: 'Repair or remove the file, or leave such files out with --skip-corrupt (option `skipCorrupt`).',
      },
    );
  }
}

async function fitSize(pixels: Pixels, target: ImageTarget, name: string): Promise<Uint8Array | Float32Array> {
  const { width, height, data } = pixels;
  const cover = target.resize ?? target;
  const fits = width === target.width && height === target.height;
  if (fits && width === cover.width && height === cover.height) return data;
  if (data instanceof Uint8Array) return resizeAndCrop({ ...pixels, data }, cover, target);
  throw mismatch(
    `floats of ${target.height}×${target.width}`,
    `"${name}"`,
    `${height}×${width}`,
    'Save the images in the size of the model.',
  );
}

function channelsLast({ data, layout, channels, width, height }: PixelImage): Pixels {
  if (layout === 'HWC' || channels === 1) return { data, channels, width, height };
  const pixelCount = width * height;
  const result = data instanceof Uint8Array ? new Uint8Array(data.length) : new Float32Array(data.length);
  for (let channel = 0; channel < channels; channel++) {
    for (let pixel = 0; pixel < pixelCount; pixel++) {
      result[pixel * channels + channel] = data[channel * pixelCount + pixel]!;
    }
  }
  return { data: result, channels, width, height };
}

/** True where `decodeSample` can make `to` channels from `from`. */
export function canConvertChannels(from: number, to: number, element: 'uint8' | 'float'): boolean {
  return from === to || (from === 1 && to === 3) || (from === 3 && to === 1 && element === 'uint8');
}

function convertChannels(pixels: Pixels, wanted: number, name: string): Pixels {
  const { data, channels } = pixels;
  if (channels === wanted) return pixels;
  const pixelCount = data.length / channels;
  if (channels === 1 && wanted === 3) {
    const rgb = data instanceof Uint8Array ? new Uint8Array(3 * pixelCount) : new Float32Array(3 * pixelCount);
    for (let pixel = 0; pixel < pixelCount; pixel++) rgb.fill(data[pixel]!, 3 * pixel, 3 * pixel + 3);
    return { ...pixels, data: rgb, channels: wanted };
  }
  if (channels === 3 && wanted === 1 && data instanceof Uint8Array) {
    const grey = new Uint8Array(pixelCount);
    for (let pixel = 0; pixel < pixelCount; pixel++) {
      // ITU-R 601 luma in 16-bit fixed point, rounded.
      const luma = data[3 * pixel]! * 19595 + data[3 * pixel + 1]! * 38470 + data[3 * pixel + 2]! * 7471;
      grey[pixel] = (luma + 0x8000) >> 16;
    }
    return { ...pixels, data: grey, channels: wanted };
  }
  throw mismatch(
    `an image of ${wanted} channels`,
    `"${name}"`,
    `${channels} channels`,
    "Convert the images to the model's number of channels.",
  );
}
