import { ModelBuilder, type BuilderOptions } from '../../support/modelBuilder';
import { checkGradients, type GradientCheckOptions } from './gradientCheck';

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;
type Operand = number | readonly number[];

/** One node; the operands behind the first are int64 constants. */
function single(
  operator: string,
  dims: readonly number[],
  operands: readonly (Operand | undefined)[],
  attributes: Attributes = {},
  options: BuilderOptions = {},
  outputs = 1,
) {
  const b = new ModelBuilder(options);
  const x = b.input('x', dims);
  const names = operands.map((operand) => (operand === undefined ? '' : b.ints(operand)));
  const written = Array.from({ length: outputs }, (_, output) => `y${output}`);
  b.node(operator, [x, ...names], attributes, { outputs: written });
  for (const name of written) b.output(name);
  return b.build();
}

const onEveryDevice = async (model: ReturnType<typeof single>, options: GradientCheckOptions = {}): Promise<void> => {
  for (const device of ['cpu', 'webgpu'] as const) await checkGradients(model, { ...options, device });
};

type Case = [string, Parameters<typeof single>];
const IMAGES = [2, 3, 4, 6];
const CASES: Case[] = [
  ['Reshape with sizes copied and left open', ['Reshape', IMAGES, [[0, -1, 2]]]],
  ['Reshape, operator set 7', ['Reshape', IMAGES, [[4, -1]], {}, { opset: 7 }]],
  ['Flatten', ['Flatten', IMAGES, []]],
  ['Flatten from behind', ['Flatten', IMAGES, [], { axis: -1 }, { opset: 11 }]],
  ['Flatten to one row', ['Flatten', IMAGES, [], { axis: 0 }, { opset: 9 }]],
  ['Squeeze, axes an attribute', ['Squeeze', [2, 1, 3, 1], [], { axes: [-1] }, { opset: 11 }]],
  ['Squeeze, axes an input', ['Squeeze', [2, 1, 3, 1], [[1, -1]]]],
  ['Squeeze of every axis of size 1', ['Squeeze', [2, 1, 3, 1], []]],
  ['Unsqueeze, axes an attribute', ['Unsqueeze', [2, 3], [], { axes: [0, 3] }, { opset: 9 }]],
  ['Unsqueeze, axes an input', ['Unsqueeze', [2, 3], [[-1, 1]]]],
  ['Transpose', ['Transpose', IMAGES, [], { perm: [2, 0, 3, 1] }]],
  ['Transpose to the reverse', ['Transpose', [2, 3, 4], []]],
  ['DepthToSpace', ['DepthToSpace', [2, 12, 2, 3], [], { blocksize: 2 }]],
  ['DepthToSpace, depth first', ['DepthToSpace', [2, 8, 2, 3], [], { blocksize: 2, mode: 'CRD' }]],
  ['SpaceToDepth', ['SpaceToDepth', IMAGES, [], { blocksize: 2 }]],
  ['Split evenly', ['Split', IMAGES, [], { axis: -1 }, { opset: 13 }, 3]],
  ['Split, sizes an attribute', ['Split', IMAGES, [], { axis: 3, split: [1, 3, 2] }, { opset: 11 }, 3]],
  ['Split, sizes an input', ['Split', IMAGES, [[1, 2]], { axis: 1 }, { opset: 13 }, 2]],
  ['Split, the last piece smaller', ['Split', [2, 7], [], { axis: 1, num_outputs: 3 }, { opset: 18 }, 3]],
  ['Slice, attributes', ['Slice', IMAGES, [], { starts: [1, -3], ends: [9, -1], axes: [1, 3] }, { opset: 9 }]],
  ['Slice, attributes without axes', ['Slice', IMAGES, [], { starts: [0, 1], ends: [1, 3] }, { opset: 7 }]],
  [
    'Slice every second row and column',
    [
      'Slice',
      IMAGES,
      [
        [0, 0],
        [99, 99],
        [2, 3],
        [2, 2],
      ],
    ],
  ],
  [
    'Slice strided from inside',
    [
      'Slice',
      [2, 2, 9, 8],
      [
        [2, 1],
        [8, 7],
        [2, 3],
        [3, 2],
      ],
    ],
  ],
  [
    'Slice strided to the end',
    [
      'Slice',
      [2, 2, 9, 8],
      [
        [1, 3],
        [9, 8],
        [2, 3],
        [2, 4],
      ],
    ],
  ],
  [
    'Slice backwards',
    [
      'Slice',
      IMAGES,
      [
        [-1, 99],
        [-99, 0],
        [-1, 1],
        [-2, -1],
      ],
    ],
  ],
  ['Slice channels with a step', ['Slice', [2, 7, 4, 5], [[1], [7], [1], [2]]]],
  ['Gather once', ['Gather', IMAGES, [[2, 0]], { axis: 1 }]],
  ['Gather in another order', ['Gather', IMAGES, [[2, 0, -2]], { axis: -3 }, { opset: 11 }]],
  ['Gather twice', ['Gather', IMAGES, [[1, 1, 3, 0]], { axis: 2 }]],
  ['Gather columns', ['Gather', IMAGES, [[5, 0, 5]], { axis: 3 }]],
  ['Gather one', ['Gather', IMAGES, [1], { axis: 2 }]],
  ['Pad, attributes', ['Pad', IMAGES, [], { pads: [0, 1, 2, 0, 1, 0, 0, 3], value: 0.5 }, { opset: 2 }]],
  ['Pad', ['Pad', IMAGES, [[0, 0, 1, 2, 0, 0, 2, 1]], {}, { opset: 13 }]],
  ['Pad some axes', ['Pad', IMAGES, [[1, 2, 0, 1], undefined, [-1, 1]], {}, { opset: 18 }]],
  ['Pad that cuts', ['Pad', IMAGES, [[0, -1, 1, -2, 0, 0, -1, -1]]]],
  ['Expand', ['Expand', [3, 1, 2], [[2, 1, 4, 1]]]],
  ['Tile', ['Tile', [2, 3, 2], [[1, 3, 2]]]],
  ['Resize to sizes', ['Resize', IMAGES, [undefined, undefined, [2, 3, 8, 18]], {}, { opset: 13 }]],
];

