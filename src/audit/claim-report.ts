import type { ClaimAudit } from '../../accounting/audit/index.ts';
import type { ReadClaim } from './claim-file.ts';
import type { AuditReport } from './report.ts';

/** The report of an audited claim file. */
export function claimReport({ claim, file, lines }: ReadClaim, audit: ClaimAudit): AuditReport {
  const { readings, needs, range, ...common } = audit;
  return {
    ...common,
    kind: 'claim',
    subject: claim.subject.name ?? file.path,
    evidence: null,
    files: [file],
    details: { readings, needs, range },
    lines,
  };
}
