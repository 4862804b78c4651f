import type { Shape } from '../ir';
import { intAttribute } from '../attributes';
import { broadcastShapes, normalizeAxis } from './dimensions';
import type { RuleContext, ShapeRule, ShapeRules } from './rule';

const sameAsFirst: ShapeRule = (context) => [context.shape(0)];
/** Dropout's mask, and the like. */
const allSameAsFirst: ShapeRule = (context) => context.node.outputs.map(() => context.shape(0));
const broadcast: ShapeRule = (context) => [
  broadcastShapes(context.node.inputs.map((_, input) => context.shape(input))),
];
const broadcastFirstTwo: ShapeRule = (context) => [broadcastShapes([context.shape(0), context.shape(1)])];

function channelsOf(context: RuleContext): Shape {
  const input = context.shape(0);
  return input === undefined ? undefined : [input[1]];
}

/** Y, and for training the running or saved statistics. */
const batchNormalization: ShapeRule = (context) =>
  context.node.outputs.map((_, output) => (output === 0 ? context.shape(0) : channelsOf(context)));

/** Y, then mean and inverse standard deviation over the normalised axes. */
const layerNormalization: ShapeRule = (context) => {
  const input = context.shape(0);
  const axis = input && normalizeAxis(intAttribute(context.node, 'axis', -1), input.length);
  const statistics = axis === undefined ? undefined : input?.map((size, position) => (position >= axis ? 1 : size));
  return context.node.outputs.map((_, output) => (output === 0 ? input : statistics));
};

const SAME_AS_FIRST = [
  'Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast CastLike Ceil Celu Clip Cos Cosh CumSum Elu Erf Exp Floor Gelu',
  'HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LeakyRelu Log LogSoftmax',
  'GroupNormalization LpNormalization MeanVarianceNormalization Mish Neg Not PRelu Reciprocal Relu Round Scatter',
  'ScatterElements ScatterND Selu Shrink Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Swish Tan Tanh',
  'ThresholdedRelu Trilu QuantizeLinear DequantizeLinear RandomNormalLike RandomUniformLike Bernoulli EyeLike',
  'ReverseSequence',
].flatMap((line) => line.split(' '));

const BROADCAST = ['Max Min Sum Mean Where'].flatMap((line) => line.split(' '));
const BROADCAST_FIRST_TWO = [
  'Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Mod Mul Or Pow',
  'Sub Xor',
].flatMap((line) => line.split(' '));

export const ELEMENTWISE_RULES: ShapeRules = {
  ...Object.fromEntries(SAME_AS_FIRST.map((op) => [op, sameAsFirst])),
  ...Object.fromEntries(BROADCAST.map((op) => [op, broadcast])),
  ...Object.fromEntries(BROADCAST_FIRST_TWO.map((op) => [op, broadcastFirstTwo])),
  Dropout: allSameAsFirst,
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  RMSNormalization: sameAsFirst,
  DynamicQuantizeLinear: (context) => [context.shape(0), [], []],
};
