import { clearField, toBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';

import { expected } from '../../errors';
import type { Tensor } from '../ir';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProtoSchema,
  type GraphProto,
  type ModelProto,
  type TensorProto,
} from './generated/onnx_pb';
import { shallowCopy } from './origin';

/** A run of bytes of a file, whose length is known before it is made. */
interface Piece {
  readonly length: number;
  readonly bytes: () => Uint8Array;
}

/** Data of messages whose `rawData` is left empty until they are written: the weights, which make up nearly all of a file. */
const deferredData = new WeakMap<TensorProto, Tensor>();

export function deferData(message: TensorProto, tensor: Tensor): void {
  deferredData.set(message, tensor);
}

/**
 * The message in the protobuf encoding, in one allocation: each weight is made when its place is reached, so that no
 * more than one of them exists beside the result.
 */
export function encodeModel(message: ModelProto): Uint8Array {
  const pieces = piecesOfModel(message);
  const result = new Uint8Array(lengthOf(pieces));
  let at = 0;
  for (const piece of pieces) {
    result.set(piece.bytes(), at);
    at += piece.length;
  }
  return result;
}

/** Length of what `encodeModel` gives, without the weights being made. */
export function encodedLength(message: ModelProto): number {
  return lengthOf(piecesOfModel(message));
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
  const tensor = deferredData.get(message);
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
  return {
    length: tensor.byteLength,
    bytes() {
      const bytes = tensor.bytes();
      if (bytes.length === tensor.byteLength) return bytes;
      throw expected('ERR_SHAPE', `${tensor.byteLength} bytes`, `tensor "${tensor.name}"`, `${bytes.length} bytes`);
    },
  };
}

function known(bytes: Uint8Array): Piece {
  return { length: bytes.length, bytes: () => bytes };
}

function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0);
}

const LENGTH_DELIMITED = 2;

/** A field that is a message or bytes: its tag and its length come first, both as variable-length numbers. */
function withLength(field: number, pieces: readonly Piece[]): Piece[] {
  const header = [...variableLength(field * 8 + LENGTH_DELIMITED), ...variableLength(lengthOf(pieces))];
  return [known(Uint8Array.from(header)), ...pieces];
}

/** Seven bits a byte, the lowest first; the highest bit says that more follow. */
function variableLength(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}
