import type { Interval } from '../../accounting/accountant.ts';
import type { Reason, Verdict, VerdictDetail } from '../../accounting/audit/index.ts';

/** A file that an audit read. */
export interface AuditedFile {
  readonly path: string;
  readonly sha256: string;
}

/** What every audit says, whatever it looked at; `verdict.json`, SARIF and HTML are written from it. */
export interface AuditReport {
  readonly kind: 'claim' | 'scores' | 'ledger';
  /** What was audited: the name in the claim, or the file. */
  readonly subject: string;
  readonly verdict: Verdict;
  /** The finer verdict. */
  readonly detail: VerdictDetail;
  /** The sentence as it should have read: epsilon with its side, delta, unit and cap, neighbours, sampling. */
  readonly statement: string;
  /** What was claimed, as the interval that the printed digits stand for; null where nothing was. */
  readonly claimed: { readonly epsilon: Interval | null; readonly delta: number | null };
  readonly reasons: readonly Reason[];
  /** Every recomputed epsilon by its name, for the chart: `exact`, `rdp classic`, `shuffle lower bound`. */
  readonly recomputed: Readonly<Record<string, Interval>>;
  /** The reading that gives the printed number, in words; null where none does. */
  readonly explanation: string | null;
  /** What to ask the author, where facts are missing. */
  readonly questions: readonly string[];
  /** Bound from scores and its detection limit, where there are scores. */
  readonly evidence: {
    readonly epsilonLowerBound: number;
    readonly detectionLimit: number;
    readonly method: string;
  } | null;
  readonly files: readonly AuditedFile[];
  /** How it was tested, in words, for people. */
  readonly facts?: readonly (readonly [label: string, ...lines: string[]])[];
  /** What this sort of audit says beside that; top-level keys of `--json` and `verdict.json`. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Lines of the first file, from 1: where the value of a field stands, by JSON pointer. */
  readonly lines?: ReadonlyMap<string, number>;
}
