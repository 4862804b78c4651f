import type { GradientRules } from '../rule';

export const POOLING_RULES: GradientRules = {};
