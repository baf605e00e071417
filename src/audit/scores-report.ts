import { perfectGuessesNeeded, type ScoresAudit } from '../../accounting/audit/index.ts';
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

/** The report of audited scores. */
export function scoresReport(
  audit: ScoresAudit,
  { subject, files }: { readonly subject: string; readonly files: readonly AuditedFile[] },
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
    reasons,
    recomputed: {},
    explanation: null,
    questions: questionsOf(audit),
    evidence: { epsilonLowerBound, detectionLimit, method },
    files,
    details: { ...details },
  };
}
