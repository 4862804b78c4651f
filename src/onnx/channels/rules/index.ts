import type { Node } from '../../ir';
import type { OperatorRule } from '../rule';
import { elementwiseRules } from './elementwise';
import { linearRules } from './linear';
import { normalizationRules } from './normalization';
import { partRules } from './parts';
import { poolingRules } from './pooling';
import { shapeRules } from './shape';

const RULES: ReadonlyMap<string, OperatorRule> = new Map(
  [...linearRules, ...normalizationRules, ...elementwiseRules, ...shapeRules, ...partRules, ...poolingRules].flatMap(
    (rule) => rule.operators.map((operator) => [operator, rule] as const),
  ),
);

/** undefined for an operator of another domain, and for a standard one that no rule describes. */
export function ruleOf(node: Node): OperatorRule | undefined {
  return node.domain === '' ? RULES.get(node.opType) : undefined;
}
