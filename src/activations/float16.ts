const HALF_EXPONENT_BIAS = 15;

/** IEEE 754 binary16 as float32; exact. */
export function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** (1 - HALF_EXPONENT_BIAS - 10);
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - HALF_EXPONENT_BIAS);
}

/** Widens `halves`; a table of all 65,536 values is cheaper than the arithmetic once there are many. */
export function widenHalves(halves: Uint16Array): Float32Array {
  const table = halfTable();
  const widened = new Float32Array(halves.length);
  for (let index = 0; index < halves.length; index++) widened[index] = table[halves[index]!]!;
  return widened;
}

/** Float32 to binary16, rounding to nearest, ties to even; values beyond ±65,504 become infinite. */
export function narrowToHalves(values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.length);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let index = 0; index < values.length; index++) halves[index] = floatBitsToHalf(bits[index]!);
  return halves;
}

let widenedTable: Float32Array | undefined;

function halfTable(): Float32Array {
  widenedTable ??= Float32Array.from({ length: 0x10000 }, (_, half) => halfToFloat(half));
  return widenedTable;
}

function floatBitsToHalf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const fraction = bits & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200);
  const halfExponent = exponent - 127 + HALF_EXPONENT_BIAS;
  if (halfExponent >= 0x1f) return sign | 0x7c00;
  if (halfExponent > 0) return sign | roundShift((halfExponent << 23) | fraction, 13);
  if (halfExponent < -10) return sign;
  return sign | roundShift(fraction | 0x800000, 14 - halfExponent);
}

/** value / 2^shift, rounded to nearest, ties to even. A carry runs into the exponent, as it should. */
function roundShift(value: number, shift: number): number {
  const kept = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept;
}
