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
  text: 'the cut was registered in the file of the scores itself, so nothing shows that it came first',
  epsilon: null,
};

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
    details: { ...details },
  };
}
