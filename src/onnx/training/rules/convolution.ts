import type { Value } from '../graphBuilder';
import { add, reduceSum, reshape } from '../operations';
import type { GradientRule, GradientRules, RuleScope } from '../rule';
import { cheapest, type Choose, type Lowering } from './convolutionCost';
import { conv, convTranspose } from './convolutionGeometry';
import { toNarrow, toWide } from './convolutionInputGradient';
import { weightGradient } from './convolutionWeightGradient';

const convRule =
  (choose: Choose): GradientRule =>
  (scope) => {
    const { inputs, required, needsGradient } = scope;
    const lowering = loweringOf(scope, choose);
    const geometry = conv(scope);
    const [input, weight] = [required(0), required(1)];
    return {
      outputs: [toNarrow(lowering, geometry, input, weight, inputs[2])],
      backward: ([gradient]) =>
        gradient === undefined
          ? []
          : [
              needsGradient[0] === true ? toWide(lowering, geometry, gradient, weight) : undefined,
              needsGradient[1] === true ? weightGradient(lowering, geometry, input, gradient) : undefined,
              biasGradient(scope, gradient),
            ],
    };
  };

const convTransposeRule =
  (choose: Choose): GradientRule =>
  (scope) => {
    const { build, inputs, required, needsGradient } = scope;
    const lowering = loweringOf(scope, choose);
    const geometry = convTranspose(scope);
    const [input, weight] = [required(0), required(1)];
    const images = toWide(lowering, geometry, input, weight);
    const bias = inputs[2] && reshape(build, inputs[2], [inputs[2].dims[0]!, ...geometry.kernel.map(() => 1)]);
    return {
      outputs: [bias === undefined ? images : add(build, images, bias)],
      backward: ([gradient]) =>
        gradient === undefined
          ? []
          : [
              needsGradient[0] === true ? toNarrow(lowering, geometry, gradient, weight) : undefined,
              needsGradient[1] === true ? weightGradient(lowering, geometry, gradient, input) : undefined,
              biasGradient(scope, gradient),
            ],
    };
  };

/** Convolutions with constant weights are blocked by the runtime itself, and what lies between them. */
function loweringOf({ build, settings, needsGradient }: RuleScope, choose: Choose): Lowering {
  return { build, choose, settings: needsGradient[1] === true ? settings : { ...settings, channelBlock: undefined } };
}

function biasGradient({ build, inputs, needsGradient }: RuleScope, gradient: Value): Value | undefined {
  if (inputs[2] === undefined || needsGradient[2] !== true) return undefined;
  return reduceSum(build, gradient, [0, ...gradient.dims.slice(2).map((_, axis) => axis + 2)], false);
}

export function convolutionRules(choose: Choose): GradientRules {
  return { Conv: convRule(choose), ConvTranspose: convTransposeRule(choose) };
}

export const CONVOLUTION_RULES: GradientRules = convolutionRules(cheapest);
