import type { Model, Shape } from '../../../src/onnx/ir';
import { serializeModel } from '../../../src/onnx/save';
import { inferShapes } from '../../../src/onnx/shapes';
import { ModelBuilder } from '../../support/modelBuilder';
import { hasPython, runPython } from '../../support/python';
import { runModel, sampleInput } from '../../support/runtime';
import { CASES, IMAGE } from './cases';

/*
 * Oracles: the dimensions that ONNX Runtime really produces for a batch of 2, and onnx.shape_inference where it knows
 * the operator set (up to 17).
 */

interface Built {
  readonly model: Model;
  readonly names: readonly string[];
  readonly input: readonly number[];
}

function build(entry: (typeof CASES)[number]): Built {
  const b = new ModelBuilder({ opset: entry.opset, irVersion: entry.opset > 17 ? 10 : 8 });
  const shape = entry.input ?? IMAGE;
  const result = entry.build(b, b.input('input', shape), entry.opset);
  const names = typeof result === 'string' ? [result] : result;
  const base = b.build();
  const shapes = inferShapes(base);
  const types = (name: string, index: number) =>
    /ArgMax|indices/i.test(name) || (entry.name === 'MaxPool with indices' && index === 1) || entry.name === 'Cast'
      ? ('int64' as const)
      : ('float32' as const);
  const outputs = names.map((name, index) => ({ name, dataType: types(name, index), shape: shapes.get(name) }));
  const model = { ...base, graph: { ...base.graph, outputs: outputs.map((info) => ({ ...info, shape: undefined })) } };
  return { model, names, input: shape?.map((size) => (typeof size === 'number' ? size : 2)) ?? [] };
}

const withBatch = (shape: Shape) => shape?.map((size) => (size === 'N' ? 2 : size));

test.each(CASES)('$title', async (entry) => {
  const { model, names, input } = build(entry);
  const known = inferShapes(model, { overrides: { input } });
  const symbolic = inferShapes(model);
  const results = await runModel(model, { input: sampleInput(input) });
  for (const name of names) {
    const dims = results.get(name)?.dims;
    expect(known.get(name)).toEqual(dims);
    if (entry.needsBatch !== true) expect(withBatch(symbolic.get(name))).toEqual(dims);
  }
});

test('no dimension contradicts onnx.shape_inference', () => {
  if (!hasPython('onnx')) return;
  const eligible = CASES.filter((entry) => entry.opset <= 17);
  const built = eligible.map(build);
  const script = `
import sys, os, json, onnx
answers = {}
for name in os.listdir(sys.argv[1]):
    model = onnx.shape_inference.infer_shapes(onnx.load(os.path.join(sys.argv[1], name)))
    infos = list(model.graph.value_info) + list(model.graph.output)
    answers[name] = {i.name: [d.dim_param or (d.dim_value if d.HasField('dim_value') else None) for d in i.type.tensor_type.shape.dim]
        for i in infos if i.type.tensor_type.HasField('shape')}
print(json.dumps(answers))`;
  const files = Object.fromEntries(built.map(({ model }, index) => [String(index), serializeModel(model)]));
  const answers = runPython(script, files) as Record<string, Record<string, (number | string | null)[]>>;
  let compared = 0;
  for (const [index, { model }] of built.entries()) {
    // Its ceil_mode keeps windows that lie in the padding, which no runtime produces.
    if (eligible[index]?.name.includes('ceil') === true) continue;
    const own = inferShapes(model);
    for (const [name, reference] of Object.entries(answers[String(index)] ?? {})) {
      const shape = own.get(name);
      expect({ title: eligible[index]?.title, name, rank: shape?.length }).toEqual({
        title: eligible[index]?.title,
        name,
        rank: reference.length,
      });
      const numbers = (sizes: readonly unknown[]) =>
        sizes.map((size, axis) =>
          typeof size === 'number' && typeof reference[axis] === 'number' && typeof shape?.[axis] === 'number'
            ? size
            : '?',
        );
      expect({ title: eligible[index]?.title, sizes: numbers(shape ?? []) }).toEqual({
        title: eligible[index]?.title,
        sizes: numbers(reference),
      });
      compared += 1;
    }
  }
  expect(compared).toBeGreaterThan(200);
});
