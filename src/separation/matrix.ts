import type { ElementType, NativeMatrixData } from '../binding/addon';
import { expected } from '../errors';
import { checkArray, checkCount, elementCount, isTypedArray } from './options';

export type { ElementType };

/** A Float16Array, which Node has from version 24 on. */
export interface HalfArray extends ArrayBufferView {
  readonly [Symbol.toStringTag]: 'Float16Array';
  readonly length: number;
}

/**
 * Row-major values: a Float32Array, a Uint16Array that holds the bits of 16-bit floats (`elementType` says which), or a
 * Float16Array. It may be a view into a larger buffer, also a shared one. It is read in place: leave it alone until
 * the promise settles.
 */
export type FeatureArray = Float32Array | Uint16Array | HalfArray;

/** What the elements of features are, and where their rows begin. */
export interface FeatureLayout {
  /**
   * `float16` (IEEE 754) or `bfloat16` for features in a Uint16Array. Default: `float32`, `float16` for a Float16Array.
   * Answers are those for the same values in float32, which holds every 16-bit float exactly.
   */
  readonly elementType?: ElementType;
  /**
   * Elements from the beginning of one row to that of the next, at least the elements of a row; the array then has at
   * least (rows − 1) · rowStride + those of one row. Default: rows follow each other, and fill the array.
   */
  readonly rowStride?: number;
}

/** Features as the native side takes them. */
export interface Matrix {
  readonly data: NativeMatrixData;
  readonly elementType: ElementType;
  /** Absent: the rows follow each other. */
  readonly rowStride: number | undefined;
}

/**
 * Checks features [rows, columns] of a layout. Nothing is copied.
 *
 * @throws SieveError ERR_SHAPE for another kind of array or a length that does not fit, ERR_OPTION for an element type
 *   that the array can not hold or a stride below the columns.
 */
export function checkMatrix(
  features: FeatureArray,
  layout: FeatureLayout,
  rows: number,
  columns: number,
  subject: string,
  shape: string,
): Matrix {
  const { data, elementType } = checkElements(features, layout.elementType, subject, shape);
  const { rowStride } = layout;
  if (rowStride === undefined) {
    checkArray(data, arrayTypeOf(elementType), elementCount(rows, columns), subject, shape);
  } else {
    checkCount(rowStride, 'rowStride', columns);
    const least = elementCount(rows - 1, rowStride) + columns;
    if (data.length < least)
      throw expected(
        'ERR_SHAPE',
        `at least ${least} values ${shape} with rowStride ${rowStride}`,
        subject,
        data.length,
      );
  }
  return { data, elementType, rowStride };
}

function checkElements(
  features: FeatureArray,
  wanted: ElementType | undefined,
  subject: string,
  shape: string,
): { readonly data: NativeMatrixData; readonly elementType: ElementType } {
  if (wanted !== undefined && !['float32', 'float16', 'bfloat16'].includes(wanted))
    throw expected('ERR_OPTION', 'float32, float16 or bfloat16', 'elementType', wanted);
  if (isTypedArray(features, 'Float16Array')) {
    if (wanted !== undefined && wanted !== 'float16')
      throw expected('ERR_OPTION', 'float16 beside a Float16Array', 'elementType', wanted);
    // A buffer that was transferred leaves its arrays empty, and no view can be made of it.
    if (features.length === 0) throw expected('ERR_SHAPE', `a Float16Array ${shape}`, subject, features);
    // The same memory by its bits: what the native side of every supported Node version knows.
    const { buffer, byteOffset, length } = features as HalfArray;
    return { data: new Uint16Array(buffer, byteOffset, length), elementType: 'float16' };
  }
  if (isTypedArray(features, 'Uint16Array')) {
    if (wanted === undefined || wanted === 'float32')
      throw expected('ERR_OPTION', 'float16 or bfloat16 beside a Uint16Array', 'elementType', wanted);
    return { data: features as Uint16Array, elementType: wanted };
  }
  if (!isTypedArray(features, 'Float32Array'))
    throw expected('ERR_SHAPE', `a Uint16Array of 16-bit floats or a Float32Array ${shape}`, subject, features);
  if (wanted !== undefined && wanted !== 'float32')
    throw expected('ERR_SHAPE', `a Uint16Array ${shape} of ${wanted}`, subject, features);
  return { data: features as Float32Array, elementType: 'float32' };
}

function arrayTypeOf(elementType: ElementType): 'Float32Array' | 'Uint16Array' {
  return elementType === 'float32' ? 'Float32Array' : 'Uint16Array';
}
