import { createHash } from 'node:crypto';
import { expected, SieveError, type SieveErrorOptions } from '../../errors';
import type { EpochRecord } from './history';
import { describePlan, type PlanDescription, type TrainingPlan } from './plan';

/** The trainable state by name: weights, momentum, running statistics … */
export type NamedVectors = Readonly<Record<string, Float32Array>>;

/** A run as it was at the end of an epoch. */
export interface Checkpoint {
  readonly model: string;
  readonly plan: PlanDescription;
  /** One record for each finished epoch. */
  readonly history: readonly EpochRecord[];
  readonly state: NamedVectors;
  /** The state after the best epoch, where it is kept; the same object as `state` where that was the last. */
  readonly best: NamedVectors | undefined;
}

/*
 * The file, little-endian:
 *   8 bytes   "SIEVECKP"
 *   uint32    version
 *   uint32    bytes of the header
 *   header    JSON: everything but the numbers, and the names and lengths of the vectors
 *   float32   the vectors of `state`, then those of `best` where it is another state
 *   32 bytes  SHA-256 of all bytes before
 */
const MAGIC = Buffer.from('SIEVECKP', 'latin1');
const VERSION = 1;
const PREFIX_BYTES = MAGIC.length + 8;
const DIGEST_BYTES = 32;
const MAXIMUM_HEADER_BYTES = 1 << 26;

interface Header {
  readonly model: string;
  readonly plan: PlanDescription;
  readonly history: readonly EpochRecord[];
  readonly vectors: readonly { readonly name: string; readonly length: number }[];
  readonly best: 'none' | 'same' | 'own';
}

/** Errors: ERR_SHAPE where `best` has other vectors than `state`. */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  const { model, plan, history, state, best } = checkpoint;
  const vectors = Object.entries(state).map(([name, values]) => ({ name, length: values.length }));
  const own = best !== undefined && best !== state ? best : undefined;
  if (own !== undefined) assertSameVectors(own, state, 'ERR_SHAPE', 'the best state of a checkpoint');
  const header: Header = {
    model,
    plan,
    history,
    vectors,
    best: best === undefined ? 'none' : own === undefined ? 'same' : 'own',
  };
  const headerBytes = Buffer.from(JSON.stringify(header), 'utf8');
  const states = own === undefined ? [state] : [state, own];
  const stateBytes = 4 * vectors.reduce((total, { length }) => total + length, 0);
  const bytes = new Uint8Array(PREFIX_BYTES + headerBytes.length + states.length * stateBytes + DIGEST_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC, 0);
  view.setUint32(MAGIC.length, VERSION, true);
  view.setUint32(MAGIC.length + 4, headerBytes.length, true);
  bytes.set(headerBytes, PREFIX_BYTES);
  let offset = PREFIX_BYTES + headerBytes.length;
  for (const vectorsOfState of states) {
    for (const { name } of vectors) {
      const values = vectorsOfState[name]!;
      bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), offset);
      offset += values.byteLength;
    }
  }
  bytes.set(digestOf(bytes.subarray(0, offset)), offset);
  return bytes;
}

/**
 * Reads a checkpoint; the bytes may come from anywhere. Whether it fits a run is for `assertResumable`.
 * Errors: ERR_DATA_UNREADABLE for anything that is not exactly one whole checkpoint of this version.
 */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  if (!MAGIC.equals(bytes.subarray(0, MAGIC.length))) {
    throw unreadable('a checkpoint of a training run', 'the file', 'other data', {
      remedy: 'Name the checkpoint that the training run wrote.',
    });
  }
  if (bytes.length < PREFIX_BYTES + DIGEST_BYTES) throw truncated(PREFIX_BYTES + DIGEST_BYTES, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(MAGIC.length, true);
  if (version !== VERSION) {
    throw unreadable(`version ${VERSION}`, 'a checkpoint', version, {
      remedy: 'Go on with the version of onnx-sieve that wrote it, or start the training anew.',
    });
  }
  const headerLength = view.getUint32(MAGIC.length + 4, true);
  if (headerLength > MAXIMUM_HEADER_BYTES) {
    throw unreadable(`at most ${MAXIMUM_HEADER_BYTES} bytes`, 'the header of a checkpoint', headerLength);
  }
  const vectorsStart = PREFIX_BYTES + headerLength;
  if (bytes.length < vectorsStart + DIGEST_BYTES) throw truncated(vectorsStart + DIGEST_BYTES, bytes.length);
  const header = parseHeader(bytes.subarray(PREFIX_BYTES, vectorsStart));

  const stateBytes = 4 * header.vectors.reduce((total, { length }) => total + length, 0);
  const end = vectorsStart + stateBytes * (header.best === 'own' ? 2 : 1);
  if (bytes.length < end + DIGEST_BYTES) throw truncated(end + DIGEST_BYTES, bytes.length);
  if (bytes.length > end + DIGEST_BYTES) {
    throw unreadable(`${end + DIGEST_BYTES} bytes`, 'a checkpoint', bytes.length, { remedy: START_ANEW });
  }
  if (!digestOf(bytes.subarray(0, end)).equals(bytes.subarray(end))) {
    throw unreadable('the contents that were written', 'a checkpoint', 'a different checksum', { remedy: START_ANEW });
  }
  const state = readVectors(bytes, vectorsStart, header.vectors);
  const best =
    header.best === 'own'
      ? readVectors(bytes, vectorsStart + stateBytes, header.vectors)
      : header.best === 'same'
        ? state
        : undefined;
  return { model: header.model, plan: header.plan, history: header.history, state, best };
}

