import type { Node } from '../../ir';
import type { OperatorRule } from '../rule';
import { axisRules } from './axes';
import { broadcastRule } from './broadcast';
import { concatRule } from './concat';
import { convolutionRule } from './convolution';
import { depthToSpaceRules } from './depthToSpace';
import { expandRules } from './expand';
import { gatherRule } from './gather';
import { groupNormalizationRule } from './groupNormalization';
import { matrixProductRule } from './matrixProduct';
import { normalizationRules } from './normalization';
import { padRule } from './pad';
import { poolRule } from './pool';
import { reductionRule } from './reduction';
import { reshapeRules } from './reshape';
import { resizeRule } from './resize';
import { sliceRule } from './slice';
import { splitRule } from './split';
import { unaryRule } from './unary';

/** Rules whose nodes have weights: what `producers` and `consumers` of a group name. */
const LINEAR_RULES: readonly OperatorRule[] = [convolutionRule, matrixProductRule];

const OTHER_RULES: readonly OperatorRule[] = [
  ...[...normalizationRules, groupNormalizationRule, unaryRule, broadcastRule],
  ...[concatRule, splitRule, sliceRule, padRule, gatherRule],
  ...[...reshapeRules, ...axisRules, ...expandRules, ...depthToSpaceRules],
  ...[poolRule, reductionRule, resizeRule],
];

const RULES: ReadonlyMap<string, OperatorRule> = new Map(
  [...LINEAR_RULES, ...OTHER_RULES].flatMap((rule) => rule.operators.map((operator) => [operator, rule] as const)),
);

export const LINEAR_OPERATORS: ReadonlySet<string> = new Set(LINEAR_RULES.flatMap((rule) => rule.operators));

/** All operators that have a rule. */
export const RULED_OPERATORS: ReadonlySet<string> = new Set(RULES.keys());

/** undefined for an operator of another domain, and for a standard one that no rule describes. */
export function ruleOf(node: Node): OperatorRule | undefined {
  return node.domain === '' ? RULES.get(node.opType) : undefined;
}
