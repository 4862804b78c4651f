import type { GradientRules } from '../rule';

export const REARRANGEMENT_RULES: GradientRules = {};
