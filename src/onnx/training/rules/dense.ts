import type { GradientRules } from '../rule';

export const DENSE_RULES: GradientRules = {};
