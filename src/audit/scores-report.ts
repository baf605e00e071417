import { perfectGuessesNeeded, type Reason, type ScoresAudit } from '../../accounting/audit/index.ts';
import type { AuditedFile, AuditReport } from './report.ts';

/** What it takes to refute a claim that was above the detection limit. */
function questionsOf({ detail, valid, method, claimed, significance }: ScoresAudit): string[] {
  const isGuessed = method === 'one-run' || method === 'f-dp';
  if (detail !== 'unverifiable' || !valid || !isGuessed) return [];
  const needed = perfectGuessesNeeded({ epsilon: claimed.epsilon.upper, significance });
  if (needed > 1e12) return [];
  return [
    `Can the audit be repeated with more canaries? To refute epsilon ${claimed.epsilon.upper} takes at least ${needed} guesses, all of them right.`,
  ];
}

const registeredBeside: Reason = {
  code: 'DPC-T12-registered-beside-scores',
  level: 'note',
  text: 'The cut was registered in the file of the scores itself, so nothing shows that it came first.',
  epsilon: null,
};

function ruleWords({ rule, tried }: ScoresAudit['cuts']): string {
  if (rule === 'preregistered') return 'registered before any score was seen';
  if (rule === 'split') return 'chosen on one half of the canaries, tested on the other';
  return `the best of ${tried} fixed beforehand, each tested at its share of the significance`;
}

function cutWords({ cuts }: ScoresAudit): string[] {
  const { shown } = cuts;
  if (shown === null) return [];
  const cut =
    'threshold' in shown
      ? `included from a score of ${shown.threshold} on`
      : `the ${shown.highest} highest for included, the ${shown.lowest} lowest for left out`;
  return [cut, ruleWords(cuts)];
}

/** Digits enough to see how small a chance is. */
function chance(value: number): string {
  return value === 0 ? 'below 1e-300' : String(Number(value.toPrecision(2)));
}

function factsOf(audit: ScoresAudit): NonNullable<AuditReport['facts']> {
  const { method, m, r, v, significance, pValue, delta } = audit;
  const all: readonly (readonly [string, ...string[]])[] = [
    ['Method', method],
    ['Canaries', String(m)],
    ['Guesses', `${v} of ${r} right`],
    ['Cut', ...cutWords(audit)],
    ['False refutation', `at most ${significance}, the significance`],
    [
      'Under the claim',
      ...(pValue === null
        ? []
        : [`as many right with probability ${chance(pValue)}, before any correction for several cuts`]),
    ],
    ['Delta', String(delta)],
  ];
  return all.filter(fact => fact.length > 1);
}

/** Where a report comes from. */
interface ReportOrigin {
  readonly subject: string;
  readonly files: readonly AuditedFile[];
  /** Whether the cut stands in the file of the scores. */
  readonly isRegisteredBeside: boolean;
}

/** The report of audited scores. */
export function scoresReport(
  audit: ScoresAudit,
  { subject, files, isRegisteredBeside }: ReportOrigin,
): AuditReport {
  const { verdict, detail, statement, reasons, claimed, ...details } = audit;
  const { epsilonLowerBound, detectionLimit, method } = audit;
  return {
    kind: 'scores',
    subject,
    verdict,
    detail,
    statement,
    claimed,
    reasons: isRegisteredBeside ? [...reasons, registeredBeside] : reasons,
    recomputed: {},
    explanation: null,
    questions: questionsOf(audit),
    evidence: { epsilonLowerBound, detectionLimit, method },
    files,
    facts: factsOf(audit),
    details: { ...details },
  };
}
