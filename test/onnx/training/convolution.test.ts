import type { Model } from '../../../src/onnx/ir';
import { cheapest, type Choose } from '../../../src/onnx/training/rules/convolutionCost';
import type { GradientRule } from '../../../src/onnx/training/rule';
import { blockedWeightGradient } from '../../../src/onnx/training/rules/blockedWeightGradient';
import { conv, convAttributes } from '../../../src/onnx/training/rules/convolutionGeometry';
import { convolutionRules } from '../../../src/onnx/training/rules/convolution';
import { GRADIENT_RULES } from '../../../src/onnx/training/rules';
import { ModelBuilder } from '../../support/modelBuilder';
import { measureChannelBlock } from './channelBlock';
import { checkGradients, type GradientCheckOptions } from './gradientCheck';

interface Case {
  readonly input: readonly number[];
  readonly weight: readonly number[];
  readonly attributes?: Parameters<ModelBuilder['node']>[2];
  readonly bias?: boolean;
  readonly opset?: number;
}

function network(operator: 'Conv' | 'ConvTranspose', { input, weight, attributes = {}, bias, opset }: Case): Model {
  const b = new ModelBuilder({ opset: opset ?? 17 });
  const x = b.input('input', input);
  const groups = typeof attributes.group === 'number' ? attributes.group : 1;
  const channels = operator === 'Conv' ? weight[0]! : weight[1]! * groups;
  const operands = [x, b.weights(weight), ...(bias === true ? [b.weights([channels])] : [])];
  b.output(b.node(operator, operands, attributes));
  return b.build();
}

/** Formulations that are tried wherever they are possible; where not, the cheapest. */
const FORMS = ['cheapest', 'plain', 'blocked', 'transposed', 'phases', 'flat', 'taps'];

let channelBlock: number | undefined;
beforeAll(async () => {
  channelBlock = await measureChannelBlock();
});

async function check(operator: 'Conv' | 'ConvTranspose', given: Case, options: GradientCheckOptions = {}) {
  const model = network(operator, given);
  const used = new Set<string>();
  for (const form of FORMS) {
    let isPossible = form === 'cheapest';
    const choose: Choose = (candidates) => {
      const wanted = candidates.find((candidate) => candidate.form === form);
      isPossible ||= wanted !== undefined;
      return wanted?.form ?? cheapest(candidates);
    };
    const rules = { ...GRADIENT_RULES, ...convolutionRules(choose) };
    const { references } = await checkGradients(model, { rules, channelBlock, finiteDifferences: false, ...options });
    expect(references).toContain('torch');
    if (isPossible) used.add(form);
  }
  const elsewhere = await checkGradients(model, { device: 'cuda', finiteDifferences: false });
  expect(elsewhere.operators).toEqual(expect.arrayContaining(['Conv']));
  return used;
}

