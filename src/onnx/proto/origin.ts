import type { Origin } from '../ir';

/**
 * What an IR value was read from: the protobuf message, and the IR value as it was then. Writing compares the
 * value with that snapshot and rewrites only what differs, so everything else in the message survives.
 */
interface SourceOrigin<M extends object, V> extends Origin {
  readonly message: M;
  snapshot: V | undefined;
}

export interface Source<M extends object, V> {
  readonly message: M;
  readonly snapshot: V;
}

/** Attaches `message` to the value that `build` makes; the value must store the origin it is given. */
export function withOrigin<M extends object, V extends object>(message: M, build: (origin: Origin) => V): V {
  const origin: SourceOrigin<M, V> = { brand: 'onnx-origin', message, snapshot: undefined };
  const value = build(origin);
  origin.snapshot = value;
  return value;
}

/** The message behind an origin of a value of type V; the caller knows M from the kind of value. */
export function sourceOf<M extends object, V>(origin: Origin | undefined): Source<M, V> | undefined {
  const source = origin as SourceOrigin<M, V> | undefined;
  if (source?.snapshot === undefined) return undefined;
  return source as Source<M, V>;
}

/** A copy whose fields can be set without touching the original; unknown fields and defaults come along. */
export function shallowCopy<M extends object>(message: M): M {
  return Object.assign(Object.create(Object.getPrototypeOf(message) as object | null) as M, message);
}
