import { keptPositions, resolveMask } from '../../../src/onnx/channels/mask';
import type { ChannelAnalysis } from '../../../src/onnx/channels/types';
import { cutChannels } from '../../../src/onnx/passes/cutChannels';
import { ModelBuilder } from '../../support/modelBuilder';
import { analyze } from './support';

/** Two convolutions side by side, joined, their join sliced again; a third that shows a part of the first only. */
function network(): { analysis: ChannelAnalysis; model: ReturnType<ModelBuilder['build']> } {
  const model = new ModelBuilder();
  const input = model.input('input', ['N', 3, 4, 4]);
  const first = model.conv(input, 3, 4, 1, {}, { outputs: ['first'] });
  const second = model.conv(input, 3, 3, 1, {}, { outputs: ['second'] });
  const joined = model.node('Concat', [first, second], { axis: 1 }, { outputs: ['joined'] });
  const part = model.node(
    'Slice',
    [joined, model.ints([2]), model.ints([5]), model.ints([1])],
    {},
    { outputs: ['part'] },
  );
  const pooled = model.node('GlobalAveragePool', [part]);
  const flat = model.node('Flatten', [pooled], { axis: 1 });
  model.output(model.gemm(flat, 3, 5, { outputs: ['scores'] }), ['N', 5]);
  const built = model.build();
  return { analysis: analyze(built), model: built };
}

const { analysis, model } = network();

test('an index of a joined tensor goes to the group that it belongs to', () => {
  const removed = resolveMask(analysis, { joined: [1, 4, 6] });
  expect(Object.fromEntries(removed)).toEqual({ first: [1], second: [0, 2] });
  const kept = keptPositions(analysis, removed);
  expect(kept.get('first')).toEqual({ axis: 1, size: 4, positions: [0, 2, 3] });
  expect(kept.get('joined')).toEqual({ axis: 1, size: 7, positions: [0, 2, 3, 5] });
  expect(kept.get('part')).toEqual({ axis: 1, size: 3, positions: [0, 1] });
});

test('tensors of one group may be named together where they agree on what both show', () => {
  const both = resolveMask(analysis, { first: [0, 2], part: [0] });
  expect(Object.fromEntries(both)).toEqual({ first: [0, 2] });
});

test.each([
  ['a tensor without channels', { nowhere: [0] }, /a tensor whose channels a layer produces .* received "nowhere"/],
  ['the input', { input: [0] }, /received "input"/],
  ['an index beyond the end', { first: [4] }, /channel indices from 0 to 3 for "first" .* received 4/],
  ['a negative index', { first: [-1] }, /received -1/],
  ['half an index', { first: [0.5] }, /received 0.5/],
  ['class scores', { scores: [0] }, /channels that can be cut for "scores"/],
  ['all channels of a tensor', { first: [0, 1, 2, 3] }, /at least one channel to stay for "first"/],
  ['all that a part shows', { first: [2, 3], second: [0] }, /at least one channel to stay for "part"/],
  ['a contradiction', { first: [2], part: [1] }, /two tensors of one channel group/],
  ['a contradicting empty list', { first: [2], part: [] }, /two tensors of one channel group/],
])('%s is refused', (_, mask: Record<string, number[]>, message) => {
  expect(() => resolveMask(analysis, mask)).toThrow(expect.objectContaining({ code: 'ERR_OPTION' }) as Error);
  expect(() => cutChannels(model, analysis, mask)).toThrow(message);
});

test('the remedy says why class scores have to stay', () => {
  expect(() => resolveMask(analysis, { scores: [0] })).toThrow(
    expect.objectContaining({ remedy: 'Leave it out: "scores" is an output of the graph.' }) as Error,
  );
});
