import type { Value } from '../graphBuilder';
import { reduceSum } from '../operations';
import type { GradientRule, GradientRules, RuleScope } from '../rule';
import { conv, convAttributes, convTranspose, outputPadding } from './convolutionGeometry';
import { toNarrow, toWide } from './convolutionInputGradient';
import { weightGradient } from './convolutionWeightGradient';

const convRule: GradientRule = (scope) => {
  const { build, inputs, required, needsGradient } = scope;
  const geometry = conv(scope);
  const [input, weight] = [required(0), required(1)];
  return {
    outputs: build.emit('Conv', [input, weight, inputs[2]], convAttributes(geometry)),
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined ? toWide(build, geometry, gradient, weight) : undefined,
      needsGradient[1] === true && gradient !== undefined
        ? weightGradient(build, geometry, input, gradient)
        : undefined,
      biasGradient(scope, gradient),
    ],
  };
};

const convTransposeRule: GradientRule = (scope) => {
  const { build, inputs, required, needsGradient } = scope;
  const geometry = convTranspose(scope);
  const [input, weight] = [required(0), required(1)];
  const attributes = { ...convAttributes(geometry), output_padding: outputPadding(geometry) };
  return {
    outputs: build.emit('ConvTranspose', [input, weight, inputs[2]], attributes),
    backward: ([gradient]) => [
      needsGradient[0] === true && gradient !== undefined ? toNarrow(build, geometry, gradient, weight) : undefined,
      needsGradient[1] === true && gradient !== undefined
        ? weightGradient(build, geometry, gradient, input)
        : undefined,
      biasGradient(scope, gradient),
    ],
  };
};

function biasGradient({ build, inputs, needsGradient }: RuleScope, gradient: Value | undefined): Value | undefined {
  if (inputs[2] === undefined || needsGradient[2] !== true || gradient === undefined) return undefined;
  return reduceSum(build, gradient, [0, ...gradient.dims.slice(2).map((_, axis) => axis + 2)], false);
}

export const CONVOLUTION_RULES: GradientRules = { Conv: convRule, ConvTranspose: convTransposeRule };
