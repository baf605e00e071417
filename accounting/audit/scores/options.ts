import type { Interval } from '../../accountant.ts';
import { checkChoice, checkNonNegative, invalid } from '../../check.ts';
import { checkAuditDelta, checkSignificance, verb } from './arguments.ts';
import type { LiftedOrder } from './lifted.ts';
import { isGuessing, type ScoreMethod, scoreMethods } from './methods.ts';
import type { Inclusion } from './rows.ts';
import { type CutRule, usualShares } from './thresholds.ts';
import type { Tradeoff } from './tradeoff.ts';

/** What a promise protects, or a canary is. */
export type ScoreUnit = 'user' | 'record';

/** The claim that scores are held against, and how. */
export interface ScoreOptions {
  /** Claimed ε in nats; an interval where printed digits stand for one. */
  readonly epsilon: number | Interval;
  /** Claimed δ, in [0, 1). */
  readonly delta: number;
  /** Default `one-run`. */
  readonly method?: ScoreMethod | undefined;
  /** Probability of a false refutation that is put up with, in (0, 0.5); default 0.05. */
  readonly significance?: number | undefined;
  /** Default: a fixed grid for guesses of one run, a split for the methods with a threshold. */
  readonly cuts?: CutRule | undefined;
  /** What one canary is; default `user`. */
  readonly unit?: ScoreUnit | undefined;
  /** What the claim protects; default as `unit`. */
  readonly claimUnit?: ScoreUnit | undefined;
  /** How it was chosen which canaries go in; default `not-stated`. */
  readonly inclusion?: Inclusion | undefined;
  /** Whether each row is a training of its own, although they don't say so; default false. */
  readonly independentTrials?: boolean | undefined;
  /** Whether canaries that were put in several times are held against the ε of such a group; default false: refuse. */
  readonly group?: boolean | undefined;
  /** A lower bound of the claim's own trade-off curve, for `f-dp`: then that is tested. */
  readonly curve?: Tradeoff | undefined;
  /** Number of parameters, for `one-shot`. */
  readonly dimension?: number | undefined;
  /** Moments of the runs, for `lifted`; default 2. */
  readonly order?: LiftedOrder | undefined;
}

/** The options with nothing left open. */
export interface SettledOptions extends ScoreOptions {
  readonly claimed: Interval;
  readonly method: ScoreMethod;
  readonly significance: number;
  readonly cuts: CutRule;
  readonly unit: ScoreUnit;
  readonly claimUnit: ScoreUnit;
  readonly inclusion: Inclusion;
}

const units: readonly ScoreUnit[] = ['user', 'record'];

/** Checks everything but the scores. */
export function settledOptions(options: ScoreOptions): SettledOptions {
  const { unit = 'user', inclusion = 'not-stated' } = options;
  const method = checkChoice(options.method ?? 'one-run', { verb, name: 'method', choices: scoreMethods });
  checkAuditDelta(options.delta);
  return {
    ...options,
    method,
    inclusion,
    claimed: claimedOf(options.epsilon),
    significance: checkSignificance(options.significance ?? 0.05),
    cuts: options.cuts ?? usualCuts(method),
    unit: checkChoice(unit, { verb, name: 'unit', choices: units }),
    claimUnit: claimUnitOf(unit, options.claimUnit ?? unit),
  };
}

function claimedOf(epsilon: number | Interval): Interval {
  const { lower, upper } = typeof epsilon === 'number' ? { lower: epsilon, upper: epsilon } : epsilon;
  checkNonNegative(lower, { verb, name: 'epsilon' });
  checkNonNegative(upper, { verb, name: 'epsilon' });
  return { lower, upper };
}

function usualCuts(method: ScoreMethod): CutRule {
  return isGuessing(method) ? { rule: 'grid', shares: usualShares } : { rule: 'split' };
}

/** Users weigh more than records: scores of users say nothing against a claim about records. */
function claimUnitOf(unit: ScoreUnit, claimUnit: ScoreUnit): ScoreUnit {
  checkChoice(claimUnit, { verb, name: 'claimUnit', choices: units });
  if (unit === 'user' && claimUnit === 'record')
    throw invalid(claimUnit, 'scores of records for a claim about records', { verb, name: 'claimUnit' });
  return claimUnit;
}
