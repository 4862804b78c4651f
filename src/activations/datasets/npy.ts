import { open, stat } from 'node:fs/promises';
import { arraySource, elementBytes, pixelGeometry } from './arrays';
import type { ArrayLabels, ByteReader, ElementType, ExpectedImage } from './arrays';
import { unreadable, unreadableFile } from './errors';
import type { ImageSource } from './source';

/** The header of a NumPy file, versions 1 to 3 (numpy.lib.format). */
export interface NpyHeader {
  /** As NumPy writes it: "|u1", "<f4" … */
  readonly descr: string;
  readonly shape: readonly number[];
  /** Byte position of the first element. */
  readonly dataOffset: number;
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** NumPy itself refuses longer headers of untrusted files. */
const LONGEST_HEADER = 65_536;

const PIXEL_ELEMENTS: Readonly<Record<string, ElementType>> = {
  '|u1': 'uint8',
  '<f2': 'float16',
  '<f4': 'float32',
  '<f8': 'float64',
};

const LABEL_READERS: Readonly<Record<string, { bytes: number; read: (view: DataView, offset: number) => number }>> = {
  '|b1': { bytes: 1, read: (view, offset) => view.getUint8(offset) },
  '|u1': { bytes: 1, read: (view, offset) => view.getUint8(offset) },
  '|i1': { bytes: 1, read: (view, offset) => view.getInt8(offset) },
  '<u2': { bytes: 2, read: (view, offset) => view.getUint16(offset, true) },
  '<i2': { bytes: 2, read: (view, offset) => view.getInt16(offset, true) },
  '<u4': { bytes: 4, read: (view, offset) => view.getUint32(offset, true) },
  '<i4': { bytes: 4, read: (view, offset) => view.getInt32(offset, true) },
  '<u8': { bytes: 8, read: (view, offset) => Number(view.getBigUint64(offset, true)) },
  '<i8': { bytes: 8, read: (view, offset) => Number(view.getBigInt64(offset, true)) },
};

/**
 * Images in an .npy file, uint8 or float, and their labels in another. Samples are read from the file when they are
 * needed, so the file may be larger than the memory.
 */
export async function openNpy(
  imagesPath: string,
  labelsPath: string,
  layout: 'NCHW' | 'NHWC' | undefined,
  image: ExpectedImage,
): Promise<ImageSource> {
  const images = await openFile(imagesPath);
  const labels = await openFile(labelsPath);
  return npySource(
    { path: imagesPath, ...images },
    { labels: await readNpyLabels({ path: labelsPath, ...labels }), classNames: undefined },
    layout,
    image,
  );
}

/** The bytes of one .npy file, wherever they are. */
export interface NpyFile {
  readonly path: string;
  readonly size: number;
  readonly read: ByteReader;
}

export async function npySource(
  file: NpyFile,
  labels: ArrayLabels,
  layout: 'NCHW' | 'NHWC' | undefined,
  image: ExpectedImage,
): Promise<ImageSource> {
  const { path } = file;
  const header = await readNpyHeader(file);
  const element = PIXEL_ELEMENTS[header.descr];
  if (element === undefined) {
    throw unreadable(
      'uint8, float16, float32 or float64 images (little-endian)',
      path,
      `elements of type "${header.descr}"`,
      "Save them with .astype('uint8') or .astype('<f4').",
    );
  }
  const geometry = pixelGeometry(header.shape, layout, image, path);
  const strideBytes = geometry.width * geometry.height * geometry.channels * elementBytes(element);
  const count = header.shape[0]!;
  assertLength(file, header, count * strideBytes);
  return arraySource(
    { path, count, geometry, element, offset: header.dataOffset, strideBytes, read: file.read },
    labels,
  );
}

/** Labels of any integer type as int32; shape [samples] or [samples, 1]. Errors: ERR_DATA_UNREADABLE. */
export async function readNpyLabels(file: NpyFile): Promise<Int32Array> {
  const { path } = file;
  const { descr, shape, dataOffset } = await readNpyHeader(file);
  const reader = LABEL_READERS[descr];
  if (reader === undefined) {
    throw unreadable('integer labels', path, `elements of type "${descr}"`, "Save them with .astype('<i4').");
  }
  const count = shape[0] ?? 1;
  if (shape.length === 0 || shape.slice(1).some((length) => length !== 1)) {
    throw unreadable(
      'one label for each image, shape [samples]',
      path,
      `shape [${shape.join(', ')}]`,
      'Save class ids, not one-hot vectors: labels.argmax(axis=1).',
    );
  }
  assertLength(file, { descr, shape, dataOffset }, count * reader.bytes);
  const bytes = await file.read(dataOffset, count * reader.bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Int32Array.from({ length: count }, (_, index) => {
    const label = reader.read(view, index * reader.bytes);
    // Out of the range of int32 it would wrap around to some class.
    return Math.abs(label) > 0x7fffffff ? -1 : label;
  });
}

async function readNpyHeader(file: NpyFile): Promise<NpyHeader> {
  const { path, size, read } = file;
  const start = await read(0, Math.min(12, size));
  if (start.length < 12 || MAGIC.some((byte, index) => start[index] !== byte)) {
    throw unreadable('a NumPy array (.npy)', path, 'other contents', 'Save it with numpy.save.');
  }
  const view = new DataView(start.buffer, start.byteOffset, start.byteLength);
  const wide = start[6]! >= 2;
  const headerOffset = wide ? 12 : 10;
  const headerLength = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  if (headerLength > LONGEST_HEADER || headerOffset + headerLength > size) {
    throw unreadable('a complete NumPy array', path, 'a truncated or damaged header', 'Save it again.');
  }
  const text = new TextDecoder('latin1').decode(await read(headerOffset, headerLength));
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shapeText = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || shapeText === undefined) {
    throw unreadable('an array of one plain element type', path, `the header ${text.trim()}`, 'Save a plain array.');
  }
  const shape = shapeText
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(Number);
  if (order === 'True' && shape.length > 1) {
    throw unreadable('an array in C order', path, 'Fortran order', 'Save it with numpy.ascontiguousarray.');
  }
  return { descr, shape, dataOffset: headerOffset + headerLength };
}

function assertLength({ path, size }: NpyFile, { shape, dataOffset }: NpyHeader, dataBytes: number): void {
  if (dataOffset + dataBytes <= size) return;
  throw unreadable(
    `${dataBytes} bytes of data for shape [${shape.join(', ')}]`,
    path,
    `${size - dataOffset}`,
    'The file is truncated: save or fetch it again.',
  );
}

async function openFile(path: string): Promise<{ size: number; read: ByteReader }> {
  let size: number;
  try {
    size = (await stat(path)).size;
  } catch (error) {
    throw unreadableFile(path, error);
  }
  return { size, read: (offset, length) => readRange(path, offset, length) };
}

/** Opened anew for every range: a data set has no end of life at which a file could be closed. */
async function readRange(path: string, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  try {
    const file = await open(path, 'r');
    try {
      const { bytesRead } = await file.read(bytes, 0, length, offset);
      if (bytesRead === length) return bytes;
    } finally {
      await file.close();
    }
  } catch (error) {
    throw unreadableFile(path, error);
  }
  throw unreadable(`${length} bytes at ${offset}`, path, 'fewer', 'The file was changed meanwhile: start again.');
}
