import { findImageInput, findLogits } from '../../src/onnx/inputs';
import type { DataType, Shape } from '../../src/onnx/ir';
import { parseModel } from '../../src/onnx/load';
import { inferShapes } from '../../src/onnx/shapes';
import { codeOf } from '../support/errors';
import { ModelBuilder } from '../support/modelBuilder';

function imageInput(shape: Shape, dataType: DataType = 'float32', override?: readonly number[]) {
  const b = new ModelBuilder();
  const x = b.input('image', shape, dataType);
  b.output(b.node('Identity', [x]), undefined, dataType);
  const model = parseModel(b.bytes());
  return findImageInput(model, inferShapes(model, override && { overrides: { image: override } }));
}

test('images are found in both layouts, with open or fixed batch', () => {
  expect(imageInput(['N', 3, 32, 48])).toEqual({
    name: 'image',
    layout: 'NCHW',
    channels: 3,
    height: 32,
    width: 48,
    fixedBatch: undefined,
  });
  expect(imageInput([8, 28, 28, 1])).toMatchObject({ layout: 'NHWC', channels: 1, height: 28, fixedBatch: 8 });
  expect(imageInput(['N', 3, 'H', 'W'], 'float32', [4, 3, 64, 96])).toMatchObject({ height: 64, width: 96 });
});

test.each<[string, Shape, DataType]>([
  ['no channels', ['N', 7, 32, 32], 'float32'],
  ['a vector', ['N', 3], 'float32'],
  ['bytes', ['N', 3, 32, 32], 'uint8'],
  ['an open size', ['N', 3, undefined, 32], 'float32'],
  ['no shape at all', undefined, 'float32'],
])('%s is not an image input', (_, shape, dataType) => {
  expect(codeOf(() => imageInput(shape, dataType))).toBe('ERR_MODEL_UNSUPPORTED');
});

test('an open height or width is to be fixed where the model is made: no option states it', () => {
  const open = (): unknown => imageInput(['N', 3, 'H', 32]);
  expect(codeOf(open)).toBe('ERR_MODEL_UNSUPPORTED');
  expect(open).toThrow(expect.objectContaining({ remedy: 'Export the model with a fixed height and width.' }) as Error);
});

test('a second input is named', () => {
  const b = new ModelBuilder();
  const x = b.input('image', ['N', 3, 8, 8]);
  b.output(b.node('Mul', [x, b.input('strength', [1])]));
  const model = parseModel(b.bytes());
  expect(() => findImageInput(model, inferShapes(model))).toThrow(/"strength"|strength/);
});

test('logits are the first [N, classes] output; a final Softmax is seen through', () => {
  const b = new ModelBuilder();
  const x = b.input('image', ['N', 3, 8, 8]);
  const features = b.node('GlobalAveragePool', [b.conv(x, 3, 10, 3)], {}, { outputs: ['features'] });
  const flat = b.node('Flatten', [features], {}, { outputs: ['scores'] });
  b.output('map_output', ['N', 10, 6, 6]);
  b.node('Relu', [b.conv(x, 3, 10, 3)], {}, { outputs: ['map_output'] });
  b.output(b.node('Softmax', [flat], {}, { outputs: ['probabilities'] }), ['N', 10]);
  const model = parseModel(b.bytes());
  expect(findLogits(model, inferShapes(model))).toEqual({
    name: 'probabilities',
    classes: 10,
    beforeSoftmax: 'scores',
  });
});

test('a network without class scores is refused', () => {
  const b = new ModelBuilder();
  b.output(b.conv(b.input('image', ['N', 3, 8, 8]), 3, 10, 3), ['N', 10, 6, 6]);
  const model = parseModel(b.bytes());
  expect(codeOf(() => findLogits(model, inferShapes(model)))).toBe('ERR_MODEL_UNSUPPORTED');
});
