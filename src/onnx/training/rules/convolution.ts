import type { GradientRules } from '../rule';

export const CONVOLUTION_RULES: GradientRules = {};