/**
 * Whether `plan` may go on from the checkpoint, bit for bit.
 * Errors: ERR_DATA_MISMATCH for another model or another plan (it names the fields that differ);
 * ERR_DATA_UNREADABLE where the history is not one of such a plan.
 */
export function assertResumable(checkpoint: Checkpoint, plan: TrainingPlan): void {
  if (checkpoint.model !== plan.model) {
    throw expected('ERR_DATA_MISMATCH', `a checkpoint of model ${plan.model}`, 'resuming', checkpoint.model, {
      remedy: 'Resume with the model file that the training began with, or start anew.',
    });
  }
  const wanted = describePlan(plan);
  const names = new Set([...Object.keys(wanted), ...Object.keys(checkpoint.plan)]);
  const different = [...names].filter((name) => wanted[name] !== checkpoint.plan[name]);
  if (different.length > 0) {
    const say = (description: PlanDescription): string =>
      different.map((name) => `${name} ${shorten(description[name] ?? 'nothing')}`).join(', ');
    throw new SieveError(
      'ERR_DATA_MISMATCH',
      `Expected a checkpoint of the same plan (${say(wanted)}) for resuming but received one of ${say(checkpoint.plan)}`,
      { remedy: 'Resume with the options and the data that the training began with, or start anew.' },
    );
  }
  const { history, best } = checkpoint;
  const validated = plan.keepBest !== undefined || plan.patience !== undefined;
  const fits =
    history.length <= plan.epochs &&
    history.every(({ epoch, validation }, index) => epoch === index + 1 && (!validated || validation !== undefined)) &&
    (plan.keepBest !== undefined) === (best !== undefined);
  if (!fits) throw unreadable('the history of this plan', 'a checkpoint', 'another', { remedy: START_ANEW });
}

/** Errors: `code` where names or lengths differ. */
export function assertSameVectors(
  received: NamedVectors,
  wanted: NamedVectors,
  code: 'ERR_SHAPE' | 'ERR_DATA_MISMATCH',
  subject: string,
): void {
  const say = (vectors: NamedVectors, name: string): string =>
    Object.hasOwn(vectors, name) ? `${vectors[name]!.length} values` : 'nothing';
  for (const name of new Set([...Object.keys(wanted), ...Object.keys(received)])) {
    if (say(wanted, name) === say(received, name)) continue;
    throw new SieveError(
      code,
      `Expected ${say(wanted, name)} named "${name}" for ${subject} but received ${say(received, name)}`,
      { remedy: START_ANEW },
    );
  }
}

const START_ANEW = 'Start the training anew.';

function parseHeader(bytes: Uint8Array): Header {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw unreadable('JSON', 'the header of a checkpoint', 'something else', { cause, remedy: START_ANEW });
  }
  if (!isHeader(header)) {
    throw unreadable('the fields of a checkpoint', 'its header', 'others', { remedy: START_ANEW });
  }
  return header;
}

function isHeader(value: unknown): value is Header {
  if (!isRecord(value)) return false;
  const { model, plan, history, vectors, best } = value;
  return (
    typeof model === 'string' &&
    isRecord(plan) &&
    Object.values(plan).every((text) => typeof text === 'string') &&
    Array.isArray(history) &&
    history.length > 0 &&
    history.every(isEpochRecord) &&
    Array.isArray(vectors) &&
    vectors.every(
      (vector: unknown) =>
        isRecord(vector) &&
        typeof vector.name === 'string' &&
        Number.isSafeInteger(vector.length) &&
        (vector.length as number) >= 0,
    ) &&
    new Set(vectors.map((vector: { name: string }) => vector.name)).size === vectors.length &&
    (best === 'none' || best === 'same' || best === 'own')
  );
}

function isEpochRecord(value: unknown): value is EpochRecord {
  if (!isRecord(value)) return false;
  const { epoch, loss, accuracy, learningRate, validation } = value;
  const valid = validation === undefined || (isRecord(validation) && areFinite(validation.loss, validation.top1));
  return valid && areFinite(epoch, loss, accuracy, learningRate);
}

function areFinite(...values: readonly unknown[]): boolean {
  return values.every(Number.isFinite);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Copies: the file's bytes need not be aligned, and may be given up. */
function readVectors(bytes: Uint8Array, start: number, vectors: Header['vectors']): NamedVectors {
  let offset = start;
  return Object.fromEntries(
    vectors.map(({ name, length }) => {
      const values = new Float32Array(length);
      new Uint8Array(values.buffer).set(bytes.subarray(offset, offset + 4 * length));
      offset += 4 * length;
      return [name, values];
    }),
  );
}

function digestOf(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function unreadable(what: string, subject: string, received: unknown, options?: SieveErrorOptions): SieveError {
  return expected('ERR_DATA_UNREADABLE', what, subject, received, options);
}

function truncated(wantedBytes: number, bytes: number): SieveError {
  return unreadable(`${wantedBytes} bytes or more`, 'a checkpoint', bytes, {
    remedy: 'The file was cut off: copy it again, or start the training anew.',
  });
}

function shorten(text: string): string {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