const CONVOLUTIONS: Readonly<Record<string, Case>> = {
  plain: { input: [2, 3, 6, 5], weight: [4, 3, 3, 3], bias: true },
  padded: { input: [2, 3, 6, 5], weight: [4, 3, 3, 3], attributes: { pads: [1, 1, 1, 1] }, bias: true },
  'unequal pads': { input: [2, 3, 6, 7], weight: [4, 3, 3, 2], attributes: { pads: [2, 0, 0, 1] } },
  'pads beyond the kernel': { input: [2, 3, 4, 4], weight: [4, 3, 2, 2], attributes: { pads: [3, 0, 2, 4] } },
  stride: { input: [2, 3, 7, 8], weight: [4, 3, 3, 3], attributes: { strides: [2, 2], pads: [1, 1, 1, 1] } },
  'unequal strides': {
    input: [2, 3, 9, 11],
    weight: [4, 3, 3, 5],
    attributes: { strides: [3, 2], pads: [0, 2, 1, 1] },
  },
  'stride beyond the kernel': { input: [2, 3, 8, 9], weight: [4, 3, 2, 1], attributes: { strides: [3, 2] } },
  'unreached sites': { input: [2, 2, 9, 8], weight: [3, 2, 2, 3], attributes: { strides: [4, 4] } },
  dilation: { input: [2, 3, 8, 9], weight: [4, 3, 3, 2], attributes: { dilations: [2, 3], pads: [2, 1, 2, 0] } },
  'stride and dilation': {
    input: [2, 3, 11, 12],
    weight: [4, 3, 3, 2],
    attributes: { strides: [2, 3], dilations: [2, 3], pads: [2, 1, 0, 2] },
  },
  groups: { input: [2, 6, 6, 6], weight: [4, 3, 3, 3], attributes: { group: 2, pads: [1, 1, 1, 1] }, bias: true },
  'groups and stride': {
    input: [2, 6, 7, 7],
    weight: [9, 2, 3, 3],
    attributes: { group: 3, pads: [1, 1, 1, 1], strides: [2, 2] },
  },
  depthwise: { input: [2, 5, 6, 6], weight: [5, 1, 3, 3], attributes: { group: 5, pads: [1, 1, 1, 1] }, bias: true },
  'depthwise and stride': {
    input: [2, 5, 7, 8],
    weight: [5, 1, 3, 3],
    attributes: { group: 5, pads: [1, 0, 1, 1], strides: [2, 2] },
  },
  'depthwise with a multiplier': {
    input: [2, 3, 6, 6],
    weight: [6, 1, 3, 3],
    attributes: { group: 3, pads: [1, 1, 1, 1], dilations: [1, 2] },
  },
  pointwise: { input: [2, 5, 4, 3], weight: [7, 5, 1, 1], bias: true },
  'pointwise and stride': { input: [2, 5, 5, 4], weight: [7, 5, 1, 1], attributes: { strides: [2, 2] } },
  'pointwise and groups': { input: [2, 6, 4, 3], weight: [4, 3, 1, 1], attributes: { group: 2 } },
  'SAME_UPPER and stride': {
    input: [2, 3, 7, 8],
    weight: [4, 3, 3, 4],
    attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] },
  },
  SAME_LOWER: { input: [2, 3, 7, 8], weight: [4, 3, 2, 4], attributes: { auto_pad: 'SAME_LOWER' }, opset: 7 },
  VALID: { input: [2, 3, 7, 8], weight: [4, 3, 2, 4], attributes: { auto_pad: 'VALID' }, opset: 11 },
  'one axis': { input: [2, 3, 9], weight: [4, 3, 3], attributes: { pads: [1, 2], strides: [2] }, bias: true },
  'one axis and groups': { input: [2, 4, 9], weight: [6, 2, 3], attributes: { group: 2, dilations: [2] } },
  'three axes': {
    input: [2, 3, 4, 5, 6],
    weight: [4, 3, 3, 2, 3],
    attributes: { pads: [1, 0, 1, 1, 1, 0], strides: [1, 2, 2] },
    bias: true,
  },
  'kernel as large as the image': { input: [2, 3, 5, 4], weight: [4, 3, 5, 4], bias: true },
};

test.each(Object.entries(CONVOLUTIONS))('Conv: %s', async (_name, given) => {
  const used = await check('Conv', given);
  expect([...used]).toEqual(expect.arrayContaining(['plain', 'transposed', 'taps']));
});

