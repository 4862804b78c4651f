import {
  clearField,
  isFieldSet,
  toBinary,
  type DescField,
  type DescMessage,
  type MessageShape,
} from '@bufbuild/protobuf';

import type { Tensor } from '../ir';
import { copyTensor } from '../tensor';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
} from './generated/onnx_pb';
import { shallowCopy } from './origin';

/** A run of bytes of a file, whose length is known before it is made: bytes that are there, or a way to make them. */
type Piece =
  | { readonly length: number; readonly bytes: Uint8Array }
  | { readonly length: number; readonly copyTo: (target: Uint8Array) => void };

/** Short pieces go out together: a call to write each of them would take longer than the writing. */
const CHUNK_BYTES = 1 << 20;

const DEFERRED = Symbol('deferred data');

/** A message whose `rawData` is left empty until it is written: the weights, which make up nearly all of a file. */
interface DeferredTensor extends TensorProto {
  [DEFERRED]?: Tensor;
}

export function deferData(message: TensorProto, tensor: Tensor): void {
  (message as DeferredTensor)[DEFERRED] = tensor;
}

function deferredData(message: TensorProto): Tensor | undefined {
  return (message as DeferredTensor)[DEFERRED];
}

/** The message in the protobuf encoding, in one allocation: each weight is made in its place. */
export function encodeModel(message: ModelProto): Uint8Array {
  const pieces = piecesOfModel(message);
  const result = new Uint8Array(lengthOf(pieces));
  let at = 0;
  for (const piece of pieces) {
    copyPiece(piece, result.subarray(at, at + piece.length));
    at += piece.length;
  }
  return result;
}

/**
 * The same bytes one after the other. A chunk only holds until the next one is asked for: they share an array, as long as
 * the longest weight that has to be made, which is all that is ever made at once.
 */
export function* encodeInChunks(message: ModelProto): Generator<Uint8Array, void> {
  const pieces = piecesOfModel(message);
  const longest = pieces.reduce((most, piece) => ('bytes' in piece ? most : Math.max(most, piece.length)), CHUNK_BYTES);
  const buffer = new Uint8Array(Math.min(longest, lengthOf(pieces)));
  let filled = 0;
  for (const piece of pieces) {
    if (filled > 0 && filled + piece.length > buffer.length) {
      yield buffer.subarray(0, filled);
      filled = 0;
    }
    if (piece.length > buffer.length && 'bytes' in piece) yield piece.bytes;
    else {
      copyPiece(piece, buffer.subarray(filled, filled + piece.length));
      filled += piece.length;
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled);
}

function copyPiece(piece: Piece, target: Uint8Array): void {
  if ('bytes' in piece) target.set(piece.bytes);
  else piece.copyTo(target);
}

/** Length of what `encodeModel` gives, without the weights being made. */
export function encodedLength(message: ModelProto): number {
  const { graph } = message;
  const around = lengthWithout(ModelProtoSchema, message, ModelProtoSchema.field.graph);
  return graph === undefined
    ? around
    : around + lengthOfField(ModelProtoSchema.field.graph.number, lengthOfGraph(graph));
}

function lengthOfGraph(message: GraphProto): number {
  const { initializer, node } = GraphProtoSchema.field;
  let length = lengthWithout(GraphProtoSchema, message, initializer, node);
  for (const tensor of message.initializer) length += lengthOfField(initializer.number, lengthOfTensor(tensor));
  for (const entry of message.node) length += lengthOfField(node.number, lengthOfNode(entry));
  return length;
}

/** Messages that come from the file are the same in every cut of a model: a search for a budget measures dozens. */
const knownLengths = new WeakMap<TensorProto | NodeProto, number>();

function remembered<M extends TensorProto | NodeProto>(message: M, measure: () => number): number {
  const known = knownLengths.get(message);
  if (known !== undefined) return known;
  const length = measure();
  knownLengths.set(message, length);
  return length;
}

function lengthOfTensor(message: TensorProto): number {
  const { rawData } = TensorProtoSchema.field;
  const lengthAround = (): number => lengthWithout(TensorProtoSchema, message, rawData);
  const tensor = deferredData(message);
  if (tensor !== undefined) return lengthAround() + lengthOfField(rawData.number, tensor.byteLength);
  return remembered(message, () => {
    const { length } = message.rawData;
    return lengthAround() + (length > 0 || isFieldSet(message, rawData) ? lengthOfField(rawData.number, length) : 0);
  });
}

function lengthOfNode(message: NodeProto): number {
  return remembered(message, () => toBinary(NodeProtoSchema, message).length);
}

function lengthWithout<S extends DescMessage>(schema: S, message: MessageShape<S>, ...fields: DescField[]): number {
  const copy = shallowCopy(message);
  for (const field of fields) clearField(copy, field);
  return toBinary(schema, copy).length;
}

function lengthOfField(number: number, length: number): number {
  return headerOf(number, length).length + length;
}

function piecesOfModel(message: ModelProto): Piece[] {
  const { number } = ModelProtoSchema.field.graph;
  const graph = message.graph === undefined ? [] : withLength(number, piecesOfGraph(message.graph));
  return around(ModelProtoSchema, message, number, graph);
}

function piecesOfGraph(message: GraphProto): Piece[] {
  const { number } = GraphProtoSchema.field.initializer;
  const initializers = message.initializer.flatMap((tensor) => withLength(number, piecesOfTensor(tensor)));
  return around(GraphProtoSchema, message, number, initializers);
}

function piecesOfTensor(message: TensorProto): Piece[] {
  const tensor = deferredData(message);
  if (tensor === undefined && message.rawData.length === 0) return [known(toBinary(TensorProtoSchema, message))];
  const { number } = TensorProtoSchema.field.rawData;
  const data = tensor === undefined ? known(message.rawData) : dataOf(tensor);
  return around(TensorProtoSchema, message, number, withLength(number, [data]));
}

/** One field of a message encoded by itself, the others around it in the order of their numbers, as encoders do. */
function around<S extends DescMessage>(
  schema: S,
  message: MessageShape<S>,
  number: number,
  field: readonly Piece[],
): Piece[] {
  const part = (isKept: (other: number) => boolean): MessageShape<S> => {
    const copy = shallowCopy(message);
    for (const other of schema.fields) if (!isKept(other.number)) clearField(copy, other);
    return copy;
  };
  const before = part((other) => other < number);
  delete before.$unknown;
  return [
    known(toBinary(schema, before)),
    ...field,
    known(
      toBinary(
        schema,
        part((other) => other > number),
      ),
    ),
  ];
}

function dataOf(tensor: Tensor): Piece {
  return { length: tensor.byteLength, copyTo: (target) => copyTensor(tensor, target) };
}

function known(bytes: Uint8Array): Piece {
  return { length: bytes.length, bytes };
}

function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

const LENGTH_DELIMITED = 2;

/** A field that is a message or bytes: its tag and its length come first, both as variable-length numbers. */
function withLength(field: number, pieces: readonly Piece[]): Piece[] {
  return [known(Uint8Array.from(headerOf(field, lengthOf(pieces)))), ...pieces];
}

function headerOf(field: number, length: number): number[] {
  return [...variableLength(field * 8 + LENGTH_DELIMITED), ...variableLength(length)];
}

/** Seven bits a byte, the lowest first; the highest bit says that more follow. */
function variableLength(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}
