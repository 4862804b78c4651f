import type { Model } from '../../../src/onnx/ir';
import { layersOf } from '../../../src/onnx/layers/find';
import { removeLayer } from '../../../src/onnx/passes/removeLayer';
import { createRandom } from '../../../src/random';
import { codeOf } from '../../support/errors';
import { canonicalGraph, randomInput, runModel } from '../channels/support';
import * as networks from './networks';

function without(model: Model, ids: readonly string[]): Model {
  return ids.reduce((current, id) => removeLayer(current, { id }), model);
}

test.each([
  ['residual', networks.residual(), ['residual-block:a_add#0', 'residual-block:b_add#0', 'residual-block:d_add#0']],
  [
    'residual, a layer inside a block',
    networks.residual(),
    ['sequential:a_conv1..a_relu1', 'sequential:b_conv2..b_conv2_bn', 'residual-block:c_add#0'],
  ],
  ['pre-activation', networks.preActivation(), ['residual-block:a_add#1', 'residual-block:b_add#1']],
  ['dense', networks.dense(), ['dense-layer:a', 'dense-layer:b', 'dense-layer:c']],
  ['inception', networks.inception(), ['branch:a_left_relu', 'branch:a_plain_relu', 'branch:b_wide_relu']],
  [
    'sequential',
    networks.sequential(),
    ['sequential:same..same_relu', 'sequential:last..last_relu', 'sequential:full2..full2_relu'],
  ],
])('%s: any order gives the same graph', async (_, model, ids) => {
  const [first = '', second = '', third] = ids;
  const orders =
    third === undefined
      ? [[second, first]]
      : [
          [third, second, first],
          [second, third, first],
          [second, first, third],
        ];
  const expectedGraph = without(model, ids);
  for (const order of orders) expect(canonicalGraph(without(model, order))).toBe(canonicalGraph(expectedGraph));
  const [logits] = await runModel(expectedGraph, networks.DIMS, randomInput(networks.DIMS, createRandom(1)));
  expect(logits).toHaveLength(10);
});

test('what went with another layer is refused', () => {
  const model = networks.residual();
  const cut = removeLayer(model, { id: 'residual-block:a_add#0' });
  expect(codeOf(() => removeLayer(cut, { id: 'residual-block:a_add#0' }))).toBe('ERR_OPTION');
  expect(codeOf(() => removeLayer(cut, { id: 'sequential:a_conv1..a_relu1' }))).toBe('ERR_OPTION');
  expect(() => removeLayer(model, { id: 'sequential:stem' })).toThrow(
    expect.objectContaining({ remedy: 'Leave it: it changes the shape: [N, 3, 8, 8] becomes [N, 8, 8, 8].' }) as Error,
  );
});

test('the last branch of a Concat stays: its readers would have nothing left', () => {
  const cut = without(networks.inception(), ['branch:a_inner']);
  const { layers, notRemovable } = layersOf(cut);
  expect(layers.map(({ id }) => id)).not.toContain('branch:a_plain_relu');
  expect(codeOf(() => removeLayer(cut, { id: 'branch:a_plain_relu' }))).toBe('ERR_OPTION');
  expect(notRemovable.find(({ name }) => name === 'b_pool')?.reason).toMatch(/would have nothing left to read$/);
});

test('the original is not touched', () => {
  const model = networks.dense();
  const before = canonicalGraph(model);
  without(model, ['dense-layer:b', 'dense-layer:c']);
  expect(canonicalGraph(model)).toBe(before);
});
