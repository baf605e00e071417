import type { Interval, Plan, Statement, StatementRow } from '../../accounting/index.ts';
import type { LossPoint } from '../../trainer/index.ts';
import type { Cell, RunKind, Setting } from './question.ts';

/** How well a model predicts the held-out users' text; perplexities are >= 1, lower is better. */
export interface StudyPerplexity {
  /** Every token counts alike. */
  readonly byRecord: number;
  /** Every user counts alike. */
  readonly byUser: number;
  /** By user, over the tenth of users whom the model predicts worst. */
  readonly worstTenth: number;
  /** By user, over the quarter of users with the fewest records. */
  readonly fewestRecords: number;
  /** By user, over the quarter of users with the most records. */
  readonly mostRecords: number;
  readonly users: number;
  readonly records: number;
  readonly tokens: number;
}

/** The measures of {@link StudyPerplexity} that are perplexities. */
export type Measure = 'byRecord' | 'byUser' | 'worstTenth' | 'fewestRecords' | 'mostRecords';

export const measures: readonly Measure[] = [
  'byRecord',
  'byUser',
  'worstTenth',
  'fewestRecords',
  'mostRecords',
];

/** Everything known about one finished run. */
export interface RunResult {
  readonly format: 'privacy-unit/study-run';
  readonly version: 1;
  readonly name: string;
  readonly kind: RunKind;
  readonly repetition: number;
  readonly cell: Cell | null;
  /** Where it is one of several that were tried. */
  readonly setting?: Setting | undefined;
  readonly plan: Plan | null;
  readonly breakEvenClipRatio: number | null;
  /** For the steps counted; null for a baseline. */
  readonly epsilon: Interval | null;
  /** Steps whose noise was drawn: above the plan's where an interrupted stretch was redone. */
  readonly stepsCounted: number | null;
  /** Expected record gradients of a step; null without training. */
  readonly recordsPerStep: number | null;
  readonly perplexity: StudyPerplexity;
  /** By user, over the held-out users by whom settings are chosen; `perplexity` is over the others then. */
  readonly validation?: number | undefined;
  /** Null where the time of an interrupted run is not known. */
  readonly seconds: number | null;
  readonly lossCurve: readonly LossPoint[];
  readonly statement: Statement | null;
  readonly statementRows: readonly StatementRow[] | null;
}
