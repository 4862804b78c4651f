import { float32Tensor } from '../../../src/onnx/tensor';
import { ModelBuilder } from '../../support/modelBuilder';
import { NAMED, pooled, REFUSALS, toChannelsLast } from './refusalCases';
import { analyze } from './support';

test.each(REFUSALS)('%s: %s', (_, reason, build) => {
  const model = new ModelBuilder({ opset: 17 });
  const input = model.input('input', ['N', 3, 8, 8]);
  const x = model.conv(input, 3, 4, 1, {}, { name: 'first', outputs: ['x'] });
  const y = build(model, x);
  if (y !== x) model.output(y);
  const { groups, notCut } = analyze(model.build());
  // Of a single channel that was made on the way, or of x itself.
  const refused = groups.find((group) => group.id === 'one') ?? groups[0];
  expect(refused).toMatchObject({
    id: groups.some((group) => group.id === 'one') ? 'one' : 'x',
    prunable: false,
    reason,
  });
  expect(notCut.map((entry) => entry.reason)).toContain(reason);
});

test('a layer that filters the input channel by channel says why it can not be cut', () => {
  const model = new ModelBuilder();
  const x = model.conv(model.input('input', ['N', 3, 8, 8]), 3, 6, 3, { group: 3 }, NAMED);
  const { groups, notCut } = analyze((model.output(x), model.build()));
  expect(groups).toHaveLength(0);
  expect(notCut).toEqual([
    { name: 'culprit', reason: 'Conv "culprit" filters the channels of an input that stays whole one by one' },
  ]);
});

test('the only channel of a gate stays', () => {
  const model = new ModelBuilder();
  const input = model.input('input', ['N', 3, 8, 8]);
  const x = model.conv(input, 3, 4, 1);
  const gate = model.conv(x, 4, 1, 1, {}, { outputs: ['gate'] });
  model.output(pooled(model, model.node('Mul', [x, gate], {}, NAMED)));
  const { groups } = analyze(model.build());
  expect(groups.find((group) => group.id === 'gate')).toMatchObject({
    prunable: false,
    reason: 'Mul "culprit" broadcasts its only channel',
  });
});

test('a single channel has nothing to give', () => {
  const model = new ModelBuilder();
  const x = model.conv(model.input('input', ['N', 3, 8, 8]), 3, 1, 1);
  model.output(model.conv(x, 1, 4, 1));
  expect(analyze(model.build()).groups[0]).toMatchObject({
    prunable: false,
    reason: 'all its channels can only go together',
  });
});

test('a Gemm whose addend has fixed channels keeps them', () => {
  const model = new ModelBuilder();
  const x = pooled(model, model.conv(model.input('input', ['N', 3, 8, 8]), 3, 4, 1));
  const addend = model.input('addend', ['N', 6]);
  const y = model.node('Gemm', [x, model.weights([4, 6]), addend], {}, { ...NAMED, outputs: ['sum'] });
  model.output(model.gemm(y, 6, 2));
  const { groups } = analyze(model.build());
  expect(groups.map((group) => group.prunable)).toEqual([true, false, false]);
  expect(groups[1]?.reason).toBe('Gemm "culprit" adds "addend", whose channels can not be cut');
});

test('Softmax normalised everything from its axis on before operator set 13', () => {
  const reasonIn = (opset: number) => {
    const model = new ModelBuilder({ opset });
    const x = model.conv(model.input('input', ['N', 3, 8, 8]), 3, 4, 1);
    const rows = model.node('Softmax', [toChannelsLast(model, x)], { axis: 1 }, NAMED);
    model.output(model.node('MatMul', [rows, model.weights([4, 2])]));
    return analyze(model.build()).groups[0]?.reason;
  };
  expect(reasonIn(11)).toBe('Softmax "culprit" normalises across the channels');
  expect(reasonIn(13)).toBeUndefined();
});

test('statistics of every position (before operator set 9)', () => {
  const model = new ModelBuilder({ opset: 7 });
  const x = model.conv(model.input('input', ['N', 3, 8, 8]), 3, 4, 1);
  const parameters = [1, 2, 3, 4].map(() => model.weights([4, 8, 8]));
  model.output(model.node('BatchNormalization', [x, ...parameters], { spatial: 0 }, NAMED));
  expect(analyze(model.build()).groups[0]?.reason).toBe(
    'BatchNormalization "culprit" keeps statistics of every position (spatial = 0)',
  );
});

test('weights of strings or of unknown types are no weights', () => {
  const model = new ModelBuilder();
  const input = model.input('input', ['N', 3, 8, 8]);
  const x = model.conv(input, 3, 4, 1);
  const weight = { ...float32Tensor('odd', [2, 4, 1, 1], new Float32Array(8)), dataType: 'other' as const };
  model.output(model.node('Conv', [x, model.initializer(weight)], {}, NAMED));
  expect(analyze(model.build()).groups[0]?.reason).toBe('Conv "culprit" has weights that are not constant');
});

test('a tensor of unknown rank is left alone', () => {
  const model = new ModelBuilder();
  const x = model.conv(model.input('input', undefined), 3, 4, 1, {}, { ...NAMED, outputs: ['x'] });
  model.output(model.conv(x, 4, 2, 1));
  const { groups } = analyze(model.build());
  expect(groups[0]).toMatchObject({ id: 'x', prunable: false });
  expect(groups[0]?.reason).toBe('Conv "culprit" writes "x", whose shape is not known well enough');
});

test('a product with an input of unknown rank makes no channels', () => {
  const model = new ModelBuilder();
  model.output(model.node('MatMul', [model.input('input', undefined), model.weights([4, 2])], {}, NAMED));
  expect(analyze(model.build()).notCut).toEqual([
    { name: 'culprit', reason: 'MatMul "culprit" reads an input of unknown rank' },
  ]);
});
