import type { Interval, StatementRow } from '../../accounting/index.ts';

/** Users whose record count lies in [low, high]. */
export interface ContributionBucket {
  readonly low: number;
  readonly high: number;
  readonly before: number;
  readonly after: number;
}

/** A loss seen in training. */
export interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

/** ε after a number of steps. */
export interface EpsilonPoint {
  readonly steps: number;
  readonly epsilon: Interval;
}

/** One model of the comparison; baselines have no mechanism, no noise and no ε. */
export interface ReportRun {
  readonly name: string;
  readonly mechanism: string;
  readonly recordsPerUser: number | null;
  readonly noiseMultiplier: number | null;
  readonly epsilon: Interval | null;
  /** exp(mean negative log-likelihood per token) over the held-out users' records. */
  readonly perplexityByRecord: number;
  /** The same with every user counting equally. */
  readonly perplexityByUser: number;
  readonly seconds: number;
  readonly lossCurve: readonly LossPoint[];
  readonly epsilonCurve: readonly EpsilonPoint[];
  /** Labelled lines of the guarantee, null where there is none. */
  readonly statement: readonly StatementRow[] | null;
}

/** Everything the page shows; what is not here is not shown. */
export interface ReportData {
  readonly title: string;
  readonly source: string;
  readonly version: string;
  readonly target: { readonly epsilon: number; readonly delta: number };
  readonly population: { readonly users: number; readonly records: number; readonly heldOutUsers: number };
  readonly recordsPerUser: number;
  readonly contributions: readonly ContributionBucket[];
  readonly runs: readonly ReportRun[];
  readonly notes: readonly string[];
}
