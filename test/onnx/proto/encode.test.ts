import { parseModel } from '../../../src/onnx/load';
import type { Model } from '../../../src/onnx/ir';
import { serializedLength, serializeInChunks, serializeModelProto } from '../../../src/onnx/proto/serialize';
import { selectPositions } from '../../../src/onnx/selectPositions';
import { ModelBuilder } from '../../support/modelBuilder';

const WIDTH = 530;

/** Weights below and above the length of a chunk (a mebibyte), read from a file; one of the large ones is cut. */
function model({ isCut }: { readonly isCut: boolean }): Model {
  const builder = new ModelBuilder();
  const flat = builder.node('Flatten', [builder.input('input', ['N', 3, 8, 8])]);
  const hidden = builder.node('Gemm', [flat, builder.weights([192, WIDTH])]);
  const deep = builder.node('Gemm', [hidden, builder.weights([WIDTH, WIDTH])]);
  const other = builder.node('Gemm', [hidden, builder.weights([WIDTH, WIDTH])]);
  builder.output(builder.node('Concat', [deep, other], { axis: 1 }), ['N', 2 * WIDTH]);
  const read = parseModel(serializeModelProto(builder.build()));
  const [, large] = [...read.graph.initializers.values()].filter(({ byteLength }) => byteLength >= WIDTH * WIDTH * 4);
  if (!isCut || large === undefined) return read;
  const positions = Array.from({ length: WIDTH - 10 }, (_, index) => index + (index > 300 ? 10 : 0));
  const initializers = new Map(read.graph.initializers);
  initializers.set(large.name, selectPositions(large, [{ axis: 1, positions }]));
  return { ...read, graph: { ...read.graph, initializers } };
}

test.each([false, true])('chunks join to the bytes of the model, in the foretold length (cut: %s)', (isCut) => {
  const made = model({ isCut });
  const bytes = serializeModelProto(made);
  const chunks = [...copies(serializeInChunks(made))];
  expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  expect(serializedLength(made)).toBe(bytes.length);
  expect(chunks.length > 1).toBe(isCut);
});

/** A chunk only holds until the next one. */
function* copies(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const chunk of chunks) yield Uint8Array.from(chunk);
}
