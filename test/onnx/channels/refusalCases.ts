import type { Attribute } from '../../../src/onnx/ir';
import type { ModelBuilder } from '../../support/modelBuilder';

/** Adds to a graph that holds `x`, a convolution's output [N, 4, 8, 8], the nodes under test; gives their output. */
type Build = (model: ModelBuilder, x: string) => string;

export const NAMED = { name: 'culprit' };

export const toChannelsLast = (model: ModelBuilder, x: string) => model.node('Transpose', [x], { perm: [0, 2, 3, 1] });
export const pooled = (model: ModelBuilder, x: string) =>
  model.node('Flatten', [model.node('GlobalAveragePool', [x])], { axis: 1 });
const other = (model: ModelBuilder) => model.input('other', ['N', 4, 8, 8]);

/** Each is met by the slots of `x` first; the group's reason names the node "culprit". */
export const REFUSALS: readonly (readonly [string, string, Build])[] = [
  [
    'an unknown operator',
    'NonMaxSuppression "culprit" is not known',
    (m, x) => m.node('NonMaxSuppression', [x], {}, NAMED),
  ],
  [
    'another domain',
    'acme.Relu "culprit" is not known',
    (m, x) => {
      m.domain('acme');
      return m.node('Relu', [x], {}, { ...NAMED, domain: 'acme' });
    },
  ],
  ['a graph output', '"x" is an output of the graph', (m, x) => m.output(x, ['N', 4, 8, 8])],
  [
    'a subgraph',
    'If "culprit" reads "x" inside a subgraph',
    (m, x) => {
      const branch = {
        kind: 'opaque',
        type: 'GRAPH',
        references: [x],
        origin: { brand: 'onnx-origin' },
      } as const satisfies Attribute;
      return m.node('If', [m.input('flag', [], 'bool')], { then_branch: branch }, NAMED);
    },
  ],
  // Layers
  [
    'computed weights',
    'Conv "culprit" has weights that are not constant',
    (m, x) => m.node('Conv', [x, m.input('w', [2, 4, 1, 1])], {}, NAMED),
  ],
  [
    'a computed bias',
    'Conv "culprit" has a bias that is not constant',
    (m, x) => m.node('Conv', [x, m.weights([2, 4, 1, 1]), m.input('b', [2])], {}, NAMED),
  ],
  [
    'channels last into a convolution',
    'Conv "culprit" reads channels along axis 1 but they lie along axis 3',
    (m, x) => m.conv(toChannelsLast(m, x), 8, 2, 1, {}, NAMED),
  ],
  [
    'a product of two computed tensors',
    'MatMul "culprit" multiplies two computed tensors',
    (m, x) => m.node('MatMul', [x, x], {}, NAMED),
  ],
  [
    'a stack of matrices that does not fit',
    'MatMul "culprit" joins 4 channels with 3',
    (m, x) => m.node('MatMul', [x, m.weights([3, 8, 5])], {}, NAMED),
  ],
  [
    'a Gemm of two computed matrices',
    'Gemm "culprit" has weights that are not constant',
    (m, x) => m.node('Gemm', [pooled(m, x), m.input('w', [4, 3])], {}, NAMED),
  ],
  [
    'an Einsum',
    'Einsum "culprit" is not known',
    (m, x) => m.node('Einsum', [x, m.weights([4, 2])], { equation: 'nchw,cd->ndhw' }, NAMED),
  ],
  // Normalisation
  [
    'channels last into a batch norm',
    'BatchNormalization "culprit" normalises along axis 1 but the channels lie along axis 3',
    (m, x) => m.batchNorm(toChannelsLast(m, x), 8, NAMED),
  ],
  [
    'a batch norm in training',
    'BatchNormalization "culprit" is in training mode',
    (m, x) => m.node('BatchNormalization', [x, ...[1, 2, 3, 4].map(() => m.weights([4]))], { training_mode: 1 }, NAMED),
  ],
  [
    'a batch norm that returns the statistics of the batch',
    'BatchNormalization "culprit" is in training mode',
    (m, x) => {
      const outputs = ['normal', 'mean', 'variance'];
      return m.node('BatchNormalization', [x, ...[1, 2, 3, 4].map(() => m.weights([4]))], {}, { ...NAMED, outputs });
    },
  ],
  [
    'channels last into a group norm',
    'GroupNormalization "culprit" normalises along axis 1 but the channels lie along axis 3',
    (m, x) =>
      m.node('GroupNormalization', [toChannelsLast(m, x), m.weights([2]), m.weights([2])], { num_groups: 2 }, NAMED),
  ],
  [
    'groups that do not divide the channels',
    'GroupNormalization "culprit" normalises 4 channels in 3 groups',
    (m, x) => m.node('GroupNormalization', [x, m.weights([3]), m.weights([3])], { num_groups: 3 }, NAMED),
  ],
  [
    'a group norm with computed parameters',
    'GroupNormalization "culprit" has parameters that are not constants of 2 values',
    (m, x) => m.node('GroupNormalization', [x, m.weights([2]), m.input('b', [2])], { num_groups: 2 }, NAMED),
  ],
  [
    'computed statistics',
    'BatchNormalization "culprit" has parameters that are not constants of one value a channel',
    (m, x) => m.node('BatchNormalization', [x, ...[1, 2, 3].map(() => m.weights([4])), m.input('v', [4])], {}, NAMED),
  ],
  [
    'Softmax over channels',
    'Softmax "culprit" normalises across the channels',
    (m, x) => m.node('Softmax', [x], { axis: 1 }, NAMED),
  ],
  [
    'layer normalisation over channels',
    'LayerNormalization "culprit" normalises across the channels',
    (m, x) => m.node('LayerNormalization', [toChannelsLast(m, x), m.weights([4])], {}, NAMED),
  ],
  [
    'mean and variance over channels',
    'MeanVarianceNormalization "culprit" normalises across the channels',
    (m, x) => m.node('MeanVarianceNormalization', [x], { axes: [0, 1, 2, 3] }, NAMED),
  ],
  ['LRN', 'LRN "culprit" normalises across neighbouring channels', (m, x) => m.node('LRN', [x], { size: 3 }, NAMED)],
  // Element by element
  [
    'channels as bounds',
    'Clip "culprit" takes channels as one of its parameters',
    (m, x) => m.node('Clip', [m.input('y', ['N', 4]), x], {}, NAMED),
  ],
  [
    'a fixed addend',
    'Add "culprit" joins them with "other", whose channels are fixed',
    (m, x) => m.node('Add', [x, other(m)], {}, NAMED),
  ],
  [
    'channels that meet another axis',
    'Mul "culprit" combines channels along different axes',
    (m, x) => m.node('Mul', [x, toChannelsLast(m, x)], {}, NAMED),
  ],
  [
    'an operand of unknown rank',
    'Add "culprit" combines tensors of unknown rank',
    (m, x) => m.node('Add', [x, m.input('other', undefined)], {}, NAMED),
  ],
  // Shapes
  [
    'channels mixed with the batch',
    'Reshape "culprit" reshapes [N, 4, 8, 8] to [?, 8, 8], which mixes the channels with other axes',
    (m, x) => m.node('Reshape', [x, m.ints([-1, 8, 8])], {}, NAMED),
  ],
  [
    'a target from an input',
    'Reshape "culprit" reshapes to an unknown shape',
    (m, x) => m.node('Reshape', [x, m.input('target', [undefined], 'int64')], {}, NAMED),
  ],
  [
    'Squeeze of unknown axes',
    'Squeeze "culprit" squeezes axes that are not known',
    (m, x) => m.node('Squeeze', [m.node('GlobalAveragePool', [x])], {}, NAMED),
  ],
  [
    'Unsqueeze at axes from an input',
    'Unsqueeze "culprit" inserts axes that are not known',
    (m, x) => m.node('Unsqueeze', [x, m.input('axes', [1], 'int64')], {}, NAMED),
  ],
  [
    'Tile of channels',
    'Tile "culprit" repeats the channels',
    (m, x) => m.node('Tile', [x, m.ints([1, 2, 1, 1])], {}, NAMED),
  ],
  [
    'Expand to a shape from an input',
    'Expand "culprit" expands to an unknown shape',
    (m, x) => m.node('Expand', [x, m.input('target', [undefined], 'int64')], {}, NAMED),
  ],
  [
    'a target of open rows and columns',
    'Reshape "culprit" computes its target shape from more than the batch size',
    (m, x) => {
      const operands = [x, m.ints([0, 0]), m.input('ends', [2], 'int64'), m.ints([2, 3])];
      const y = m.output(m.node('Slice', operands, {}, { outputs: ['part'] }), ['N', 4, 'H', 'W']);
      const shape = m.node('Shape', [y]);
      const pick = (...indices: number[]) => m.node('Gather', [shape, m.ints(indices)]);
      const target = m.node('Concat', [pick(0), m.ints([2, 2]), pick(2, 3)], { axis: 0 });
      return m.node('Reshape', [y, target], {}, NAMED);
    },
  ],
  [
    'Squeeze of the only channel',
    'Squeeze "culprit" squeezes the axis of its only channel',
    (m, x) => m.node('Squeeze', [m.conv(x, 4, 1, 1, {}, { outputs: ['one'] }), m.ints([1])], {}, NAMED),
  ],
  [
    'Expand of the only channel',
    'Expand "culprit" repeats its only channel',
    (m, x) => m.node('Expand', [m.conv(x, 4, 1, 1, {}, { outputs: ['one'] }), m.ints([1, 3, 1, 1])], {}, NAMED),
  ],
  [
    'blocks of channels last',
    'DepthToSpace "culprit" rearranges axis 1 but the channels lie along axis 3',
    (m, x) => m.node('DepthToSpace', [toChannelsLast(m, x)], { blocksize: 2 }, NAMED),
  ],
  [
    'blocks that do not divide the channels',
    'DepthToSpace "culprit" rearranges 4 channels into blocks of 9',
    (m, x) => m.node('DepthToSpace', [x], { blocksize: 3 }, NAMED),
  ],
  [
    'places of channels last',
    'SpaceToDepth "culprit" rearranges axis 1 but the channels lie along axis 3',
    (m, x) => m.node('SpaceToDepth', [toChannelsLast(m, x)], { blocksize: 2 }, NAMED),
  ],
  // Parts
  [
    'Concat of unknown width',
    'Concat "culprit" joins "other", whose number of channels is unknown',
    (m, x) => m.node('Concat', [x, m.input('other', ['N', 'C', 8, 8])], { axis: 1 }, NAMED),
  ],
  [
    'Concat along the rows with a fixed tensor',
    'Concat "culprit" joins them with "other", whose channels are fixed',
    (m, x) => m.node('Concat', [x, other(m)], { axis: 2 }, NAMED),
  ],
  [
    'Concat of different layouts',
    'Concat "culprit" joins channels along different axes',
    (m, x) => m.node('Concat', [x, toChannelsLast(m, x)], { axis: 0 }, NAMED),
  ],
  [
    'Split by an input',
    'Split "culprit" splits into parts that are not constant',
    (m, x) => m.node('Split', [x, m.input('sizes', [2], 'int64')], { axis: 1 }, { ...NAMED, outputs: ['s0', 's1'] }),
  ],
  [
    'Slice in steps, of the rows as well',
    'Slice "culprit" takes the channels in steps and slices other axes as well',
    (m, x) => m.node('Slice', [x, m.ints([0, 0]), m.ints([4, 4]), m.ints([1, 2]), m.ints([2, 1])], {}, NAMED),
  ],
  [
    'Slice of the rows by a number of channels',
    'Slice "culprit" slices at positions that are computed from the number of channels',
    (m, x) => {
      const count = m.node('Gather', [m.node('Shape', [x]), m.ints([1])]);
      const batch = m.node('Gather', [m.node('Shape', [x]), m.ints([0])]);
      return m.node('Slice', [x, m.ints([0]), m.node('Mul', [count, batch]), m.ints([2])], {}, NAMED);
    },
  ],
  [
    'Slice at positions from an input',
    'Slice "culprit" slices the channels at computed positions',
    (m, x) => m.node('Slice', [x, m.input('from', [1], 'int64'), m.ints([4]), m.ints([1])], {}, NAMED),
  ],
  [
    'Slice along axes from an input',
    'Slice "culprit" slices along axes that are not constant',
    (m, x) => m.node('Slice', [x, m.ints([0]), m.ints([4]), m.input('axes', [1], 'int64')], {}, NAMED),
  ],
  [
    'Pad by an input',
    'Pad "culprit" pads by amounts that are not constant',
    (m, x) => m.node('Pad', [x, m.input('pads', [8], 'int64')], {}, NAMED),
  ],
  [
    'Pad that crops',
    'Pad "culprit" crops the channels',
    (m, x) => m.node('Pad', [x, m.ints([0, -1, 0, 0, 0, 0, 0, 0])], {}, NAMED),
  ],
  [
    'Pad that mirrors',
    'Pad "culprit" repeats channels to pad them',
    (m, x) => m.node('Pad', [x, m.ints([0, 1, 0, 0, 0, 1, 0, 0])], { mode: 'reflect' }, NAMED),
  ],
  [
    'Gather by an input',
    'Gather "culprit" picks channels by indices that are not a constant list',
    (m, x) => m.node('Gather', [x, m.input('indices', [2], 'int64')], { axis: 1 }, NAMED),
  ],
  [
    'Gather of one channel',
    'Gather "culprit" picks channels by indices that are not a constant list',
    (m, x) => m.node('Gather', [x, m.ints(2)], { axis: 1 }, NAMED),
  ],
  [
    'Gather by channels',
    'Gather "culprit" uses channels as indices',
    (m, x) => m.node('Gather', [m.weights([10, 3]), m.node('Cast', [x], { to: 7 })], {}, NAMED),
  ],
  [
    'Gather by indices of unknown rank',
    'Gather "culprit" gathers by indices of unknown rank',
    (m, x) => m.node('Gather', [x, m.input('indices', undefined, 'int64')], { axis: 2 }, NAMED),
  ],
  // Pooling
  [
    'pooling over channels',
    'MaxPool "culprit" pools over axis 3, which holds the channels',
    (m, x) => m.node('MaxPool', [toChannelsLast(m, x)], { kernel_shape: [2, 2] }, NAMED),
  ],
  [
    'positions of maxima',
    'MaxPool "culprit" returns positions that count the channels',
    (m, x) => m.node('MaxPool', [x], { kernel_shape: [2, 2] }, { ...NAMED, outputs: ['values', 'positions'] }),
  ],
  [
    'a mean over channels',
    'ReduceMean "culprit" reduces over the channels',
    (m, x) => m.node('ReduceMean', [x], { axes: [1, 2, 3] }, NAMED),
  ],
  [
    'a mean over everything',
    'ReduceMean "culprit" reduces over the channels',
    (m, x) => m.node('ReduceMean', [x], {}, NAMED),
  ],
  [
    'a mean over axes from an input',
    'ReduceSum "culprit" reduces axes that are not constant',
    (m, x) => m.node('ReduceSum', [x, m.input('axes', [1], 'int64')], {}, NAMED),
  ],
  [
    'Resize that crops',
    'Resize "culprit" crops while it resizes',
    (m, x) => {
      const attributes = { coordinate_transformation_mode: 'tf_crop_and_resize' };
      return m.node('Resize', [x, m.weights([8]), m.weights([4], [1, 1, 2, 2])], attributes, NAMED);
    },
  ],
  [
    'Resize by computed factors',
    'Resize "culprit" computes its scales',
    (m, x) => {
      const y = m.node('Resize', [x, '', m.input('s', [4])], {}, { ...NAMED, outputs: ['resized'] });
      return m.node('Identity', [m.output(y, ['N', 4, 16, 16])]);
    },
  ],
  [
    'Resize that keeps an aspect ratio',
    'Resize "culprit" keeps an aspect ratio in which the channels count',
    (m, x) => {
      const attributes = { keep_aspect_ratio_policy: 'not_larger' };
      const y = m.node('Resize', [x, '', '', m.ints([2, 4, 8, 8])], attributes, { ...NAMED, outputs: ['resized'] });
      return m.node('Identity', [m.output(y, ['N', 4, 8, 8])]);
    },
  ],
  [
    'Resize to as many rows as there are channels',
    'Resize "culprit" computes its output size',
    (m, x) => {
      const count = m.node('Slice', [m.node('Shape', [x]), m.ints([0]), m.ints([2])]);
      const sizes = m.node('Concat', [count, m.node('Gather', [m.node('Shape', [x]), m.ints([1])]), m.ints([8])], {
        axis: 0,
      });
      return m.node('Resize', [x, '', '', sizes], {}, NAMED);
    },
  ],
  [
    'Resize to sizes from an input',
    'Resize "culprit" computes its output size',
    (m, x) => {
      const y = m.node('Resize', [x, '', '', m.input('sizes', [4], 'int64')], {}, { ...NAMED, outputs: ['resized'] });
      return m.node('Identity', [m.output(y, ['N', 4, 16, 16])]);
    },
  ],
  [
    'Resize of the channels',
    'Resize "culprit" does not show that it keeps the number of channels',
    (m, x) => m.node('Resize', [x, '', m.weights([4], [1, 2, 1, 1])], {}, NAMED),
  ],
  // Sizes
  [
    'the number of channels as a value',
    'Mul "culprit" computes with their number',
    (m, x) => {
      const count = m.node('Gather', [m.node('Shape', [x]), m.ints([1])]);
      return m.node('Mul', [x, m.node('Cast', [count], { to: 1 })], {}, NAMED);
    },
  ],
];
