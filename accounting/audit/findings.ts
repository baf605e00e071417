import type { FindingContext } from './findings-context.ts';
import { mechanismRules } from './findings-mechanism.ts';
import { numberRules } from './findings-numbers.ts';
import { roundingRules } from './findings-rounding.ts';
import { samplingRules } from './findings-sampling.ts';
import { scopeRules } from './findings-scope.ts';
import type { FindingLevel, Reason } from './verdict.ts';

const weights: Readonly<Record<FindingLevel, number>> = { error: 0, warning: 1, note: 2 };

/**
 * Everything that the catalogue finds, errors first.
 */
export function findingsOf(context: FindingContext): Reason[] {
  return [...numberRules, ...roundingRules, ...samplingRules, ...mechanismRules, ...scopeRules]
    .flatMap(rule => rule(context))
    .toSorted((a, b) => weights[a.level] - weights[b.level]);
}
