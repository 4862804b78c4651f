/** Conversions between float32 and the two 16-bit float types, as bit patterns; rounding to nearest even. */

export type HalfType = 'float16' | 'bfloat16';

export function decodeHalf(bits: Uint16Array, type: HalfType): Float32Array {
  const values = new Float32Array(bits.length);
  if (type === 'bfloat16') {
    const words = new Uint32Array(values.buffer);
    for (let index = 0; index < bits.length; index += 1) words[index] = (bits[index] ?? 0) << 16;
  } else {
    for (let index = 0; index < bits.length; index += 1) values[index] = decodeFloat16(bits[index] ?? 0);
  }
  return values;
}

export function encodeHalf(values: ArrayLike<number>, type: HalfType): Uint16Array {
  const encode = type === 'bfloat16' ? encodeBfloat16 : encodeFloat16;
  return Uint16Array.from(values, encode);
}

function decodeFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const word = new Float32Array(1);
const wordBits = new Uint32Array(word.buffer);

function encodeFloat16(value: number): number {
  word[0] = value;
  const rounded = word[0];
  const sign = ((wordBits[0] ?? 0) >>> 16) & 0x8000;
  const magnitude = Math.abs(rounded);
  if (Number.isNaN(rounded)) return sign | 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00; // rounds to infinity: half way above the largest, 65504
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude * 2 ** 24); // subnormal; may carry into the first normal
  const exponent = Math.floor(Math.log2(magnitude));
  const scaled = roundHalfEven(magnitude * 2 ** (10 - exponent));
  // Adding, not or-ing: a fraction that rounds up to 2048 carries into the exponent.
  return sign + ((exponent + 15 - 1) << 10) + scaled;
}

function encodeBfloat16(value: number): number {
  word[0] = value;
  const bits = wordBits[0] ?? 0;
  if (Number.isNaN(value)) return ((bits >>> 16) & 0x8000) | 0x7fc0;
  const lowest = (bits >>> 16) & 1;
  return ((bits + 0x7fff + lowest) >>> 16) & 0xffff;
}

/** `value` is non-negative and below 2^12, so that it is exact in a double. */
function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest > 0.5 || (rest === 0.5 && below % 2 === 1)) return below + 1;
  return below;
}
