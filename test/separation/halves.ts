import { createRandom } from '../../src/random';
import type { Labelled } from './data';

export interface Halves extends Labelled {
  /** [rows, dims], the same values as `features`. */
  readonly bits: Uint16Array;
}

const scratch = new DataView(new ArrayBuffer(4));

export function decodeHalf(bits: number, elementType: 'float16' | 'bfloat16'): number {
  if (elementType === 'bfloat16') {
    scratch.setUint32(0, bits * 2 ** 16);
    return scratch.getFloat32(0);
  }
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  const size = exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25);
  return bits & 0x8000 ? -size : size;
}

/** Random numbers of a 16-bit type, moderate ones with every mantissa, and zeros. */
export function halves(rows: number, dims: number, classes: number, elementType: 'float16' | 'bfloat16'): Halves {
  const random = createRandom(rows * 1000 + dims);
  const [exponent, others] = elementType === 'bfloat16' ? [0x3f00, 0x80ff] : [0x3800, 0x83ff];
  const bits = Uint16Array.from({ length: rows * dims }, () =>
    random.integer(4) === 0 ? 0 : (random.integer(65536) & others) | exponent,
  );
  const features = Float32Array.from(bits, (value) => decodeHalf(value, elementType));
  const labels = Int32Array.from({ length: rows }, () => random.integer(classes));
  return { features, bits, labels, rows, dims, classes };
}
