import type { Command } from 'commander';
import { auditClaim } from '../../accounting/audit/index.ts';
import { readClaimFile } from '../audit/claim-file.ts';
import { claimReport } from '../audit/claim-report.ts';
import {
  addReportOptions,
  answerOf,
  checkReportTargets,
  writeReports,
  type ReportOptions,
} from '../audit/deliver.ts';
import { createCommand, type CommonOptions, type Deliver, type Surroundings } from '../command.ts';
import type { Answer } from '../output.ts';

type AuditClaimOptions = CommonOptions & ReportOptions;

async function audit(path: string, options: AuditClaimOptions, { signal }: Surroundings): Promise<Answer> {
  checkReportTargets(options);
  const read = readClaimFile(path);
  const report = claimReport(read, auditClaim(read.claim));
  await writeReports(report, options, signal);
  return answerOf(report, options);
}

/** `privacy-unit audit claim`. */
export function auditClaimCommand(deliver: Deliver): Command {
  const command = createCommand('claim', {
    summary: 'check a published claim against its own settings',
    description:
      'Reads a claim (YAML or JSON, schema dp-claim/1; null is "not stated"), recomputes epsilon by every accountant and convention, looks for what explains the printed number, and gives a verdict. Ends with exit code 3 where the claim is refuted or overstates the privacy, with 4 where a fact is missing.',
    examples: [
      'audit claim claim.yaml',
      'audit claim claim.yaml --html audit.html --sarif audit.sarif --json',
    ],
  }).argument('<FILE>', 'the claim');
  return addReportOptions(command).action((path: string, options: AuditClaimOptions) =>
    deliver(options, surroundings => audit(path, options, surroundings)),
  );
}
