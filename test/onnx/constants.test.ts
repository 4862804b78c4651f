import { constantTensor, constantValue } from '../../src/onnx/constants';
import { parseModel } from '../../src/onnx/load';
import { inferShapes, inferShapesAndValues } from '../../src/onnx/shapes';
import { float32Tensor, int64Tensor } from '../../src/onnx/tensor';
import { ModelBuilder } from '../support/modelBuilder';

function graphOf(build: (b: ModelBuilder, x: string) => string, opset = 13) {
  const b = new ModelBuilder({ opset });
  const name = build(b, b.input('input', ['N', 3, 8, 6]));
  b.output(name, undefined, 'int64');
  const model = parseModel(b.bytes());
  return { model, graph: model.graph, name };
}

test('constants are found as initializers and Constant nodes of every form, also through Identity', () => {
  const { graph, name } = graphOf((b) => b.node('Identity', [b.constant(int64Tensor('c', [2], [4, 5]))]));
  expect(constantTensor(graph, name)?.dims).toEqual([2]);
  expect(constantValue(graph, name)).toEqual({ dims: [2], values: [4, 5] });
  const plain = (attributes: Record<string, number | readonly number[]>) => {
    const built = graphOf((b) => b.node('Constant', [], attributes));
    return constantValue(built.graph, built.name);
  };
  expect(plain({ value_int: 7 })).toEqual({ dims: [], values: [7] });
  expect(plain({ value_ints: [7, 8] })).toEqual({ dims: [2], values: [7, 8] });
  expect(plain({ value_float: 0.5 })).toEqual({ dims: [], values: [0.5] });
});

test('integer chains fold without shapes', () => {
  const { graph, name } = graphOf((b) => {
    const total = b.node('Mul', [b.ints([2, 3]), b.ints(4)]);
    const divided = b.node('Div', [b.node('Sub', [total, b.ints([1, 1])]), b.ints(-2)]);
    const head = b.node('Unsqueeze', [b.node('Gather', [divided, b.ints(-1)]), b.ints([0])]);
    const cast = b.node('Cast', [b.node('Floor', [b.node('Cast', [head], { to: 1 })])], { to: 7 });
    return b.node('Concat', [cast, divided, b.node('Slice', [total, b.ints([1]), b.ints([9])])], { axis: 0 });
  });
  // Integer division rounds towards zero: −7/2 and −11/2.
  expect(constantValue(graph, name)?.values).toEqual([-5, -3, -5, 12]);
});

test('chains over Shape fold as far as the shapes are known', () => {
  const { model, graph, name } = graphOf((b, x) => {
    const area = b.node('Slice', [b.node('Shape', [x]), b.ints([2]), b.ints([4])]);
    return b.node('Mul', [area, b.ints([2, 2])]);
  });
  expect(constantValue(graph, name)).toBeUndefined();
  expect(constantValue(graph, name, { shapes: inferShapes(model) })).toEqual({ dims: [2], values: [16, 12] });
});

test('symbols survive what does not change them, and nothing is invented', () => {
  const { model, name } = graphOf((b, x) => {
    const shape = b.node('Mul', [b.node('Add', [b.node('Shape', [x]), b.ints([0, 0, 1, 0])]), b.ints([1, 2, 1, 1])]);
    return b.node('Concat', [shape, b.node('Mul', [b.node('Shape', [x]), b.ints([2])])], { axis: 0 });
  });
  const { values, shapes } = inferShapesAndValues(model);
  expect(values.get(name)?.elements).toEqual(['N', 6, 9, 6, undefined, 6, 16, 12]);
  expect(constantValue(model.graph, name, { shapes })).toBeUndefined();
});

test('what depends on the input, or is as large as weights, is no constant', () => {
  const dependent = graphOf((b, x) => b.node('Add', [x, b.weights([1])]));
  expect(constantValue(dependent.graph, dependent.name)).toBeUndefined();
  expect(constantTensor(dependent.graph, dependent.name)).toBeUndefined();
  const large = graphOf((b) => b.node('Identity', [b.initializer(float32Tensor('w', [5000], new Float32Array(5000)))]));
  expect(constantValue(large.graph, large.name)).toBeUndefined();
  expect(constantTensor(large.graph, large.name)?.dims).toEqual([5000]);
});
