import type { DataType } from './ir';

const BYTES_OF_TYPE: Readonly<Record<DataType, number | undefined>> = {
  float32: 4,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  int32: 4,
  int64: 8,
  string: undefined,
  bool: 1,
  float16: 2,
  float64: 8,
  uint32: 4,
  uint64: 8,
  bfloat16: 2,
  other: undefined,
};

/** Bytes of one element; undefined for strings and for types this package carries without looking into them. */
export function elementSize(dataType: DataType): number | undefined {
  return BYTES_OF_TYPE[dataType];
}

export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}