test.each(CASES)('%s', async (_, model) => {
  await onEveryDevice(single(...model));
});

const SCALES: [string, string, Attributes, BuilderOptions][] = [
  ['Upsample, an attribute', 'Upsample', { scales: [1, 1, 2, 3] }, { opset: 7 }],
  ['Upsample, an input', 'Upsample', {}, { opset: 9 }],
  ['Resize, operator set 10', 'Resize', {}, { opset: 10 }],
  ['Resize, half pixels', 'Resize', { coordinate_transformation_mode: 'half_pixel' }, { opset: 13 }],
  [
    'Resize, asymmetric',
    'Resize',
    { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
    { opset: 17 },
  ],
];

test.each(SCALES)('%s', async (_, operator, attributes, options) => {
  const b = new ModelBuilder(options);
  const x = b.input('x', [2, 2, 3, 4]);
  const scales = 'scales' in attributes ? [] : [b.weights([4], [1, 1, 2, 3], 'scales')];
  b.output(b.node(operator, [x, ...(options.opset! >= 11 ? [''] : []), ...scales], attributes));
  await onEveryDevice(b.build(), { constants: ['scales'] });
});

test('Concat, of one tensor twice', async () => {
  const b = new ModelBuilder();
  const x = b.input('x', [2, 3, 4, 5]);
  b.output(b.node('Concat', [x, b.input('y', [2, 2, 4, 5]), x], { axis: -3 }));
  await onEveryDevice(b.build());
});

test('Split of which one piece is used', async () => {
  const b = new ModelBuilder();
  b.node('Split', [b.input('x', [2, 6])], { axis: 1 }, { outputs: ['a', 'b', 'c'] });
  b.output(b.node('Relu', ['b']));
  await onEveryDevice(b.build());
});

test('what pads is a parameter like others', async () => {
  const b = new ModelBuilder();
  const padded = b.node('Pad', [b.input('x', [2, 3, 4]), b.ints([0, 1, 0, 0, 2, 1]), b.weights([], [0.5])]);
  b.output(b.node('Relu', [padded]));
  await onEveryDevice(b.build());
});

test('a target shape computed from the input', async () => {
  const b = new ModelBuilder();
  const x = b.input('x', ['N', 3, 2, 2]);
  const batch = b.node('Gather', [b.node('Shape', [x]), b.ints([0])]);
  b.output(b.node('Reshape', [b.node('Relu', [x]), b.node('Concat', [batch, b.ints([-1])], { axis: 0 })]));
  await onEveryDevice(b.build());
});

test.each([
  ['Pad', single('Pad', IMAGES, [[0, 0, 1, 1, 0, 0, 1, 1]], { mode: 'reflect' }), 'mode constant'],
  ['Pad', single('Pad', IMAGES, [[0, 0, 1, 1, 0, 0, 1, 1]], { mode: 'edge' }), '"edge"'],
  ['Resize', single('Resize', IMAGES, [undefined, undefined, [2, 3, 8, 12]], { mode: 'linear' }), 'mode nearest'],
  ['Resize', single('Resize', IMAGES, [undefined, undefined, [2, 3, 6, 9]]), 'sizes that are multiples'],
])('%s in a mode that has no gradient here is refused', async (operator, model, message) => {
  await expect(checkGradients(model)).rejects.toMatchObject({
    code: 'ERR_MODEL_UNSUPPORTED',
    message: expect.stringMatching(new RegExp(`(?=.*${message})(?=.*${operator} node)`)) as string,
  });
});
