import type { GradientRules } from '../rule';
import { CONVOLUTION_RULES } from './convolution';
import { DENSE_RULES } from './dense';
import { ELEMENTWISE_RULES } from './elementwise';
import { NORMALIZATION_RULES } from './normalization';
import { POOLING_RULES } from './pooling';
import { REARRANGEMENT_RULES } from './rearrangement';

/** Every operator that gradients can pass. */
export const GRADIENT_RULES: GradientRules = {
  ...CONVOLUTION_RULES,
  ...DENSE_RULES,
  ...ELEMENTWISE_RULES,
  ...NORMALIZATION_RULES,
  ...POOLING_RULES,
  ...REARRANGEMENT_RULES,
};
