/** Values of each slot of a channel group, ready for the kernels: row-major [rows, slots, dims]. */
export interface SlotFeatures {
  readonly features: Float32Array;
  readonly rows: number;
  readonly slots: number;
  readonly dims: number;
}

/**
 * Regroups an activation tensor by slot. Each slot takes all positions it has along `axis` (several after a Flatten),
 * each with everything that lies behind it.
 *
 * @param activation row-major [rows, ...dims.slice(1)]
 * @param axis the channel axis, at least 1; `slotOf[i]` is the slot of index i, −1 where it has none
 * @returns the activation itself where the order is right already, else a copy. Linear in its size.
 */
export function slotFeatures(
  activation: Float32Array,
  dims: readonly number[],
  axis: number,
  slotOf: readonly number[],
  slots: number,
): SlotFeatures {
  const rows = dims[0] ?? 0;
  const outer = product(dims.slice(1, axis));
  const length = dims[axis] ?? 0;
  const inner = product(dims.slice(axis + 1));
  const positions: number[][] = Array.from({ length: slots }, () => []);
  slotOf.forEach((slot, index) => positions[slot]?.push(index));
  const perSlot = Math.max(0, ...positions.map((list) => list.length));
  const slotDims = outer * perSlot * inner;

  if (
    outer === 1 &&
    length === slots * perSlot &&
    slotOf.every((slot, index) => slot === Math.floor(index / perSlot))
  ) {
    return { features: activation, rows, slots, dims: slotDims };
  }
  // A slot with fewer positions than the others is filled up with zeros, which change no distance.
  const features = new Float32Array(rows * slots * slotDims);
  const sampleSize = outer * length * inner;
  for (let row = 0; row < rows; row++) {
    positions.forEach((list, slot) => {
      let target = (row * slots + slot) * slotDims;
      for (let block = 0; block < outer; block++) {
        for (const index of list) {
          const source = row * sampleSize + (block * length + index) * inner;
          features.set(activation.subarray(source, source + inner), target);
          target += inner;
        }
      }
    });
  }
  return { features, rows, slots, dims: slotDims };
}

/** Keeps some indices along one axis of a row-major tensor. Returns the tensor itself where all of them stay. */
export function selectChannels(
  data: Float32Array,
  dims: readonly number[],
  axis: number,
  kept: readonly number[],
): Float32Array {
  const length = dims[axis] ?? 0;
  if (kept.length === length) return data;
  const outer = product(dims.slice(0, axis));
  const inner = product(dims.slice(axis + 1));
  const selected = new Float32Array(outer * kept.length * inner);
  for (let block = 0; block < outer; block++) {
    kept.forEach((index, position) => {
      const source = (block * length + index) * inner;
      selected.set(data.subarray(source, source + inner), (block * kept.length + position) * inner);
    });
  }
  return selected;
}

function product(values: readonly number[]): number {
  return values.reduce((total, value) => total * value, 1);
}
