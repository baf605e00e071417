export { parsePlan, eventOfPlan, epsilonOfPlan, epsilonCurve } from './plan.ts';
export type {
  GroupConversion,
  Mechanism,
  Plan,
  PlanEpsilon,
  SamplerPlan,
  SelectionRule,
  SelectionStrategy,
} from './plan.ts';
export { flattenEvent, gaussianEvent, poissonEvent, poissonGroupEvent, repeat, sequence } from './event.ts';
export { parseEvent } from './event-json.ts';
export type {
  BasicEvent,
  CountedEvent,
  DpEvent,
  GaussianEvent,
  MixtureOfGaussiansEvent,
  Neighbours,
  PoissonOptions,
  RepeatedEvent,
  SequenceEvent,
  SubsampledGaussianEvent,
} from './event.ts';
export type { Accountant, Bound, Interval } from './accountant.ts';
export { epsilonOf } from './epsilon.ts';
export type { AccountantChoice, BoundsByAccountant, EpsilonAnswer, EpsilonOptions } from './epsilon.ts';
export { rdpAccountant } from './rdp/rdp.ts';
export { pldAccountant } from './pld/pld.ts';
export { groupEpsilon } from './group.ts';
export type { BoundsByConversion, Conversion, GroupAnswer, GroupOptions } from './group.ts';
export { calibrateNoise } from './calibrate.ts';
export type { Calibration, CalibrationOptions } from './calibrate.ts';
export { compareMechanisms } from './compare.ts';
export type { PlanningQuestion, PlanOption } from './compare.ts';
export { renderStatement, statementOf, statementRows } from './statement.ts';
export type { Statement, StatementFacts, StatementRow } from './statement.ts';
export { DpError } from './check.ts';
export type { DpErrorCode } from './check.ts';
