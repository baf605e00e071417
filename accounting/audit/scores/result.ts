import type { Interval, Side } from '../../accountant.ts';
import type { Reason, Verdict, VerdictDetail } from '../verdict.ts';
import type { Examination } from './examine.ts';
import type { Aside, Asked, ScoreMethod } from './methods.ts';
import type { SettledOptions } from './options.ts';
import type { Counts } from './rates.ts';
import type { ScoreColumns } from './rows.ts';
import type { Cut, CutRule } from './thresholds.ts';

/** What scores say about a claim. */
export interface ScoresAudit {
  /** `refuted`, or `consistent`: not refuted, or `unverifiable`: these scores could not have refuted it. */
  readonly verdict: Verdict;
  readonly detail: VerdictDetail;
  readonly statement: string;
  readonly reasons: readonly Reason[];
  /** What was tested; for canaries that were put in several times the promise for such a group. */
  readonly claimed: { readonly epsilon: Interval; readonly delta: number };
  readonly method: ScoreMethod;
  /** `lower` for a proved bound, `estimate` for what refutes nothing. */
  readonly side: Side;
  /** Proved at the significance; 0 where nothing is. */
  readonly epsilonLowerBound: number;
  /** Largest proved bound that these canaries could have given: a larger claim could not have been refuted. */
  readonly detectionLimit: number;
  /** What is no proved bound; null where `epsilonLowerBound` says all. */
  readonly estimate: number | null;
  /** The bound if the training's trade-off curve were that of a Gaussian mechanism. */
  readonly gaussian: Aside['gaussian'];
  /** Probability of scores like these under the claim, at the cut shown, before any correction for several cuts. */
  readonly pValue: number | null;
  /** Canaries, guesses, correct guesses at the cut shown. */
  readonly m: number;
  readonly r: number;
  readonly v: number;
  readonly counts: Counts | null;
  readonly delta: number;
  readonly significance: number;
  readonly cuts: { readonly rule: CutRule['rule']; readonly tried: number; readonly shown: Cut | null };
  /** Whether `epsilonLowerBound` is proved. */
  readonly valid: boolean;
}

/** What a report is made of. */
export interface Evidence {
  readonly columns: ScoreColumns;
  readonly claimed: ScoresAudit['claimed'];
  readonly options: SettledOptions;
  readonly examination: Examination;
  readonly asked: Omit<Asked, 'level'>;
}

/** A report before its words. */
export type Found = Omit<ScoresAudit, 'verdict' | 'statement' | 'reasons'>;
