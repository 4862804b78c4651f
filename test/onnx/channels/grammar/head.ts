import { BATCH, CLASSES, ints, weight, type FeatureMap, type Workshop } from './workshop';

/** Flattened to [N, features] in one of the ways in which exporters write it, then one or two dense layers. */
export function head(workshop: Workshop, last: FeatureMap): string {
  const { model, random } = workshop;
  const isPooled = random.uniform() < 0.5;
  const from = isPooled ? { ...last, name: model.node('GlobalAveragePool', [last.name]), size: 1 } : last;
  const features = from.channels * from.size * from.size;
  let flat = flatten(workshop, from, features);
  let width = features;
  if (random.uniform() < 0.5) {
    flat = model.node('Relu', [dense(workshop, flat, width, 6)]);
    width = 6;
  }
  return dense(workshop, flat, width, CLASSES);
}

function flatten(workshop: Workshop, from: FeatureMap, features: number): string {
  const { model, random } = workshop;
  const kind = random.integer(5);
  if (kind === 0) return model.node('Flatten', [from.name], { axis: 1 });
  if (kind === 1) return model.node('Reshape', [from.name, ints(workshop, [0, -1])]);
  if (kind === 2) return model.node('Reshape', [from.name, ints(workshop, [-1, features])]);
  if (kind === 3) return model.node('Reshape', [from.name, ints(workshop, [BATCH, features])]);
  const batch = model.node('Gather', [model.node('Shape', [from.name]), model.ints([0])]);
  return model.node('Reshape', [from.name, model.node('Concat', [batch, model.ints([-1])], { axis: 0 })]);
}

/** MatMul and Add, or Gemm with either operand the weight and any of the two transposed. */
function dense(workshop: Workshop, input: string, inputs: number, outputs: number): string {
  const { model, random } = workshop;
  if (random.uniform() < 0.4) {
    const product = model.node('MatMul', [input, weight(workshop, [inputs, outputs])]);
    return model.node('Add', [product, weight(workshop, [outputs])]);
  }
  const turned = (tensor: string) => model.node('Transpose', [tensor], { perm: [1, 0] });
  const [transA, transB] = [random.integer(2), random.integer(2)];
  const attributes = { transA, transB, alpha: 0.5, beta: 2 };
  const needsAddend = workshop.opset < 11;
  if (random.uniform() < 0.7) {
    const operands = [transA === 1 ? turned(input) : input];
    operands.push(weight(workshop, transB === 1 ? [outputs, inputs] : [inputs, outputs]));
    if (needsAddend || random.uniform() < 0.7)
      operands.push(weight(workshop, random.uniform() < 0.5 ? [outputs] : [1, outputs]));
    return model.node('Gemm', operands, attributes);
  }
  const operands = [weight(workshop, transA === 1 ? [inputs, outputs] : [outputs, inputs])];
  operands.push(transB === 1 ? input : turned(input));
  if (needsAddend || random.uniform() < 0.7) operands.push(weight(workshop, [outputs, 1]));
  return turned(model.node('Gemm', operands, attributes));
}
