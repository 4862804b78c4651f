import type { GradientRules } from '../rule';

export const NORMALIZATION_RULES: GradientRules = {};
