import { createHash } from 'node:crypto';
import { access, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { assertWritable, writeFileAtomic } from '../files';
import type { ModelBytes } from '../types';
import type { Model, Tensor } from './ir';
import { cameWithExternalData, externalReferences } from './proto/external';
import type { ExternalPlacement, TensorPlacement } from './proto/buildTensor';
import { serializeInChunks, serializeModelProto } from './proto/serialize';
import { copyTensor } from './tensor';

/** Protobuf itself ends at 2 GiB; encoders and runtimes get into trouble shortly before. */
const LARGEST_INLINE_BYTES = 1.9 * 2 ** 30;
/** Smaller tensors (shapes, scalars) stay in the model file, where shape inference of any tool finds them. */
const SMALLEST_EXTERNAL_BYTES = 1024;
/** Memory mapping wants page-aligned offsets. */
const EXTERNAL_ALIGNMENT_BYTES = 4096;
const HASH_CHUNK_BYTES = 1 << 25;

/**
 * The model as an ONNX file: the bytes it was parsed from (the same array) where nothing differs, else a
 * re-encoding that keeps everything this package does not model. External tensors stay references.
 */
export function serializeModel(model: Model): Uint8Array {
  return serializeModelProto(model);
}

/**
 * The model as ONNX Runtime can open it from memory. External data is pulled into the bytes where the whole
 * stays below 1.9 GiB; above that each large tensor becomes an entry of `externalData`, without a copy.
 */
export function toModelBytes(model: Model): ModelBytes {
  if (weightBytes(model) <= LARGEST_INLINE_BYTES) {
    const inline = externalReferences(model).length > 0 ? () => 'inline' as const : undefined;
    return { bytes: serializeModelProto(model, inline) };
  }
  const placements = new Map<Tensor, ExternalPlacement>();
  for (const tensor of largeInitializers(model))
    placements.set(tensor, { location: `weights-${placements.size}`, offset: 0, length: tensor.byteLength });
  return {
    bytes: serializeModelProto(model, (tensor) => placements.get(tensor) ?? 'inline'),
    externalData: [...placements].map(([tensor, { location }]) => ({ path: location, data: tensor.bytes() })),
  };
}

/**
 * Writes the model to `path`, whole or not at all. A model that came with external data, or whose weights
 * exceed 1.9 GiB, gets its weights in one new file beside it; that file's name holds a hash of its contents, so
 * that no other model's data is ever replaced. Errors: ERR_OUTPUT_EXISTS (without `force`), ERR_OUTPUT_UNWRITABLE.
 */
export async function writeModel(
  model: Model,
  path: string,
  options: { readonly force?: boolean } = {},
): Promise<void> {
  await assertWritable(path, options);
  if (!cameWithExternalData(model) && weightBytes(model) <= LARGEST_INLINE_BYTES) {
    await writeFileAtomic(path, serializeInChunks(model), options);
    return;
  }
  const { data, offsets } = concatenate(largeInitializers(model));
  if (data.length === 0) {
    await writeFileAtomic(
      path,
      serializeInChunks(model, () => 'inline'),
      options,
    );
    return;
  }
  const location = `${basename(path)}.${(await contentHash(data)).slice(0, 12)}.data`;
  const dataPath = join(dirname(path), location);
  const placement: TensorPlacement = (tensor) => {
    const offset = offsets.get(tensor);
    return offset === undefined ? 'inline' : { location, offset, length: tensor.byteLength };
  };
  const chunks = serializeInChunks(model, placement);
  const wasThere = await exists(dataPath);
  await writeFileAtomic(dataPath, data, { force: true });
  try {
    await writeFileAtomic(path, chunks, options);
  } catch (error) {
    if (!wasThere) await rm(dataPath, { force: true });
    throw error;
  }
}

function weightBytes(model: Model): number {
  return [...model.graph.initializers.values()].reduce((sum, tensor) => sum + tensor.byteLength, 0);
}

function largeInitializers(model: Model): Tensor[] {
  return [...model.graph.initializers.values()].filter((tensor) => tensor.byteLength >= SMALLEST_EXTERNAL_BYTES);
}

function concatenate(tensors: readonly Tensor[]): { data: Uint8Array; offsets: Map<Tensor, number> } {
  const offsets = new Map<Tensor, number>();
  let length = 0;
  for (const tensor of tensors) {
    length = Math.ceil(length / EXTERNAL_ALIGNMENT_BYTES) * EXTERNAL_ALIGNMENT_BYTES;
    offsets.set(tensor, length);
    length += tensor.byteLength;
  }
  const data = new Uint8Array(length);
  for (const [tensor, offset] of offsets) copyTensor(tensor, data.subarray(offset, offset + tensor.byteLength));
  return { data, offsets };
}

/** In pieces, with a turn of the event loop between them: the data may be gigabytes (and one update ends at 2 GiB). */
async function contentHash(data: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let start = 0; start < data.length; start += HASH_CHUNK_BYTES) {
    hash.update(data.subarray(start, start + HASH_CHUNK_BYTES));
    await setImmediate();
  }
  return hash.digest('hex');
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
