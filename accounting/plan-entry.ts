export { parsePlan } from './plan.ts';
export type {
  GroupConversion,
  Mechanism,
  Plan,
  PlannedSelection,
  SamplerKind,
  SamplerPlan,
  SelectionRule,
  SelectionStrategy,
} from './plan.ts';
export { adaptiveClipping, sumNoiseMultiplier } from './clipping.ts';
export type { AdaptiveClipping, AdaptiveClippingQuestion } from './clipping.ts';
export type { PrivacySpent } from './spent.ts';
export { epsilonCurve, epsilonOfPlan, eventOfPlan } from './plan-epsilon.ts';
export type { PlanEpsilon } from './plan-epsilon.ts';
export { compareMechanisms } from './compare.ts';
export type { PlanningQuestion, PlanOption } from './compare.ts';
export { renderStatement, statementOf, statementRows } from './statement.ts';
export type { Statement, StatementFacts, StatementRow } from './statement.ts';
export { DpError } from './check.ts';
export type { DpErrorCode } from './check.ts';
