import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { SieveError } from '../../errors';
import { mismatch, reasonOf } from './errors';
import type { EncodedImage, PixelImage } from './source';

/** The samples that a model takes. */
export interface ImageTarget {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** What images are resized to before the target is cut from the middle; undefined: the target's own size. */
  readonly resize: { readonly width: number; readonly height: number } | undefined;
}

interface Pixels<Data extends Uint8Array | Float32Array = Uint8Array | Float32Array> {
  readonly data: Data;
  readonly channels: number;
}

/**
 * One sample as the model wants it, channels last: bytes, or floats where the data are floats.
 *
 * An image of another size is resized so that it covers the target (bilinear, with antialiasing, as PIL and
 * torchvision do), and the middle is cut out. Grey becomes RGB by repeating it, RGB becomes grey by ITU-R 601 luma
 * with PIL's rounding. Transparency is dropped. EXIF orientation and colour profiles are left aside, as
 * torchvision's ImageFolder does.
 *
 * Errors: ERR_IMAGE_CORRUPT naming the image (truncated, or damaged in a way that the decoder notices: a flipped bit
 * among the pixels of a JPEG is none of them); ERR_DATA_MISMATCH where channels can not be converted.
 */
export async function decodeSample(
  image: EncodedImage | PixelImage,
  target: ImageTarget,
  name: string,
): Promise<Uint8Array | Float32Array> {
  const pixels = image.kind === 'encoded' ? await decodeFile(image, target, name) : await fitPixels(image, target);
  return convertChannels(pixels, target.channels, name);
}

async function decodeFile(image: EncodedImage, target: ImageTarget, name: string): Promise<Pixels> {
  try {
    const file = sharp(image.bytes, { failOn: 'warning', ignoreIcc: true });
    return await rawPixels(cover(file, target).removeAlpha());
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

async function fitPixels(image: PixelImage, target: ImageTarget): Promise<Pixels> {
  const { width, height, channels } = image;
  const data = channelsLast(image);
  const wanted = target.resize ?? target;
  const fits = width === target.width && height === target.height;
  if (fits && width === wanted.width && height === wanted.height) return { data, channels };
  // Only reached for bytes with 1 to 4 channels: other arrays must have the model's size, which is checked on opening.
  const raw = sharp(data, { raw: { width, height, channels: channels as 1 | 2 | 3 | 4 } });
  return rawPixels(cover(raw, target));
}

function cover(image: Sharp, target: ImageTarget): Sharp {
  const { width, height } = target.resize ?? target;
  // Shrinking while a JPEG is decoded would be faster and give other pixels.
  const resized = image.resize(width, height, { fit: 'cover', kernel: 'linear', fastShrinkOnLoad: false });
  if (width === target.width && height === target.height) return resized;
  return resized.extract({
    left: Math.floor((width - target.width) / 2),
    top: Math.floor((height - target.height) / 2),
    width: target.width,
    height: target.height,
  });
}

async function rawPixels(image: Sharp): Promise<Pixels<Uint8Array>> {
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  return { data, channels: info.channels };
}

function channelsLast({ data, layout, channels, width, height }: PixelImage): Uint8Array | Float32Array {
  if (layout === 'HWC' || channels === 1) return data;
  const pixelCount = width * height;
  const result = data instanceof Uint8Array ? new Uint8Array(data.length) : new Float32Array(data.length);
  for (let channel = 0; channel < channels; channel++) {
    for (let pixel = 0; pixel < pixelCount; pixel++) {
      result[pixel * channels + channel] = data[channel * pixelCount + pixel]!;
    }
  }
  return result;
}

/** True where `decodeSample` can make `to` channels from `from`. */
export function canConvertChannels(from: number, to: number, element: 'uint8' | 'float'): boolean {
  return from === to || (from === 1 && to === 3) || (from === 3 && to === 1 && element === 'uint8');
}

function convertChannels({ data, channels }: Pixels, wanted: number, name: string): Uint8Array | Float32Array {
  if (channels === wanted) return data;
  const pixelCount = data.length / channels;
  if (channels === 1 && wanted === 3) {
    const rgb = data instanceof Uint8Array ? new Uint8Array(3 * pixelCount) : new Float32Array(3 * pixelCount);
    for (let pixel = 0; pixel < pixelCount; pixel++) rgb.fill(data[pixel]!, 3 * pixel, 3 * pixel + 3);
    return rgb;
  }
  if (channels === 3 && wanted === 1 && data instanceof Uint8Array) {
    const grey = new Uint8Array(pixelCount);
    for (let pixel = 0; pixel < pixelCount; pixel++) {
      // ITU-R 601 luma in 16-bit fixed point, rounded.
      const luma = data[3 * pixel]! * 19595 + data[3 * pixel + 1]! * 38470 + data[3 * pixel + 2]! * 7471;
      grey[pixel] = (luma + 0x8000) >> 16;
    }
    return grey;
  }
  throw mismatch(
    `an image of ${wanted} channels`,
    `"${name}"`,
    `${channels} channels`,
    "Convert the images to the model's number of channels.",
  );
}
