/** What a data format has to offer. To add a format: one file that makes an ImageSource, one line in open.ts. */

/** A compressed image file, as its bytes. */
export interface EncodedImage {
  readonly kind: 'encoded';
  readonly bytes: Uint8Array;
}

/** Raw pixels, channels last (HWC) or channels first (CHW). */
export interface PixelImage {
  readonly kind: 'pixels';
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly layout: 'HWC' | 'CHW';
  /** Bytes 0–255, or floats that are taken as they are. */
  readonly data: Uint8Array | Float32Array;
}

/** The one shape that all samples of an array share. */
export interface PixelFormat {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly element: 'uint8' | 'float';
}

/** A labelled image set as its format stores it: sizes, channels and values untouched. */
export interface ImageSource {
  readonly count: number;
  /** [count] */
  readonly labels: Int32Array;
  /** What the format says the classes are called; undefined where it says nothing. */
  readonly classNames: readonly string[] | undefined;
  /** Set for arrays; undefined for image files, which may differ from each other. */
  readonly pixels: PixelFormat | undefined;
  /** What to call a sample in an error. */
  name(index: number): string;
  /** Errors: ERR_DATA_UNREADABLE where the bytes can not be had. */
  read(index: number): Promise<EncodedImage | PixelImage>;
}
