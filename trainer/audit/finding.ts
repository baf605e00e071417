import type { FindingLevel, Reason, VerdictDetail } from '../../accounting/audit/verdict.ts';
import type { Interval } from '../../accounting/accountant.ts';

/** Something found in a ledger, with what it says about the run by itself. */
export interface Finding extends Reason {
  readonly detail: VerdictDetail;
}

/** Facts beside code and text; a finding that says nothing against the run is a note. */
export interface FindingFacts {
  readonly level?: FindingLevel;
  readonly detail?: VerdictDetail;
  readonly epsilon?: Interval | null;
}

/** A finding with the level that its verdict asks for. */
export function finding(code: string, text: string, facts: FindingFacts = {}): Finding {
  const { detail = 'consistent', epsilon = null } = facts;
  const level = facts.level ?? (detail === 'consistent' ? 'note' : 'error');
  return { code: `DPL-${code}`, level, text, epsilon, detail };
}

/** Ledger lines and what they refer to, for texts: at most three are named. */
export function named(values: readonly (number | string)[]): string {
  const shown = values.slice(0, 3).join(', ');
  return values.length > 3 ? `${shown} and ${values.length - 3} more` : shown;
}
