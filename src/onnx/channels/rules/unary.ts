import type { Node } from '../../ir';
import type { FlowContext, OperatorRule, Refusal } from '../rule';

/** One input, further inputs are scalars or none: every position stays where it is. */
const UNARY = [
  ...[
    'Abs',
    'Acos',
    'Acosh',
    'Asin',
    'Asinh',
    'Atan',
    'Atanh',
    'BitwiseNot',
    'Cast',
    'CastLike',
    'Ceil',
    'Celu',
    'Clip',
    'Cos',
    'Cosh',
  ],
  ...[
    'Dropout',
    'Elu',
    'Erf',
    'Exp',
    'Floor',
    'Gelu',
    'HardSigmoid',
    'HardSwish',
    'Identity',
    'IsInf',
    'IsNaN',
    'LeakyRelu',
  ],
  ...['Log', 'Mish', 'Neg', 'Not', 'Reciprocal', 'Relu', 'Round', 'Selu', 'Shrink', 'Sigmoid', 'Sign', 'Sin', 'Sinh'],
  ...['Softplus', 'Softsign', 'Sqrt', 'Swish', 'Tan', 'Tanh', 'ThresholdedRelu'],
];

function flowThroughUnary(node: Node, context: FlowContext): Refusal | undefined {
  const [input = '', ...others] = node.inputs;
  if (others.some((name) => context.label(name) !== undefined)) return 'takes channels as one of its parameters';
  const label = context.label(input);
  for (const output of node.outputs) context.write(output, label);
  return undefined;
}

export const unaryRule: OperatorRule = { operators: UNARY, flow: flowThroughUnary };
