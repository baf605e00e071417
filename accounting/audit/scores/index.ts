export { auditScores } from './audit-scores.ts';
export { claimTradeoff } from './claim-curve.ts';
export type { ScoresAudit } from './result.ts';
export type { ScoreOptions, ScoreUnit } from './options.ts';
export type { Inclusion } from './rows.ts';
export { type CanaryColumns, type CanaryScore, type NameColumn, nameColumn } from './columns.ts';
export type { Cut, CutRule } from './thresholds.ts';
export { scoreMethods, type ScoreMethod } from './methods.ts';
export type { BoundFamily, EpsilonEstimate, EpsilonLowerBound } from './bound.ts';
export type { Guesses } from './arguments.ts';
export { oneRunBound, oneRunPValue, perfectGuessesNeeded, type OneRunQuestion } from './one-run.ts';
export { fDpBound, fDpGaussianBound, type FDpQuestion, rejectsTradeoff, tradeoffPValue } from './f-dp.ts';
export { gaussianTradeoff, type Tradeoff, tradeoffOfEvent, tradeoffOfProfile } from './tradeoff.ts';
export {
  clopperPearsonUpper,
  type Counts,
  jeffreysEstimate,
  ratesBound,
  ratesGaussianBound,
  type RatesQuestion,
} from './rates.ts';
export { bayesianEstimate } from './bayesian.ts';
export {
  cosineTail,
  epsilonBetween,
  hockeyStick,
  type Normal,
  oneShotBound,
  oneShotEstimate,
  type OneShotQuestion,
} from './one-shot.ts';
export { liftedEstimate, type LiftedOrder, liftedLimits, type Outcomes } from './lifted.ts';
export { userInferenceScore, type UserLikelihoods } from './user-inference.ts';
