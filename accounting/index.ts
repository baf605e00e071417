// The functions of plans are an entry of their own, plan-entry.ts, so that a page that only accounts loads no more.
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
export type { PrivacySpent } from './spent.ts';
export type { PlanEpsilon } from './plan-epsilon.ts';
export type { PlanningQuestion, PlanOption } from './compare.ts';
export type { Statement, StatementFacts, StatementRow } from './statement.ts';
export { flattenEvent, gaussianEvent, poissonEvent, poissonGroupEvent, repeat, sequence } from './event.ts';
export { eventKinds, parseEvent } from './event-json.ts';
export type {
  BallsInBinsGaussianEvent,
  BasicEvent,
  CountedEvent,
  DiscreteGaussianEvent,
  DpEvent,
  FixedSizeGaussianEvent,
  GaussianEvent,
  GuaranteeEvent,
  LaplaceEvent,
  MixtureOfGaussiansEvent,
  Neighbours,
  PoissonGroupOptions,
  PoissonOptions,
  RandomisedResponseEvent,
  RepeatAndSelectEvent,
  RepeatedEvent,
  Sampling,
  SequenceEvent,
  ShuffledGaussianEvent,
  SubsampledGaussianEvent,
  SubsampledLaplaceEvent,
  TruncatedPoissonGaussianEvent,
} from './event.ts';
export { sideOf } from './accountant.ts';
export type { Accountant, AccountantQuestion, Bound, Interval, Side } from './accountant.ts';
export { accountantChoices, deltaOf, epsilonOf } from './epsilon.ts';
export type {
  AccountantChoice,
  BoundsByAccountant,
  DeltaAnswer,
  DeltaOptions,
  EpsilonAnswer,
  EpsilonOptions,
  QuestionOptions,
} from './epsilon.ts';
export { rdpAccountant } from './rdp/rdp.ts';
export { pldAccountant } from './pld/pld.ts';
export { exactAccountant } from './contour/contour.ts';
export { gdpAccountant } from './gdp.ts';
export { privacyCurve } from './curve.ts';
export type { CurvePoint } from './curve.ts';
export { attackRisk } from './risk.ts';
export type { AttackRisk, RiskOptions } from './risk.ts';
export { groupEpsilon } from './group.ts';
export type { BoundsByConversion, Conversion, GroupAnswer, GroupOptions } from './group.ts';
export { calibrateNoise } from './calibrate.ts';
export type { Calibration, CalibrationOptions } from './calibrate.ts';
export { calibrateBatchSize, calibrateSamplingProbability, calibrateSteps } from './calibrate-run.ts';
export type { CalibratedRun, RunOptions } from './calibrate-run.ts';
export { epsilonByContribution } from './ragged.ts';
export type { ContributionEpsilon } from './ragged.ts';
export { DpError } from './check.ts';
export type { DpErrorCode } from './check.ts';