/** Sizes that the runtime's own layout takes, the batch as a multiple of its block. */
const BLOCKED: Readonly<Record<string, Case>> = {
  'whole blocks': { input: [16, 16, 6, 5], weight: [32, 16, 3, 3], attributes: { pads: [1, 1, 1, 1] }, bias: true },
  'filled blocks': { input: [16, 20, 5, 5], weight: [12, 20, 3, 3], attributes: { pads: [1, 1, 1, 1] }, bias: true },
  'few inputs': { input: [16, 3, 7, 6], weight: [16, 3, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
  stride: {
    input: [16, 16, 8, 8],
    weight: [16, 16, 3, 3],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
    bias: true,
  },
  'stride without pads': { input: [16, 16, 8, 9], weight: [16, 16, 2, 3], attributes: { strides: [2, 3] } },
  'dilation and unequal pads': {
    input: [16, 16, 8, 9],
    weight: [16, 16, 3, 3],
    attributes: { dilations: [2, 1], pads: [2, 0, 1, 1] },
  },
  'stride and dilation': {
    input: [16, 16, 9, 9],
    weight: [16, 16, 3, 3],
    attributes: { dilations: [2, 2], strides: [2, 2], pads: [2, 2, 2, 2] },
  },
  pointwise: { input: [16, 16, 5, 5], weight: [32, 16, 1, 1], bias: true },
  'pointwise and stride': { input: [16, 16, 6, 6], weight: [32, 16, 1, 1], attributes: { strides: [2, 2] } },
  groups: { input: [16, 32, 5, 5], weight: [32, 16, 3, 3], attributes: { group: 2, pads: [1, 1, 1, 1] }, bias: true },
  depthwise: {
    input: [16, 20, 6, 6],
    weight: [20, 1, 3, 3],
    attributes: { group: 20, pads: [1, 1, 1, 1] },
    bias: true,
  },
  'depthwise and stride': {
    input: [16, 16, 6, 6],
    weight: [16, 1, 3, 3],
    attributes: { group: 16, strides: [2, 2], pads: [1, 1, 1, 1] },
  },
};

test.each(Object.entries(BLOCKED))("Conv in the runtime's own layout: %s", async (_name, given) => {
  const used = await check('Conv', given);
  if (channelBlock !== undefined) expect([...used]).toContain('blocked');
});

test("a weight gradient in the runtime's own layout adds up parts of large batches", async () => {
  if (channelBlock === undefined) return expect(channelBlock).toBeUndefined();
  const batch = 3 * channelBlock;
  const given: Case = { input: [batch, 4, 5, 6], weight: [16, 4, 3, 3], attributes: { pads: [1, 1, 1, 1] } };
  const rule =
    (floatsKeptClose: number): GradientRule =>
    (scope) => {
      const geometry = conv(scope);
      return {
        outputs: scope.build.emit('Conv', [scope.required(0), scope.required(1)], convAttributes(geometry)),
        backward: ([gradient]) => [
          undefined,
          blockedWeightGradient(scope.build, channelBlock!, geometry, scope.required(0), gradient!, floatsKeptClose),
        ],
      };
    };
  const options = { channelBlock, finiteDifferences: false, constants: ['input'] };
  for (const blocks of [1, 2, 3]) {
    const rules = { Conv: rule(blocks * channelBlock * 16 * 30) };
    const { operators } = await checkGradients(network('Conv', given), { ...options, rules });
    expect(operators.includes('Add')).toBe(blocks < 3);
  }
});

test('frozen weights are left to the runtime, which blocks them itself', async () => {
  const model = network('Conv', { input: [16, 16, 8, 8], weight: [32, 16, 3, 3], attributes: { pads: [1, 1, 1, 1] } });
  const weight = [...model.graph.initializers.keys()];
  const options = { channelBlock, finiteDifferences: false };
  const frozen = await checkGradients(model, { ...options, constants: weight });
  expect(frozen.operators).not.toContain('ReorderInput');
  const trained = await checkGradients(model, options);
  expect(trained.operators.includes('ReorderInput')).toBe(channelBlock !== undefined);
});

const TRANSPOSED: Readonly<Record<string, Case>> = {
  plain: { input: [2, 3, 4, 5], weight: [3, 4, 3, 3], bias: true },
  'stride and pads': { input: [2, 3, 4, 5], weight: [3, 4, 3, 2], attributes: { strides: [2, 3], pads: [1, 0, 0, 1] } },
  'output padding': {
    input: [2, 3, 4, 5],
    weight: [3, 4, 3, 3],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] },
    bias: true,
  },
  'output padding and dilation': {
    input: [2, 3, 4, 5],
    weight: [3, 4, 3, 3],
    attributes: { strides: [1, 2], dilations: [3, 3], output_padding: [0, 1] },
  },
  'dilation and groups': {
    input: [2, 4, 4, 5],
    weight: [4, 3, 3, 2],
    attributes: { dilations: [2, 1], group: 2, strides: [1, 2] },
    bias: true,
  },
  depthwise: {
    input: [2, 4, 5, 5],
    weight: [4, 1, 4, 4],
    attributes: { group: 4, strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  'output shape': {
    input: [2, 3, 4, 5],
    weight: [3, 4, 4, 4],
    attributes: { strides: [2, 2], output_shape: [9, 11] },
  },
  'output shape, SAME_UPPER': {
    input: [2, 3, 4, 5],
    weight: [3, 4, 4, 4],
    attributes: { strides: [2, 2], output_shape: [9, 11], auto_pad: 'SAME_UPPER' },
  },
  SAME_UPPER: { input: [2, 3, 4, 5], weight: [3, 4, 3, 4], attributes: { strides: [2, 2], auto_pad: 'SAME_UPPER' } },
  SAME_LOWER: { input: [2, 3, 4, 5], weight: [3, 4, 3, 4], attributes: { strides: [2, 2], auto_pad: 'SAME_LOWER' } },
  'one axis': {
    input: [2, 3, 5],
    weight: [3, 2, 4],
    attributes: { strides: [2], pads: [1, 1] },
    opset: 11,
    bias: true,
  },
  'three axes': { input: [2, 3, 3, 2, 3], weight: [3, 2, 2, 3, 2], attributes: { strides: [2, 1, 2] }, bias: true },
};

test.each(Object.entries(TRANSPOSED))('ConvTranspose: %s', async (_name, given) => {
  const used = await check('ConvTranspose', given);
  expect([...used]).toEqual(expect.arrayContaining(['plain', 'transposed', 'taps']));
});
